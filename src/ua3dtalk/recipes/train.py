"""Subject to avatar: priors, then the training stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.familiarity import FEWEST, Familiarity
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.storage import (
    INDEX,
    read_index,
    save_forecast,
    save_index,
    save_modes,
    save_parts,
    unfinished_avatar,
)
from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.core.provenance import provenance
from ua3dtalk.gaussians.initialisation import initial_face, initial_mouth
from ua3dtalk.priors.features import PriorFeatures
from ua3dtalk.priors.pipeline import PriorsConfig, fit_priors, subject_features
from ua3dtalk.recipes.data_report.report import PAGE_NAME, refusal
from ua3dtalk.recipes.truth import SubjectTruth
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.parts import split_of
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.topology import mean_face
from ua3dtalk.training.config import TrainConfig
from ua3dtalk.training.forecasting import fit_forecast
from ua3dtalk.training.loop import STATE_FILE, train
from ua3dtalk.training.modes import find_modes
from ua3dtalk.training.run import TrainingRun
from ua3dtalk.training.targets import TargetReader

SPEECH_STAGE = "speech"
PRIORS_FILE = "priors.safetensors"


def train_avatar(
    subject: Path,
    out: Path,
    config: TrainConfig,
    *,
    device: torch.device | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train an avatar of a prepared subject.

    Args:
        subject: Subject folder.
        out: Avatar folder to write.
        config: The run, from ``recipes.presets.preset``.
        device: Where to compute; None is the CPU.
        resume: Go on from an interrupted run in ``out``.
        progress: Where to report.

    Returns:
        The avatar folder.

    Raises:
        UserError: the subject cannot be trained on, or ``out`` holds something else.
    """
    report = progress or Silent()
    target = device or torch.device("cpu")
    opened = Subject.open(subject)
    require_trainable(opened)
    if finished_already(out, config, opened.source_sha256, resume=resume):
        return out
    fit_priors(opened, PriorsConfig(seed=config.seed), report)
    run = build_run(opened, config, make_rasterizer(target), target)
    log.info("Training %s with %s on %s", subject, run.rasterizer.name, target)
    train(run, out, opened.source_sha256, resume=resume, progress=report)
    facts = {
        "config": to_plain(config),
        "backend": run.rasterizer.name,
        "seed": config.seed,
        "gaussians": {name: len(layer.gaussians) for name, layer in run.layers.items()},
        "provenance": provenance(),
    }
    save_parts(out, opened, run.layers, run.viewmats, run.train_frames)
    _add_companions(out, opened, run, report)
    save_index(out, opened, run.layers, facts)
    (out / STATE_FILE).unlink(missing_ok=True)
    return out


def finished_already(out: Path, config: TrainConfig, subject_sha256: str, *, resume: bool) -> bool:
    """Whether ``out`` holds the finished avatar of this very run, which is then not trained over.

    Raises:
        UserError: ``out`` holds an avatar and ``resume`` is off, or it is of other settings or of another subject.
    """
    if not (out / INDEX).exists() or (resume and (out / STATE_FILE).exists()):
        return False
    if not resume:
        raise UserError(f"{out} already holds an avatar.", "Give another --out.")
    index = read_index(out)
    if (index.get("config"), index.get("subject_sha256")) != (to_plain(config), subject_sha256):
        raise UserError(
            f"{out} already holds an avatar, with other settings or of another subject.", "Give another --out."
        )
    log.info("%s is finished already.", out)
    return True


def _add_companions(out: Path, subject: Subject, run: TrainingRun, progress: Progress) -> None:
    """What is learnt of a trained avatar: patterns of its motion, what errors to expect, what it is used to hear."""
    predicted, generator = run.predicted.to("cpu"), np.random.default_rng(run.config.seed)
    for name, layer in run.layers.items() if run.config.modes.queries else ():
        tracks = (run.tracked, run.predicted)
        save_modes(out, name, find_modes(layer, tracks, run.train_frames, run.config.modes, generator, progress))
    avatar = unfinished_avatar(out, subject, run.layers, run.rasterizer, run.device)
    frames, truth = run.train_frames.tolist(), SubjectTruth(subject)
    save_forecast(out, fit_forecast(avatar, predicted, run.viewmats, frames, truth, generator, progress))
    if len(frames) >= FEWEST:
        Familiarity.fit(predicted, run.train_frames, avatar.priors.content).save(out)


def require_trainable(subject: Subject) -> None:
    """Refuse a subject that no avatar can be trained on, before anything is computed.

    Raises:
        UserError: the report of ``prepare`` says why not; or, in a subject without a report, there is no speech.
    """
    refused = refusal(subject)
    if refused is not None:
        raise UserError(
            f"{subject.folder} cannot be trained on. {refused.what}",
            f"{refused.cure} {subject.folder / PAGE_NAME} says more.",
        )
    if not subject.has_audio or not subject.stage_done(SPEECH_STAGE):
        raise UserError(
            f"{subject.folder} has no speech to learn from: {subject.source.name} has no sound, or it is silent.",
            "Prepare a video in which the person is heard speaking.",
        )


def build_run(subject: Subject, config: TrainConfig, rasterizer: Rasterizer, device: torch.device) -> TrainingRun:
    """Fresh layers, conditions and targets of a subject, before the first step."""
    track = subject.track()
    split = split_of(subject)
    generator = torch.Generator().manual_seed(config.seed)
    frames = np.array(split.train)
    frames = frames[track.valid[frames]]
    triangles = mean_face().triangles
    layers = {
        "mouth": AvatarLayer.create(
            initial_mouth(subject, frames, config.init), config.mouth, track, triangles, generator
        ),
        "face": AvatarLayer.create(
            initial_face(subject, frames, config.init, generator), config.face, track, triangles, generator
        ),
    }
    features = subject_features(subject.folder / PRIORS_FILE)
    return TrainingRun(
        config=config,
        track=track,
        split=split,
        tracked=conditions(subject, features, track.lower, track.upper).to(device),
        predicted=conditions(subject, features, features.lower, track.upper).to(device),
        layers={name: layer.to(device) for name, layer in layers.items()},
        targets=TargetReader(subject, track.viewmats.copy(), config.losses.mouth_weight, device),
        rasterizer=rasterizer,
        generator=generator,
        device=device,
    )


def conditions(subject: Subject, features: PriorFeatures, lower: np.ndarray, upper: np.ndarray) -> ConditionTrack:
    """Conditions of the subject's own frames with a given expression."""
    return ConditionTrack.from_arrays(
        audio=SpeechFeatures.load(subject.folder / "speech.npz").windows(subject.num_frames),
        upper=upper,
        lower=lower,
        content=features.content,
        style=features.style,
        emotion=features.emotion,
        present=features.present,
    )
