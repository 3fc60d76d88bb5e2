"""The commands as functions: `prepare`, `train`, `synthesize` and `evaluate`.

```python
import ua3dtalk

ua3dtalk.prepare("me.mp4", "me", labels="me.csv", i_have_consent=True)  # which emotion is shown when
ua3dtalk.train("me", "me-avatar", preset="quick")
ua3dtalk.synthesize("me-avatar", "speech.wav", "talk.mp4", emotion="happy", intensity=0.7)
metrics = ua3dtalk.evaluate("me-avatar", "report")
print(metrics["rows"]["driven"]["regions"]["head"]["psnr_db"]["mean"])
```

Parameters have the names, the meaning and the defaults of the commands' options (`--max-steps` is `max_steps`), and a
function returns what its command prints with `--json`. What a command would refuse raises `ua3dtalk.UserError`, with
the same sentence. Functions are silent; `quiet=False` shows the bars that the command shows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from ua3dtalk.cli.command import Command
from ua3dtalk.cli.console import logging_to, make_progress
from ua3dtalk.cli.evaluate import Evaluate
from ua3dtalk.cli.prepare import Prepare
from ua3dtalk.cli.synthesize import Synthesize
from ua3dtalk.cli.train import Train
from ua3dtalk.core.errors import UserError

__all__ = ["UserError", "evaluate", "prepare", "synthesize", "train"]


def prepare(
    video: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    size: int = 512,
    start_s: float = 0.0,
    max_seconds: float | None = None,
    labels: str | Path | Sequence[str] = (),
    face_model: str | Path | None = None,
    speech_encoder: str | None = None,
    content_prior: str | Path | None = None,
    emotion_prior: str | Path | None = None,
    i_have_consent: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Track a portrait video: frames, head pose, masks, expression and speech, into a subject folder.

    Args:
        video: Any video with one speaker who faces the camera; or several of the same person by the same camera, which
            become one subject.
        out: The subject folder to write; an unfinished one is gone on with.
        size: Largest side of the prepared frames in pixels, 64 to 2048; smaller videos keep their size.
        start_s: Where to begin in each video, seconds.
        max_seconds: How much of each video to use, seconds; None takes all of it.
        labels: The emotion that each video shows, in their order, as ``("happy", "sad")``; or, of one video, a table:
            a CSV with ``start_s,end_s,label,intensity``.
        face_model: A MediaPipe ``face_landmarker.task`` in place of the model that comes with MediaPipe.
        speech_encoder: Also hear with a speech model of ``transformers``, as ``MODEL`` or ``MODEL:LAYER``: a folder, or
            the name of one that was downloaded.
        content_prior: Content prior from `ua3dtalk priors train-content`, of the same speech encoder.
        emotion_prior: Emotion teacher from `ua3dtalk priors train-emotion`.
        i_have_consent: The person in the video agreed to an avatar; without this you are asked where there is a
            terminal, and refused elsewhere, once for each subject.
        quiet: False shows progress.

    Returns:
        ``subject`` (the folder), its size and length, and the data report: ``verdict``, ``findings``, ``report``.

    Raises:
        UserError: the video cannot become a subject; says why.
    """
    command = Prepare(
        video=tuple(Path(one) for one in _several(video)),
        out=Path(out),
        size=size,
        start_s=start_s,
        max_seconds=max_seconds,
        labels=tuple(str(one) for one in _several(labels)),
        face_model=_path(face_model),
        speech_encoder=speech_encoder,
        content_prior=_path(content_prior),
        emotion_prior=_path(emotion_prior),
        i_have_consent=i_have_consent,
    )
    return _done(command, quiet)


def train(
    subject: str | Path,
    out: str | Path,
    *,
    preset: Literal["quick", "standard", "paper"] = "quick",
    device: str = "auto",
    max_steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    set: Sequence[str] = (),
    quiet: bool = True,
) -> dict[str, Any]:
    """Train an avatar from a subject folder.

    Args:
        subject: The folder that `prepare` made.
        out: The avatar folder to write.
        preset: ``quick``: minutes on two cores; ``standard``: better, an hour or more; ``paper``: the published
            schedule, for a GPU.
        device: Where to compute: ``auto``, ``cpu`` or ``cuda``.
        max_steps: A shorter training: this many steps in all, every stage shortened in proportion.
        seed: Seed of everything random: the same seed gives the same avatar on a CPU.
        resume: Go on with an interrupted training, to the same result.
        set: Changes of the preset, as ``("face.covariance=full",)``.
        quiet: False shows progress.

    Returns:
        ``avatar`` (the folder), ``preset`` and ``seed``.

    Raises:
        UserError: the subject cannot be trained on, ``out`` holds something else, or a setting does not fit.
    """
    command = Train(
        subject=Path(subject),
        out=Path(out),
        preset=preset,
        device=device,
        max_steps=max_steps,
        seed=seed,
        resume=resume,
        set=tuple(set),
    )
    return _done(command, quiet)


def synthesize(
    avatar: str | Path,
    audio: str | Path,
    out: str | Path,
    *,
    emotion: str = "auto",
    intensity: float = 1.0,
    timeline: str | Path | None = None,
    emotion_from: str | Path | None = None,
    extrapolate: bool = False,
    pose: str = "source",
    blink: str = "source",
    confidence: str | Path | None = None,
    side_by_side: bool = False,
    min_confidence: float = 0.0,
    report: str | Path | None = None,
    exact: bool = False,
    no_provenance: bool = False,
    speech_encoder: str | None = None,
    device: str = "auto",
    quiet: bool = True,
) -> dict[str, Any]:
    """Let an avatar speak: any speech in, a video with sound out.

    Args:
        avatar: The folder that `train` made.
        audio: The speech: any sound file, or a video with sound.
        out: The video to write, ``.mp4``.
        emotion: ``auto`` (from the voice), or a label that the subject's video was prepared with; ``neutral`` always.
        intensity: How strong the emotion is, 0 to 1; with `emotion_from` a factor.
        timeline: Emotions over time: a CSV with ``start_s,end_s,label,intensity``, or ``time_s,label,intensity``.
        emotion_from: A video of anybody whose face shows the emotion over time.
        extrapolate: Borrow the motion of other people for emotions that the subject never showed.
        pose: ``source`` (the subject's own, to and fro), ``still``, or an ``.npz`` file with ``viewmats``.
        blink: ``source``, ``generated`` or ``none``.
        confidence: Also write a video here that shows where the picture is likely to be wrong, and why, ``.mp4``.
        side_by_side: In that video, show the talking head beside the heat.
        min_confidence: Calm the motion where confidence in the speech is below this, 0 (off) to 1.
        report: Also write what was done, and for every frame the error to expect and why, here, ``.json``.
        exact: Run the networks at every Gaussian, not only at those that tell how the others move.
        no_provenance: Leave out the mark that says the video was made by a machine; that is logged.
        speech_encoder: Where the speech model lies that the subject was prepared with, if it has moved.
        device: Where to compute: ``auto``, ``cpu`` or ``cuda``.
        quiet: False shows progress.

    Returns:
        What was done: frames, speed, emotions and where the files are.

    Raises:
        UserError: the speech cannot be read, the avatar is damaged, or an option does not fit.
    """
    command = Synthesize(
        avatar=Path(avatar),
        audio=Path(audio),
        out=Path(out),
        emotion=emotion,
        intensity=intensity,
        timeline=_path(timeline),
        emotion_from=_path(emotion_from),
        extrapolate=extrapolate,
        pose=pose,
        blink=blink,
        confidence=_path(confidence),
        side_by_side=side_by_side,
        min_confidence=min_confidence,
        report=_path(report),
        exact=exact,
        no_provenance=no_provenance,
        speech_encoder=speech_encoder,
        device=device,
    )
    return _done(command, quiet)


def evaluate(
    avatar: str | Path,
    out: str | Path,
    *,
    subject: str | Path | None = None,
    weights: str | Path | None = None,
    speech_encoder: str | None = None,
    device: str = "auto",
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """Measure an avatar on the frames that were held out of its training.

    Args:
        avatar: The folder that `train` made.
        out: Folder for ``metrics.json``, ``index.html`` and pictures.
        subject: The subject folder, if it was moved since the training.
        weights: Folder with weights of optional metrics.
        speech_encoder: Where the speech model lies that the subject was prepared with, if it has moved.
        device: Where to compute: ``auto``, ``cpu`` or ``cuda``.
        seed: Seed of the intervals.
        quiet: False shows progress.

    Returns:
        The metrics: ``rows`` by protocol, each with its scores.

    Raises:
        UserError: the avatar or its subject is missing or damaged.
    """
    command = Evaluate(
        avatar=Path(avatar),
        out=Path(out),
        subject=_path(subject),
        weights=_path(weights),
        speech_encoder=speech_encoder,
        device=device,
        seed=seed,
    )
    return _done(command, quiet)


def _several(given: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return (given,) if isinstance(given, str | Path) else given


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _done(command: Command, quiet: bool) -> dict[str, Any]:
    """Run a command as the command line does, but for its printing and exit codes."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    console = Console(stderr=True)
    with nullcontext() if quiet else logging_to(console, silent=False):
        return dict(command.run(make_progress(console, silent=quiet)).values)
