"""What the page shows, without the page: avatar, speech, emotion, look and transport. Threads may share it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8, UInt32

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.core.progress import Progress
from ua3dtalk.core.sequence import spread
from ua3dtalk.synthesis.drive import FPS, Drive, make_drive
from ua3dtalk.synthesis.options import AUTO, SynthesisOptions
from ua3dtalk.synthesis.write import Known, synthesize
from ua3dtalk.viewer.packing import pack
from ua3dtalk.viewer.picture import draw
from ua3dtalk.viewer.player import Player
from ua3dtalk.viewer.scene import UNCERTAINTY, Look, Scene, concatenated
from ua3dtalk.viewer.speech import Speech
from ua3dtalk.viewer.stage import BACKGROUND_RGB, Stage, View
from ua3dtalk.viewer.timeline_text import checked_timeline, emotion_at, timeline_text

BLINK_SEED = 0
"""As in ``ua3dtalk synthesize``: a saved video is the one that the command makes."""
_BEHIND_M = 0.03
_SAMPLE = 4


@dataclass(frozen=True)
class Shot:
    """Everything that one picture depends on."""

    frame: int
    """0 … T-1."""
    drive: Drive
    """What drives the frames."""
    look: Look
    """What to show."""
    change: int
    """Grows with every change but that of the frame."""


class Session:
    """One avatar on show.

    Args:
        avatar: Who is shown.
        speech: What is said at first.
        on_change: Called after every change of what is shown but the passing of time.
        subject_sha256: Hash of the video that the avatar was learnt from; written into what is saved.
    """

    def __init__(
        self,
        avatar: Avatar,
        speech: Speech,
        on_change: Callable[[], None] = lambda: None,
        subject_sha256: str | None = None,
    ) -> None:
        self.avatar = avatar
        self._known = Known(subject_sha256=subject_sha256)
        viewmats = np.asarray(avatar.loop.viewmats)
        back_m = _BEHIND_M - float(avatar.layers["face"].gaussians.means.detach()[:, 2].min())
        self.stage = Stage(viewmats, avatar.K, (avatar.width, avatar.height), back_m)
        eye = np.linalg.inv(self.stage.world_from_head(viewmats[0]))  # head from world, near enough for colours
        self.scene = Scene(avatar, (eye @ np.append(self.stage.source.position, 1.0))[:3], self.stage.distance)
        self.on_change = on_change
        self._folder = tempfile.TemporaryDirectory(prefix="ua3dtalk-")
        self._lock = threading.RLock()
        self._torso_lock = threading.Lock()
        self._look, self._options, self._change = Look(), SynthesisOptions(), 0
        self._speech, self._drive = speech, self._driven(speech, self._options)
        self._scaled = False
        self.player = Player(len(self._drive), FPS)

    @property
    def speech(self) -> Speech:
        """What is said."""
        return self._speech

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions that the priors know, in the order of their probabilities."""
        return tuple(self.avatar.priors.labels)

    def askable(self, borrow: bool) -> tuple[str, ...]:
        """Emotions that can be asked for: those that the subject showed, and on request those that others lend."""
        found = self.avatar.priors.askable
        return (*found.own, *(name for name in found.lent if borrow and name not in found.own))

    @property
    def timeline(self) -> str:
        """The emotion timeline as text."""
        return timeline_text(self._drive, self.labels)

    def shot(self) -> Shot:
        """What is to be shown now."""
        with self._lock:
            return Shot(min(self.player.frame, len(self._drive) - 1), self._drive, self._look, self._change)

    def say(self, speech: Speech) -> None:
        """Another recording; a timeline belongs to its recording and is dropped."""
        dropped = self._options.timeline is not None
        self._swap(speech, SynthesisOptions(pose=self._options.pose) if dropped else self._options)

    def feel(self, emotion: str, intensity: float, borrow: bool = False) -> None:
        """One emotion for the whole speech, or ``auto``.

        Raises:
            UserError: the subject never showed it, and it may not or cannot be borrowed.
        """
        borrow = borrow and emotion != AUTO
        asked = SynthesisOptions(emotion=emotion, intensity=intensity, extrapolate=borrow, pose=self._options.pose)
        self._swap(self._speech, asked)

    def follow(self, text: str, borrow: bool = False) -> None:
        """Emotions over time.

        Raises:
            UserError: a line is wrong.
        """
        known, duration_s = self.askable(borrow), self._speech.num_frames / FPS
        path = checked_timeline(text, Path(self._folder.name), known, duration_s)
        self._swap(self._speech, SynthesisOptions(timeline=path, extrapolate=borrow, pose=self._options.pose))

    def move(self, moves: bool) -> None:
        """Whether the head moves as in the subject's video, or is held still."""
        self._swap(self._speech, replace(self._options, pose="source" if moves else "still"))

    def show(self, look: Look) -> None:
        """Another look."""
        if look.colour == UNCERTAINTY and not self._scaled:
            chosen = spread(len(self._drive), _SAMPLE)
            self.scene.calibrate([self._drive.conditions.frame(int(i)) for i in chosen])
            self._scaled = True
        with self._lock:
            self._look = look
            self._change += 1
        self.on_change()

    def emotion(self, shot: Shot) -> str:
        """What the face shows in a frame, for people."""
        label, strength = emotion_at(shot.drive, self.labels, shot.frame)
        return f"{label} {strength:.2f}"

    def words(self, shot: Shot) -> UInt32[np.ndarray, "n 8"]:
        """The Gaussians of a frame, packed for the browser."""
        return pack(concatenated(self.scene.layers(shot.drive.conditions.frame(shot.frame), shot.look)))

    def head_pose(self, shot: Shot) -> Float64[np.ndarray, "4 4"]:
        """Head to world."""
        return self.stage.world_from_head(shot.drive.viewmats[shot.frame])

    def torso_index(self, shot: Shot) -> int:
        """Which picture of the loop stands behind the head; -1 for none."""
        return int(shot.drive.torso[shot.frame]) if shot.look.torso else -1

    def torso(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """A picture of the loop: torso over the room; -1 is the empty one."""
        if index < 0:
            return np.full((self.avatar.height, self.avatar.width, 3), BACKGROUND_RGB, np.uint8)
        with self._torso_lock:
            return (self.avatar.loop.behind(index) * 255).round().astype(np.uint8)

    def picture(self, shot: Shot, view: View, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
        """A frame as our own rasterizer draws it from any camera."""
        widen = height > self.avatar.height  # an own pixel is as wide as a trained one below that
        layers = self.scene.layers(shot.drive.conditions.frame(shot.frame), shot.look, widen=widen)
        behind = self.stage.behind(self.torso(self.torso_index(shot)), view, width, height)
        viewmat = view.viewmat() @ self.head_pose(shot)
        return draw(self.avatar.rasterizer, layers, viewmat, view.intrinsics(width, height), behind)

    def write_video(self, out: Path, progress: Progress) -> None:
        """The speech with its emotion as a video, marked and signed, as ``ua3dtalk synthesize`` writes it."""
        speech, options = self._speech, self._options
        generator = np.random.default_rng(BLINK_SEED)
        synthesize(self.avatar, speech.samples, speech.features, out, options, generator, progress, self._known)

    def close(self) -> None:
        """Remove what it wrote."""
        self._folder.cleanup()

    def _driven(self, speech: Speech, options: SynthesisOptions) -> Drive:
        generator = np.random.default_rng(BLINK_SEED)
        return make_drive(self.avatar, speech.features, speech.num_frames, options, generator)

    def _swap(self, speech: Speech, options: SynthesisOptions) -> None:
        drive = self._driven(speech, options)
        with self._lock:
            if speech is not self._speech:
                self.player.load(len(drive))
                self._scaled = False
            self._speech, self._options, self._drive = speech, options, drive
            self._change += 1
        self.on_change()
