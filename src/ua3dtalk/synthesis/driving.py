"""Emotion over time from the face in a driving video."""

from __future__ import annotations

from pathlib import Path

from ua3dtalk.core.progress import Progress, log
from ua3dtalk.priors.emotion_space import Askable
from ua3dtalk.priors.visual_emotion import FaceEmotions, FaceReading
from ua3dtalk.tracking.video_signals import video_signals


def read_driving(
    path: Path, askable: Askable, extrapolate: bool, progress: Progress, max_seconds: float | None = None
) -> FaceReading:
    """What the face in a video shows, among the emotions that this avatar can show.

    Args:
        path: A video of anybody.
        askable: What the avatar can show.
        extrapolate: Whether it may borrow from other people.
        progress: Where to report.
        max_seconds: Read at most this much.

    Raises:
        UserError: see ``video_signals``; or the avatar can show none of the emotions that can be read.
    """
    model = FaceEmotions.load()
    can = (*askable.own, *(askable.lent if extrapolate else ()))
    allowed = [name for name in model.readable if name in can]
    if not allowed:
        askable.find(model.readable[0], extrapolate)  # says why
    left_out = [name for name in model.readable if name not in allowed]
    if left_out:
        log.warning("Counts as neutral, because the subject never showed it: %s.", ", ".join(left_out))
    reading = model.read(video_signals(path, progress, max_seconds), model.readable)
    named = reading.named()
    shares = {name: named.count(name) / len(named) for name in dict.fromkeys(named)}
    log.info("%s shows: %s.", path.name, ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    return reading.only(allowed)
