"""Avatar to standard 3DGS PLY."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ua3dtalk.avatar.storage import load_avatar, read_index
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import log
from ua3dtalk.media.marks import UNMARKED, mark_text
from ua3dtalk.media.ply import PlySplats, write_ply
from ua3dtalk.recipes.evaluate import protocol_rows
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.render.types import Splats
from ua3dtalk.subject.store import Subject


def export_ply(
    avatar: Path,
    out: Path,
    *,
    frame: int = 0,
    count: int = 1,
    marked: bool = True,
    device: torch.device | None = None,
) -> list[Path]:
    """Write face and mouth of frames of the subject's video, moved, in the head frame (metres).

    Args:
        avatar: Avatar folder.
        out: PLY to write; the frame's number is added to the name where there are several (``head_00025.ply``).
        frame: First frame of the subject whose expression is taken.
        count: How many frames, one PLY each: there is no standard format for splats that move.
        marked: Whether the files say that they were made by a machine; it is logged where they do not.
        device: Where to compute; None is the CPU.

    Returns:
        The files.

    Raises:
        UserError: no such frame, or the avatar or its subject is missing or damaged.
    """
    index = read_index(avatar)
    subject = Subject.open(Path(index["subject_folder"]))
    if frame + count > subject.num_frames:
        raise UserError(f"--frame {frame + count - 1} does not exist.", f"The last frame is {subject.num_frames - 1}.")
    target = device or torch.device("cpu")
    loaded = load_avatar(avatar, make_rasterizer(target), target)
    track, _ = protocol_rows(subject, avatar / "priors.safetensors")["expression"]
    numbered = [(i, out if count == 1 else out.with_stem(f"{out.stem}_{i:05d}")) for i in range(frame, frame + count)]
    if not marked:
        log.warning("%s", UNMARKED.format(out))
    comment = mark_text(index["subject_sha256"]) if marked else ""
    for i, path in numbered:
        write_ply(path, _stored(loaded.splats(track.frame(i))), comment)
    return [path for _, path in numbered]


def _stored(splats: Sequence[Splats]) -> PlySplats:
    """Several layers as one set, before activation."""
    harmonics = max(s.sh.shape[1] for s in splats)
    padded = [torch.nn.functional.pad(s.sh, (0, 0, 0, harmonics - s.sh.shape[1])) for s in splats]
    numpy = lambda tensors: torch.cat(list(tensors)).cpu().numpy().astype(np.float32)  # noqa: E731
    return PlySplats(
        means=numpy(s.means for s in splats),
        quats_wxyz=numpy(s.quats for s in splats),
        log_scales=numpy(s.scales.log() for s in splats),
        opacity_logits=numpy(torch.logit(s.opacities, eps=1e-6) for s in splats),
        sh=numpy(padded),
    )
