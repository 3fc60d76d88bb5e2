"""The viewer end to end: a real server, a real browser."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import waiting
from PIL import Image
from playwright.sync_api import Page, TimeoutError, sync_playwright

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.sound import AUDIO_ID, CLOCK_ID
from ua3dtalk.viewer.speech import Speech

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE_MS = 60_000
"""Drawing by software on a busy machine takes its time."""

until = partial(waiting.until, timeout_s=PATIENCE_MS / 1000, every_s=0.2)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def viewer(avatar: Avatar, speech: Speech, encoder: PhoneEncoder, small_avatar: Path) -> Iterator[ViewerServer]:
    viewer = ViewerServer(Session(avatar, speech), encoder, port=0, folder=small_avatar)
    yield viewer
    viewer.close()


@pytest.fixture(scope="module")
def page(viewer: ViewerServer) -> Iterator[Page]:
    arguments = [*SOFTWARE_GL, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_context(viewport={"width": 600, "height": 280}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(viewer.address)
        page.wait_for_selector(f"#{CLOCK_ID}", state="attached")
        # Newer browsers let the page warn of drawing by software, in front of half the picture.
        notice = page.locator('[class*="mantine-Notification-root"]', has_text="Software WebGL")
        with suppress(TimeoutError):
            notice.get_by_role("button").click(timeout=10_000)
        until(lambda: seen(page).std() > 10)
        yield page
        browser.close()


def seen(page: Page) -> np.ndarray:
    """The middle of the canvas, where the head is."""
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    side = 0.5 * min(box["width"], box["height"])
    x, y = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    shot = page.screenshot(clip={"x": x, "y": y, "width": side, "height": side})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(float)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def audio(page: Page, what: str) -> float:
    return float(page.evaluate(f"document.getElementById('{AUDIO_ID}').{what}"))


def test_the_splats_are_drawn(page: Page) -> None:
    whole = seen(page)
    face = page.get_by_label("Face", exact=True)
    face.click()
    until(lambda: difference(seen(page), whole) > 8)
    face.click()
    until(lambda: difference(seen(page), whole) < 1)


def test_the_emotion_moves_the_face(page: Page) -> None:
    before = seen(page)
    choose(page, "Emotion", "happy")
    until(lambda: "happy 1.00" in page.inner_text(f"#{CLOCK_ID}"))
    until(lambda: difference(seen(page), before) > 0.2)


def test_the_sound_runs_and_stops_with_the_picture(page: Page, viewer: ViewerServer) -> None:
    page.get_by_role("button", name="Play").click()
    until(lambda: audio(page, "currentTime") > 0.3 and not audio(page, "paused"))
    page.get_by_role("button", name="Pause").click()
    until(lambda: bool(audio(page, "paused")))
    viewer.session.player.seek(10)
    viewer.session.on_change()
    until(lambda: abs(audio(page, "currentTime") - 10.5 / 25) < 0.01)
    page.get_by_role("button", name="+1", exact=True).click()
    until(lambda: abs(audio(page, "currentTime") - 11.5 / 25) < 0.01)


def test_the_rendered_picture_is_much_like_the_splats(page: Page, viewer: ViewerServer) -> None:
    splats = seen(page)
    choose(page, "Drawn by", "rendered")
    # The picture comes first, so that the page is never empty: what is compared has no splats in it any more.
    until(lambda: not viewer._splats.visible)
    until(lambda: 0.01 < difference(seen(page), splats) < 12)
    choose(page, "Drawn by", "splats")
    until(lambda: difference(seen(page), splats) < 1)


def test_a_snapshot_is_a_marked_picture_of_the_view(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Snapshot").click()
    picture = Image.open(download.value.path())
    assert "AI-generated" in picture.info["Comment"]  # type: ignore[operator]
    assert np.asarray(picture).std() > 10


def test_a_recording_is_dropped_and_a_page_is_refused(page: Page, viewer: ViewerServer, small_avatar: Path) -> None:
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "page.html", "mimeType": "text/html", "buffer": b"<html>"})
    page.get_by_text("page.html is not a sound or video file").wait_for()
    sound = (small_avatar / "speech.wav").read_bytes()
    chooser.set_input_files({"name": "dropped.wav", "mimeType": "audio/wav", "buffer": sound})
    until(lambda: "dropped.wav" in page.inner_text(f"#{CLOCK_ID}"))
    assert viewer.session.speech.name == "dropped.wav"


def test_what_is_shown_is_saved_as_a_video(page: Page, viewer: ViewerServer, encoder: PhoneEncoder) -> None:
    samples = viewer.session.speech.samples[:6400]
    viewer.session.say(Speech("short talk.wav", samples, encoder.encode(samples)))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this as video").click()
    assert download.value.suggested_filename == "short talk-talk.mp4"
    with av.open(str(download.value.path())) as container:
        assert "AI-generated" in container.metadata["comment"]
        assert sum(1 for _ in container.decode(video=0)) == 10


def test_closing_the_page_stops_the_work(page: Page, viewer: ViewerServer) -> None:
    viewer.session.player.play()
    page.goto("about:blank")
    until(lambda: viewer.windows == 0 and not viewer.session.player.playing)
    assert viewer._views == {}
