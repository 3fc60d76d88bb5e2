"""A face's expression in any video, without preparing it: the speaker is found, landmarks become signals. T frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, track
from ua3dtalk.core.sequence import stretches
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.face_signals import NUM_FACE_SIGNALS, face_signals
from ua3dtalk.tracking.crop import choose_box, scan_for_speaker
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.normalised import normalised_points
from ua3dtalk.tracking.stage_face import bridge

SCAN_EVERY = 12
SIZE = 512
LEAST_SHARE = 0.5
LONGEST_GAP_FRAMES = 50
LEAST_FRAMES = 13


def video_signals(path: Path, progress: Progress, max_seconds: float | None = None) -> Float64[np.ndarray, "t 16"]:
    """``face_signals`` of the largest face that stays, 25 frames per second; short gaps are bridged by straight lines.

    Args:
        path: Any video.
        progress: Where to report.
        max_seconds: Read at most this much.

    Raises:
        UserError: not a video, shorter than half a second, no face, one that is too small, or one that is lost in half
            of the frames or for longer than two seconds.
    """
    reader = VideoReader(path, max_seconds=max_seconds)
    frames = track(progress, "looking for the face", reader, reader.expected_frames)
    speaker, shape = scan_for_speaker(frames, SCAN_EVERY)
    if speaker is None:
        raise UserError(f"{path}: no face was found.", "Give a video of one person seen from the front.")
    box = choose_box(speaker, shape[1], shape[0], SIZE)
    rows: list[np.ndarray] = []
    with FaceMeshLandmarks(max_faces=min(speaker.num_faces, 4)) as model:
        for frame in track(progress, "driving expression", reader, reader.expected_frames):
            found = model.detect(box.apply(frame))
            lost = np.full(NUM_FACE_SIGNALS, np.nan)
            rows.append(lost if found is None else face_signals(normalised_points(found)[None])[0])
    signals = np.array(rows)
    seen = np.isfinite(signals[:, 0])
    if len(signals) < LEAST_FRAMES:
        raise UserError(f"{path} has {len(signals)} frames, at least {LEAST_FRAMES} are needed.", "Give a longer one.")
    if seen.mean() < LEAST_SHARE:
        raise UserError(
            f"{path}: a face was found in only {seen.mean():.0%} of the frames.",
            "Give a video of one person seen from the front.",
        )
    widest = max((b - a for a, b in stretches(~seen)), default=0)
    if widest > LONGEST_GAP_FRAMES:
        raise UserError(f"{path}: the face is lost for {widest / 25:.1f} s.", "Cut that part out of the video.")
    return bridge(signals, seen)
