"""Videos: in step, marked, streamed, nothing half-written; the heat video and the report."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.drive import read_speech
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.write import DIGITAL_SOURCE_TYPE, synthesize

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
    """Whatever the length, only the frame at work is alive. (Ten minutes: 15,000 frames, in step, measured once.)"""

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
    assert len(counts) == 1500 and max(counts) <= 2
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


def test_heat_video_and_report(fakes: Any, tmp_path: Path) -> None:
    paths = {"confidence": tmp_path / "heat.mp4", "report": tmp_path / "report.json"}
    avatar, result = speak(fakes, tmp_path / "x.mp4", fakes.voice(3.0), emotion="sad", intensity=0.7, **paths)
    assert avatar.rendered == 75 + 16 and all(avatar.wanted_maps)
    assert durations_s(tmp_path / "heat.mp4")[0] == 3.0
    report = json.loads((tmp_path / "report.json").read_text())
    per_frame = report["per_frame"]
    assert report["frames"] == 75 and all(len(values) == 75 for values in per_frame.values())
    assert report["emotion_strengths"] == {"sad": [0.7] * 75} and report["borrowed_emotions"] == []
    assert per_frame["emotion"] == ["sad"] * 75 and set(per_frame["intensity"]) == {0.7}
    assert per_frame["uncertainty"] == [round(u, 6) for u in result.uncertainty]
    order = np.argsort(per_frame["uncertainty"])
    assert (np.diff(np.array(per_frame["confidence"])[order]) <= 0).all()
    assert min(per_frame["confidence"]) > 0 and max(per_frame["confidence"]) == 1
    assert report["settings"]["options"]["blink"] == "source" and report["provenance"]["software"]["ua3dtalk"]


def test_the_report_says_what_was_borrowed(fakes: Any, tmp_path: Path) -> None:
    options = {"emotion": "fearful", "extrapolate": True, "report": tmp_path / "report.json"}
    speak(fakes, tmp_path / "x.mp4", fakes.voice(0.5), **options)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["borrowed_emotions"] == ["fearful"] and "other people" in report["meaning"]["borrowed_emotions"]
    assert report["settings"]["options"]["extrapolate"] is True


def test_maps_are_not_drawn_when_nobody_asks(fakes: Any, tmp_path: Path) -> None:
    avatar, result = speak(fakes, tmp_path / "x.mp4", fakes.voice(0.5))
    assert not any(avatar.wanted_maps) and result.uncertainty is None


def test_the_same_seed_gives_the_same_video(fakes: Any, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        speak(fakes, tmp_path / name, fakes.voice(2.0), blink="generated")
    pictures = []
    for name in ("a.mp4", "b.mp4"):
        with av.open(tmp_path / name) as container:
            pictures.append(np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]))
    assert np.array_equal(*pictures)


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
