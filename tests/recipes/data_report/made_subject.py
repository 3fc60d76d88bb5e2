"""A subject folder of the synthetic actor without the tracker: real pictures, true poses, points and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ua3dtalk.media.audio import write_flac
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import STAGES, SourceFacts, Subject
from ua3dtalk.subject.track_data import TrackData

SIZE = 128


@dataclass
class MadeActor:
    """Some seconds of the actor, rendered once."""

    seconds: float = 4.0
    seed: int = 0

    @cached_property
    def actor(self) -> Actor:
        plan = (Cue(label="happy", intensity=1.0, seconds=self.seconds),)
        return Actor(ActorConfig(size=SIZE, seed=self.seed, plan=plan))

    @property
    def count(self) -> int:
        return round(self.seconds * 25)

    @cached_property
    def frames(self) -> list[np.ndarray]:
        return [self.actor.render(i) for i in range(self.count)]

    @cached_property
    def labels(self) -> dict[int, np.ndarray]:
        return {i: self.actor.render_labels(i) for i in range(0, self.count, 10)}

    def track(self) -> TrackData:
        """The truth, as if it had been tracked."""
        truth = self.actor.truth()
        count = self.count
        points = truth.landmarks[:count]
        camera = np.einsum("tij,tkj->tki", truth.viewmats[:count, :3, :3], points) + truth.viewmats[:count, None, :3, 3]
        depth = (camera[..., 2:] - camera[..., 2:].mean(1, keepdims=True)) * truth.K[0, 0] / camera[..., 2:]
        landmarks = np.concatenate([truth.projected()[:count], depth], -1)
        irises = landmarks[:, [33] * 5 + [263] * 5]
        return TrackData(
            viewmats=truth.viewmats[:count].astype(np.float64),
            K=truth.K.astype(np.float64),
            landmarks=np.concatenate([landmarks, irises], 1).astype(np.float32),
            lower=np.zeros((count, 13), np.float32),
            upper=np.zeros((count, 6), np.float32),
            opening=truth.opening[:count].astype(np.float32),
            width=np.ones(count, np.float32),
            action_units=np.zeros((count, 0), np.float32),
            au_names=(),
            mesh=points.mean(0).astype(np.float32),
            mesh_basis=np.zeros((19, 468, 3), np.float32),
            valid=np.ones(count, bool),
            head_points=points.astype(np.float32),
        )

    def write(
        self,
        folder: Path,
        frames: Sequence[np.ndarray] | None = None,
        labels: tuple[EmotionSpan, ...] = (),
        mute: bool = False,
    ) -> Subject:
        """The subject folder; other frames may be given in place of the actor's, of any width."""
        frames = self.frames if frames is None else frames
        height, width = frames[0].shape[:2]
        source = SourceFacts(name="made.mp4", sha256="0" * 64, num_frames=0, width=0, height=0, labels=labels)
        subject = Subject.create(folder, source)
        subject.set_size(len(frames), width, height)
        for name in ("frames", "parsing", "torso"):
            (folder / name).mkdir()
        for i, frame in enumerate(frames):
            cv2.imwrite(str(folder / "frames" / f"{i:06d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
            mask = np.zeros((height, width), np.uint8)
            mask[:SIZE, :SIZE] = self.labels[i // 10 * 10]
            cv2.imwrite(str(folder / "parsing" / f"{i:06d}.png"), mask)
            cv2.imwrite(str(folder / "torso" / f"{i:06d}.png"), np.zeros((height, width, 4), np.uint8))
        cv2.imwrite(str(folder / "background.png"), frames[0][..., ::-1])
        self.track().save(folder / "track.npz")
        facts: dict[str, dict[str, Any]] = {
            "pose": {"reprojection_px_at_512": 1.0, "flow_error_px_at_512": 0.05},
        }
        for stage in STAGES:
            subject.finish_stage(stage, [], facts.get(stage, {}))
        subject.finish_stage("speech", [], {"speech": "none"} if mute else self._speak(folder))
        return subject

    @cached_property
    def audio(self) -> np.ndarray:
        return self.actor.speech.audio[: round(self.seconds * 16000)]

    @cached_property
    def speech(self) -> SpeechFeatures:
        return PhoneEncoder().encode(self.audio)

    def _speak(self, folder: Path) -> dict[str, Any]:
        write_flac(folder / "audio.flac", self.audio)
        self.speech.save(folder / "speech.npz")
        return {"speech": "ok", "offset_frames": 1.0, "peak_r": 0.5}
