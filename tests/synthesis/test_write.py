"""Videos: in step, marked, streamed, nothing half-written; the heat video and the report."""

from __future__ import annotations

import json
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ua3dtalk.avatar.familiarity import Familiarity
from ua3dtalk.core.errors import UserError
from ua3dtalk.media.marks import read_mark
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.synthesis.drive import make_drive, read_speech
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.write import DIGITAL_SOURCE_TYPE, Known, synthesize

FRAME_S = 1 / 25


def speak(fakes: Any, out: Path, samples: np.ndarray, **options: Any) -> tuple[Any, Any]:
    avatar = fakes.Avatar()
    result = synthesize(
        avatar, samples, fakes.speech(samples), out, SynthesisOptions(**options), np.random.default_rng(0)
    )
    return avatar, result


def durations_s(path: Path) -> tuple[float, float]:
    """Length of picture and sound as decoded."""
    with av.open(path) as container:
        frames = sum(1 for _ in container.decode(video=0))
        container.seek(0)
        sound = [f for f in container.decode(audio=0)]
    end = max(f.pts * f.time_base + f.samples / f.sample_rate for f in sound)
    return frames * FRAME_S, float(end)


@pytest.mark.parametrize("duration_s", [0.04, 1.013, 10.0])
def test_picture_and_sound_end_together(fakes: Any, tmp_path: Path, duration_s: float) -> None:
    _, result = speak(fakes, tmp_path / "a b.mp4", fakes.voice(duration_s))
    picture_s, sound_s = durations_s(tmp_path / "a b.mp4")
    assert picture_s == pytest.approx(result.video_s)
    assert abs(picture_s - duration_s) < FRAME_S
    # The AAC stream is padded to whole blocks of 64 ms at 16 kHz; the edit list cuts that for players.
    assert -FRAME_S < sound_s - picture_s < FRAME_S + 1024 / 16000


def test_sound_and_picture_stay_in_step_to_the_end(fakes: Any, tmp_path: Path) -> None:
    """The picture's brightness is the loudness: the correlation of what was written peaks at no shift."""
    samples = fakes.voice(10.0)
    samples[: 16000 * 9] *= 0.05  # judge the last second most
    speak(fakes, tmp_path / "x.mp4", samples)
    with av.open(tmp_path / "x.mp4") as container:
        bright = np.array([f.to_ndarray(format="rgb24")[:, :24].mean() for f in container.decode(video=0)])
    with av.open(tmp_path / "x.mp4") as container:
        sound = np.concatenate([f.to_ndarray().mean(0) for f in container.decode(audio=0)])
    loud = np.log(np.array([np.square(sound[i * 640 - 80 : i * 640 + 80]).mean() + 1e-6 for i in range(1, 250)]))
    bright = bright[1:250]
    scores = {lag: np.corrcoef(np.roll(bright, -lag)[5:-5], loud[5:-5])[0, 1] for lag in range(-4, 5)}
    assert max(scores, key=scores.get) in (0, 1) and scores[0] > 0.5


def test_frames_are_not_kept(fakes: Any, tmp_path: Path) -> None:
    """Whatever the length, four frames are alive at most: two change hands, two are ahead.

    (Ten minutes: 15,000 frames, in step, measured once.)
    """

    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    counts: list[int] = []

    class Counts(fakes.Avatar):
        def render(self, *args: Any, **kwargs: Any) -> Any:
            frame = super().render(*args, **kwargs)
            alive.add(frame)
            counts.append(len(alive))
            return frame

    samples = fakes.voice(60.0)
    result = synthesize(
        Counts(), samples, fakes.speech(samples), tmp_path / "x.mp4", SynthesisOptions(), np.random.default_rng(0)
    )
    assert result.frames == 1500 and abs(result.video_s - result.audio_s) < FRAME_S
    assert len(counts) == 1500 and max(counts) <= 4
    with av.open(tmp_path / "x.mp4") as container:
        lengths_s = [float(s.duration * s.time_base) for s in container.streams]
    assert abs(lengths_s[0] - 60) < FRAME_S and abs(lengths_s[1] - lengths_s[0]) < FRAME_S + 1024 / 16000


def test_videos_say_that_they_are_generated(fakes: Any, tmp_path: Path) -> None:
    speak(fakes, tmp_path / "x.mp4", fakes.voice(0.5), confidence=tmp_path / "heat.mp4")
    for name in ("x.mp4", "heat.mp4"):
        with av.open(tmp_path / name) as container:
            tags = container.metadata
        assert "AI-generated" in tags["comment"] and "AI-generated" in tags["title"]
        assert tags["digitalSourceType"] == DIGITAL_SOURCE_TYPE


def test_the_mark_is_left_out_on_request_and_that_is_logged(
    fakes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = {"confidence": tmp_path / "heat.mp4", "report": tmp_path / "report.json"}
    for marked in (True, False):
        speak(fakes, tmp_path / "x.mp4", fakes.voice(0.2), marked=marked, **paths)
        assert [read_mark(tmp_path / name).ai_generated for name in ("x.mp4", "heat.mp4")] == [marked] * 2
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["marked"] is report["settings"]["options"]["marked"] is marked
        assert ("--no-provenance" in caplog.text and "x.mp4" in caplog.text) is not marked


def test_heat_video_and_report(fakes: Any, tmp_path: Path) -> None:
    paths = {"confidence": tmp_path / "heat.mp4", "report": tmp_path / "report.json"}
    avatar, result = speak(fakes, tmp_path / "x.mp4", fakes.voice(3.0), emotion="sad", intensity=0.7, **paths)
    assert avatar.rendered == 75 and all(avatar.wanted_maps)
    assert durations_s(tmp_path / "heat.mp4")[0] == 3.0
    report = json.loads((tmp_path / "report.json").read_text())
    per_frame = report["per_frame"]
    listed = {key: values for key, values in per_frame.items() if values is not None}
    assert report["frames"] == 75 and all(len(values) == 75 for values in listed.values())
    assert set(per_frame) <= {*report["meaning"]} | {"intensity"}
    assert report["emotion_strengths"] == {"sad": [0.7] * 75} and report["borrowed_emotions"] == []
    assert per_frame["emotion"] == ["sad"] * 75 and set(per_frame["intensity"]) == {0.7}
    assert np.mean(per_frame["expected_error"]) == pytest.approx(result.expected_error, abs=1e-5)
    assert all(
        low < e < high for (low, high), e in zip(per_frame["error_80"], per_frame["expected_error"], strict=True)
    )
    assert ["pose outside the training range"] in per_frame["why"] and [] in per_frame["why"]
    assert 0 < report["summary"]["doubted"]["pose outside the training range"] < 1
    assert report["settings"]["options"]["blink"] == "source" and report["provenance"]["software"]["ua3dtalk"]


def test_the_heat_stands_beside_the_head_on_request(fakes: Any, tmp_path: Path) -> None:
    widths = []
    for beside in (False, True):
        speak(fakes, tmp_path / "x.mp4", fakes.voice(0.2), confidence=tmp_path / "heat.mp4", side_by_side=beside)
        with av.open(tmp_path / "heat.mp4") as container:
            widths.append(container.streams.video[0].width)
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)


def test_low_confidence_calms_the_mouth(fakes: Any, tmp_path: Path) -> None:
    """Speech far louder than any of training moves the fake mouth as before, or keeps it at its mean."""

    class Watched(fakes.Avatar):
        def render(self, conditions: Any, *args: Any, **kwargs: Any) -> Any:
            openings.append(float(conditions.lower[12]))
            return super().render(conditions, *args, **kwargs)

    samples = fakes.voice(10.0)
    speech = fakes.speech(samples)
    drive = make_drive(fakes.Avatar(), speech, 250, SynthesisOptions(), np.random.default_rng(0))
    known = Known(familiarity=Familiarity.fit(drive.conditions, np.arange(250), ContentPrior.load()))
    odd = replace(speech, mel=speech.mel + 100)
    moving = []
    for least in (0.0, 0.5):
        openings: list[float] = []
        options = SynthesisOptions(min_confidence=least)
        synthesize(Watched(), samples, odd, tmp_path / "x.mp4", options, np.random.default_rng(0), known=known)
        moving.append(np.std(openings))
    assert moving[0] > 1 and moving[1] < 0.2 * moving[0]


def test_an_avatar_without_forecast_gives_no_heat(fakes: Any, tmp_path: Path) -> None:
    class Old(fakes.Avatar):
        def render(self, *args: Any, **kwargs: Any) -> Any:
            return replace(super().render(*args, **kwargs), forecast=None)

    samples = fakes.voice(0.5)
    options = SynthesisOptions(confidence=tmp_path / "heat.mp4")
    with pytest.raises(UserError, match="older version"):
        synthesize(Old(), samples, fakes.speech(samples), tmp_path / "x.mp4", options, np.random.default_rng(0))
    assert not list(tmp_path.iterdir())


def test_the_report_says_what_was_borrowed(fakes: Any, tmp_path: Path) -> None:
    options = {"emotion": "fearful", "extrapolate": True, "report": tmp_path / "report.json"}
    speak(fakes, tmp_path / "x.mp4", fakes.voice(0.5), **options)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["borrowed_emotions"] == ["fearful"] and "other people" in report["meaning"]["borrowed_emotions"]
    assert report["settings"]["options"]["extrapolate"] is True


def test_maps_are_not_drawn_when_nobody_asks(fakes: Any, tmp_path: Path) -> None:
    avatar, result = speak(fakes, tmp_path / "x.mp4", fakes.voice(0.5))
    assert not any(avatar.wanted_maps) and result.expected_error is None


def test_the_same_seed_gives_the_same_bytes(fakes: Any, tmp_path: Path) -> None:
    """Of the video, the heat video and the report: nothing in them tells the time. (A signature does.)

    At 64 × 64: of the fakes' 63 × 48, x264 sometimes codes what lies beyond the edge (of 250² and more it never did).
    """

    class Whole(fakes.Avatar):
        width, height = 64, 64

    names = ("x.mp4", "heat.mp4", "report.json")
    made = []
    for _ in range(2):
        paths = {"confidence": tmp_path / "heat.mp4", "report": tmp_path / "report.json"}
        options, samples = SynthesisOptions(blink="generated", marked=False, **paths), fakes.voice(0.4)
        synthesize(Whole(), samples, fakes.speech(samples), tmp_path / "x.mp4", options, np.random.default_rng(0))
        made.append([(tmp_path / name).read_bytes() for name in names])
        time.sleep(1.0)  # MP4 has room for the second at which it was made
    assert made[0] == made[1]


@pytest.mark.parametrize("broken_at", [0, 20])
def test_nothing_half_written_stays(fakes: Any, tmp_path: Path, broken_at: int) -> None:
    class Breaks(fakes.Avatar):
        def render(self, *args: Any, **kwargs: Any) -> Any:
            if self.rendered == broken_at:
                raise UserError("The avatar broke.")
            return super().render(*args, **kwargs)

    options = SynthesisOptions(confidence=tmp_path / "heat.mp4", report=tmp_path / "r.json")
    samples = fakes.voice(2.0)
    with pytest.raises(UserError):
        synthesize(Breaks(), samples, fakes.speech(samples), tmp_path / "x.mp4", options, np.random.default_rng(0))
    assert not list(tmp_path.iterdir())


def test_a_real_recording(fakes: Any, english: Path, tmp_path: Path) -> None:
    samples = read_speech(english)
    _, result = speak(fakes, tmp_path / "x.mp4", samples)
    assert abs(result.video_s - result.audio_s) < FRAME_S
    assert abs(durations_s(tmp_path / "x.mp4")[0] - len(samples) / 16000) < FRAME_S
