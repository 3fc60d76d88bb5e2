"""Any system's video against the real one: the same metrics as for our own avatars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.evaluation.head_mask import MEANING, head_labels
from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.protocol import Reference
from ua3dtalk.evaluation.report import ReportInputs, write_report
from ua3dtalk.media.audio import read_audio
from ua3dtalk.media.probe import FPS
from ua3dtalk.media.video import VideoReader
from ua3dtalk.recipes.measures import MeasureOptions, all_meters
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.person import PersonMask

ROW = "video"
LEAST_FRAMES = 25


def evaluate_video(
    reference: Path,
    video: Path,
    out: Path,
    *,
    options: MeasureOptions | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a video against the real one it should look like, frame by frame from the start of both.

    Both are read at 25 frames per second by time stamp. What lies beyond the shorter one is not scored; a video of
    another size is scaled to the reference. Both are said in the report and in the log.

    Args:
        reference: The real video.
        video: What a system made of it.
        out: Report folder: ``metrics.json``, ``index.html``, ``sheet.jpg``, ``side_by_side.mp4``.
        options: Weights that some metrics need.
        seed: Seed of the intervals.
        progress: Where to report.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: a file is missing, no video, damaged, or shorter than a second.
    """
    lengths = _lengths(reference, video)
    shown, count = InOrder(reference), min(lengths)
    given = InOrder(video, size=shown.size)
    notes = _notes((reference, video), (shown, given), lengths)
    for note in notes:
        log.warning(note)
    sounds = {ROW: _sound(video, count), "real": _sound(reference, count)}
    if sounds[ROW] is None and sounds["real"] is not None:
        notes.append(f"{video.name} has no sound: its lips are compared with the sound of {reference.name}")
        sounds[ROW] = sounds["real"]
    with PersonMask() as person:
        inputs = ReportInputs(
            reference=Reference(
                frames=range(count),
                picture=shown.picture,
                parsing=lambda i, picture, landmarks: head_labels(person.detect(picture), landmarks),
                head_meaning=MEANING,
            ),
            rows={"real": lambda i: through_jpeg(shown.picture(i)), ROW: given.picture},
            make_detector=FaceMeshLandmarks,
            audio=sounds["real"],
            meters=all_meters(sounds.get, options or MeasureOptions()),
            shown=ROW,
            facts={"reference": reference.name, "video": video.name, "notes": notes, "scored": "as decoded"},
            seed=seed,
        )
        metrics = write_report(out, inputs, progress or Silent())
    if metrics["missed_real"] == count:
        log.warning("No face was found in %s: only picture metrics of the whole frame mean something.", reference)
    return metrics


class InOrder:
    """Frames of a video file by index, where each is asked for at or after the one before; one frame is kept.

    Args:
        path: The video.
        size: Scale frames to this width and height; None keeps the video's own.

    Raises:
        UserError: as ``VideoReader``.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        self._reader = VideoReader(path)
        self._frames: Iterator[np.ndarray] = iter(self._reader)
        self._at, self._frame = 0, next(self._frames)
        self.own_size = (self._frame.shape[1], self._frame.shape[0])
        self.size = size or self.own_size
        self.fps = self._reader.facts.fps

    def picture(self, i: int) -> np.ndarray:
        """Frame ``i``, uint8 RGB.

        Raises:
            ValueError: an earlier frame than the last one asked for.
        """
        if i < self._at:
            raise ValueError(f"Frame {i} was asked for after frame {self._at}.")
        while self._at < i:
            self._frame = next(self._frames)
            self._at += 1
        if self.size == self.own_size:
            return self._frame
        smaller = self.size[0] < self.own_size[0]
        return cv2.resize(self._frame, self.size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _lengths(reference: Path, video: Path) -> tuple[int, int]:
    """Frames of both; counted by decoding, because containers may lie."""
    first, second = (sum(1 for _ in VideoReader(path)) for path in (reference, video))
    for path, length in ((reference, first), (video, second)):
        if length < LEAST_FRAMES:
            raise UserError(f"{path} has {length / FPS:.2f} s of picture.", "Give at least one second.")
    return first, second


def _notes(paths: tuple[Path, Path], frames: tuple[InOrder, InOrder], lengths: tuple[int, int]) -> list[str]:
    """What was made equal before scoring, a sentence each."""
    notes, count, (shown, given) = [], min(lengths), frames
    for path, own, length in zip(paths, frames, lengths, strict=True):
        if length - count > 2:
            notes.append(f"{path.name} is {(length - count) / FPS:.2f} s longer; what lies beyond is not scored")
        if abs(own.fps - FPS) > 0.01:
            notes.append(f"{path.name} has {own.fps:.2f} frames/s and is read at {FPS:g} by time stamp")
    if given.own_size != shown.size:
        size, goal = (f"{a}x{b}" for a, b in (given.own_size, shown.size))
        notes.append(f"{paths[1].name} is {size} and was scaled to {goal} for scoring")
    return notes


def _sound(path: Path, count: int) -> np.ndarray | None:
    """Sound of the scored frames, 16 kHz mono; None where the file has none."""
    reader = VideoReader(path)
    if not reader.facts.has_audio:
        return None
    return read_audio(path, reader.start_s, count / FPS)[0]
