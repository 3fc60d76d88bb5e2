"""The emotion timeline as text: what is asked for or heard, in the form in which it can be edited and asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ua3dtalk.core.errors import UserError
from ua3dtalk.synthesis.drive import FPS, Drive
from ua3dtalk.synthesis.timeline import read_timeline

HEADER = "start_s,end_s,label,intensity"
MAX_LINES = 200
_WINDOW_S = 1.0


def timeline_text(drive: Drive, labels: Sequence[str]) -> str:
    """A line for each span of one emotion.

    What is heard in a voice is averaged over a second, and its intensity is the label's probability.

    Args:
        drive: What drives the frames.
        labels: The emotions that the avatar knows, in the order of its probabilities.
    """
    if drive.labels is not None and drive.intensity is not None:
        names, strengths = list(drive.labels), drive.intensity
    else:
        names, strengths = _heard(drive.features.emotion_probs, labels)
    starts = [0, *(i for i in range(1, len(names)) if names[i] != names[i - 1])]
    ends = [*starts[1:], len(names)]
    lines = [
        f"{start / FPS:.2f},{end / FPS:.2f},{names[start]},{float(np.max(strengths[start:end])):.2f}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return "\n".join([HEADER, *lines[:MAX_LINES]])


def emotion_at(drive: Drive, labels: Sequence[str], frame: int) -> tuple[str, float]:
    """Label and intensity of one frame."""
    if drive.labels is not None and drive.intensity is not None:
        return drive.labels[frame], float(drive.intensity[frame])
    low = max(0, frame - round(_WINDOW_S * FPS / 2))
    mean = drive.features.emotion_probs[low : frame + round(_WINDOW_S * FPS / 2) + 1].mean(0)
    return labels[int(mean.argmax())], float(mean.max())


def checked_timeline(text: str, folder: Path, labels: Sequence[str], duration_s: float) -> Path:
    """Text from the page as a file that synthesis reads.

    Args:
        text: As the page sent it.
        folder: Where to write the file; it gets a new name each time.
        labels: Emotions that are known.
        duration_s: Length of the speech.

    Raises:
        UserError: see ``read_timeline``; the sentence names the line.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".csv", dir=folder, delete=False, encoding="utf-8") as handle:
        handle.write(text[:1_000_000])
    path = Path(handle.name)
    try:
        read_timeline(path, labels, duration_s)
    except UserError as error:
        path.unlink()
        raise UserError(str(error).replace(f"--timeline {path}", "The timeline")) from error
    return path


def _heard(probabilities: Float[np.ndarray, "t l"], labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    window = round(_WINDOW_S * FPS)
    names: list[str] = []
    strengths = np.empty(len(probabilities))
    for start in range(0, len(probabilities), window):
        mean = probabilities[start : start + window].mean(0)
        names += [labels[int(mean.argmax())]] * len(probabilities[start : start + window])
        strengths[start : start + window] = mean.max()
    return names, strengths
