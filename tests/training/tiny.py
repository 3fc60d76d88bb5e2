"""A training run small enough for a test: a real subject folder of 48² with a blob for a head, made in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ua3dtalk.avatar.branch import BranchConfig
from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.planes import PlaneConfig
from ua3dtalk.gaussians.initialisation import InitialisationConfig, initial_face, initial_mouth
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.subject.labels import Label
from ua3dtalk.subject.split import make_split
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.subject.track_data import TrackData
from ua3dtalk.tracking.topology import mean_face
from ua3dtalk.training.config import StageConfig, TrainConfig
from ua3dtalk.training.run import TrainingRun
from ua3dtalk.training.targets import TargetReader

SIZE = 48
FRAMES = 60


def tiny_subject(folder: Path) -> Subject:
    """60 frames of an ellipse with a mouth that opens and shuts, and a track that knows it."""
    rng = np.random.default_rng(0)
    subject = Subject.create(
        folder, SourceFacts(name="tiny.mp4", sha256="0" * 64, num_frames=FRAMES, width=SIZE, height=SIZE)
    )
    phase = np.sin(np.arange(FRAMES) / 3)
    viewmats = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (FRAMES, 1, 1))
    viewmats[:, 2, 3] = 0.6
    viewmats[:, 0, 3] = 0.005 * np.sin(np.arange(FRAMES) / 7)
    intrinsics = np.array([[1.9 * SIZE, 0, SIZE / 2], [0, 1.9 * SIZE, SIZE / 2], [0, 0, 1.0]])
    mesh = mean_face().vertices.astype(np.float32)
    basis = np.zeros((19, 468, 3), np.float32)
    below = mesh[:, 1] < mesh[13, 1] - 1e-4
    mesh[below, 1] -= 0.015
    basis[12, below, 1] = -0.01
    lower = rng.standard_normal((FRAMES, 13)).astype(np.float32) * 0.1
    lower[:, 12] = phase
    landmarks = np.zeros((FRAMES, 478, 3), np.float32)
    for name in ("frames", "parsing", "torso"):
        (folder / name).mkdir()
    for i in range(FRAMES):
        moved = mesh + np.tensordot(lower[i], basis[:13], 1)
        points = moved @ viewmats[i, :3, :3].T + viewmats[i, :3, 3]
        pixels = points[:, :2] / points[:, 2:] * intrinsics[0, 0] + SIZE / 2
        landmarks[i, :468, :2] = pixels
        _paint(folder, i, pixels)
    cv2.imwrite(str(folder / "background.png"), np.full((SIZE, SIZE, 3), 90, np.uint8))
    TrackData(
        viewmats=viewmats,
        K=intrinsics,
        landmarks=landmarks,
        lower=lower,
        upper=rng.standard_normal((FRAMES, 6)).astype(np.float32),
        opening=(0.1 + 0.05 * phase).astype(np.float32),
        width=np.full(FRAMES, 0.6, np.float32),
        action_units=np.zeros((FRAMES, 1), np.float32),
        au_names=("AU25",),
        mesh=mesh,
        mesh_basis=basis,
        valid=np.ones(FRAMES, bool),
        head_points=np.tile(mesh, (FRAMES, 1, 1)),
    ).save(folder / "track.npz")
    return subject


def _paint(folder: Path, i: int, pixels: np.ndarray) -> None:
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    centre = pixels[[10, 152, 234, 454]].mean(0)
    axes = (int(np.ptp(pixels[[234, 454], 0]) * 0.55), int(np.ptp(pixels[[10, 152], 1]) * 0.6))
    cv2.ellipse(image, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, (120, 150, 200), -1)
    cv2.ellipse(labels, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, int(Label.SKIN), -1)
    lips = pixels[[78, 13, 308, 14]].astype(np.int32)
    cv2.fillPoly(image, [lips], (40, 20, 60))
    cv2.fillPoly(labels, [lips], int(Label.INNER_MOUTH))
    cv2.imwrite(str(folder / "frames" / f"{i:06d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    cv2.imwrite(str(folder / "parsing" / f"{i:06d}.png"), labels)
    cv2.imwrite(str(folder / "torso" / f"{i:06d}.png"), np.zeros((SIZE, SIZE, 4), np.uint8))


def tiny_config() -> TrainConfig:
    """All three stages, all parts, thirty steps."""
    face = BranchConfig(
        planes=PlaneConfig(base=8, multiples=(1, 2), channels=4),
        emotion_planes=PlaneConfig(base=8, multiples=(1,), channels=4),
        members=3,
        latent=8,
        hidden=16,
    )
    return TrainConfig(
        preset="tiny",
        face=face,
        mouth=face.as_mouth(),
        init=InitialisationConfig(face_count=300, mouth_count=40),
        stages=(
            StageConfig(name="mouth", branches=("mouth",), steps=6, static_steps=2),
            StageConfig(name="face", branches=("face",), steps=14, static_steps=5, refine_poses_at=(5,)),
            StageConfig(
                name="fuse", branches=("mouth", "face"), steps=10, ensemble_from=4, predicted_share=0.5, rate_scale=0.5
            ),
        ),
        checkpoint_every=4,
    )


def tiny_run(subject: Subject, config: TrainConfig) -> TrainingRun:
    """Fresh layers over random but fixed conditions."""
    track = subject.track()
    rng = np.random.default_rng(1)
    generator = torch.Generator().manual_seed(config.seed)
    split = make_split(track.num_frames)
    frames = np.array(split.train)
    triangles = mean_face().triangles
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    tracked = ConditionTrack.from_arrays(
        audio=np.abs(normal(FRAMES, 42, 16)) * 0.1,
        upper=track.upper,
        lower=track.lower,
        content=normal(FRAMES, 64),
        style=normal(FRAMES, 64),
        emotion=normal(FRAMES, 128),
    )
    predicted = replace(tracked, lower=tracked.lower * 0.8)
    layers = {
        "mouth": AvatarLayer.create(
            initial_mouth(subject, frames, config.init), config.mouth, track, triangles, generator
        ),
        "face": AvatarLayer.create(
            initial_face(subject, frames, config.init, generator), config.face, track, triangles, generator
        ),
    }
    return TrainingRun(
        config=config,
        track=track,
        split=split,
        tracked=tracked,
        predicted=predicted,
        layers=layers,
        targets=TargetReader(subject, track.viewmats.copy(), config.losses.mouth_weight, torch.device("cpu")),
        rasterizer=NumbaRasterizer(),
        generator=generator,
        device=torch.device("cpu"),
    )
