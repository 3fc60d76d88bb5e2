"""A stretch of the subject's own video to speak with: head poses, lids and brows, torso and background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from ua3dtalk.core.checkpoint import load_tensors, save_tensors
from ua3dtalk.core.sequence import pieces
from ua3dtalk.subject.frames import FrameFolder, read_picture
from ua3dtalk.subject.store import Subject

LONGEST_LOOP_FRAMES = 250
KIND = "avatar.loop"


@dataclass(frozen=True)
class PoseLoop:
    """Poses and layers of L consecutive frames."""

    viewmats: Float[np.ndarray, "l 4 4"]
    """World to camera."""
    upper: Float[np.ndarray, "l 6"]
    """Upper-face signals of these frames, z-scored, without the shift of the emotion that was shown in them."""
    background: UInt8[np.ndarray, "h w 3"]
    """Background plate, RGB."""
    torsos: FrameFolder
    """Torso layers, RGBA."""

    def __len__(self) -> int:
        return len(self.viewmats)

    def torso(self, i: int) -> UInt8[np.ndarray, "h w 4"]:
        """Torso layer of loop frame ``i``, straight alpha."""
        return self.torsos.read(i)

    def behind(self, i: int) -> Float[np.ndarray, "h w 3"]:
        """Torso over background, [0, 1]."""
        return torso_over(self.torso(i), self.background)


def torso_over(torso: UInt8[np.ndarray, "h w 4"], background: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """A torso layer over the background plate, [0, 1]."""
    alpha = torso[..., 3:].astype(np.float32) / 255
    return torso[..., :3].astype(np.float32) / 255 * alpha + background.astype(np.float32) / 255 * (1 - alpha)


def calmest_stretch(
    viewmats: Float[np.ndarray, "t 4 4"], frames: Int[np.ndarray, " f"], joints: Sequence[int] = ()
) -> Int[np.ndarray, " l"]:
    """The consecutive stretch of the given frames whose poses stay closest to the usual one.

    Args:
        viewmats: Poses of all frames.
        frames: Frames to choose from.
        joints: First frame of each of several videos but the first: the stretch is one of the longest video's.
    """
    borders = np.searchsorted(frames, joints).tolist()
    longest = max(pieces(len(frames), borders), key=len)
    frames = frames[longest.start : longest.stop]
    length = min(LONGEST_LOOP_FRAMES, len(frames))
    turns = viewmats[frames, :3, :3]
    far = np.linalg.norm(turns - np.median(turns, 0), axis=(1, 2))  # a head that tilts is as far off as one that turns
    sums = np.convolve(far, np.ones(length), "valid")
    start = int(np.argmin(sums))
    return frames[start : start + length]


def save_loop(
    folder: Path,
    subject: Subject,
    viewmats: Float[np.ndarray, "t 4 4"],
    upper: Float[np.ndarray, "t 6"],
    frames: Int[np.ndarray, " l"],
) -> None:
    """Copy what a loop needs out of the subject, so that an avatar folder stands alone.

    Args:
        folder: Target.
        subject: Where torso and background are.
        viewmats: Poses of all frames.
        upper: Upper-face signals of all frames, without the shift of their emotion: the emotion asked for is added.
        frames: The frames of the loop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, i in enumerate(frames):
        source = subject.folder / "torso" / f"{int(i):06d}.png"
        (folder / f"{number:06d}.png").write_bytes(source.read_bytes())
    (folder / "background.png").write_bytes((subject.folder / "background.png").read_bytes())
    tensors = {
        "viewmats": torch.from_numpy(viewmats[frames].astype(np.float64)),
        "upper": torch.from_numpy(np.ascontiguousarray(upper[frames], np.float32)),
    }
    save_tensors(folder / "loop.safetensors", tensors, kind=KIND, header={"frames": [int(i) for i in frames]})


def load_loop(folder: Path) -> PoseLoop:
    """Read a loop.

    Raises:
        UserError: a file is missing or damaged.
    """
    tensors, _ = load_tensors(folder / "loop.safetensors", kind=KIND)
    background = read_picture(folder / "background.png", 3)
    torsos = FrameFolder(folder, ".png", 4, cache=16)
    return PoseLoop(tensors["viewmats"].numpy(), tensors["upper"].numpy(), background, torsos)
