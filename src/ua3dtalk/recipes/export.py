"""Avatar to standard 3DGS PLY."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ua3dtalk.avatar.storage import load_avatar, read_index
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.provenance import AI_GENERATED
from ua3dtalk.media.marks import SUBJECT
from ua3dtalk.media.ply import PlySplats, write_ply
from ua3dtalk.recipes.evaluate import protocol_rows
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.store import Subject


def export_ply(avatar: Path, out: Path, *, frame: int = 0, device: torch.device | None = None) -> None:
    """Write face and mouth of one frame of the subject's video, moved, in the head frame (metres).

    Args:
        avatar: Avatar folder.
        out: PLY to write.
        frame: Frame of the subject whose expression is taken.
        device: Where to compute; None is the CPU.

    Raises:
        UserError: no such frame, or the avatar or its subject is missing or damaged.
    """
    index = read_index(avatar)
    subject = Subject.open(Path(index["subject_folder"]))
    if frame >= subject.num_frames:
        raise UserError(f"--frame {frame} does not exist.", f"The last frame is {subject.num_frames - 1}.")
    target = device or torch.device("cpu")
    loaded = load_avatar(avatar, make_rasterizer(target), target)
    track, _ = protocol_rows(subject, avatar / "priors.safetensors")["expression"]
    splats = loaded.splats(track.frame(frame))
    harmonics = max(s.sh.shape[1] for s in splats)
    padded = [torch.nn.functional.pad(s.sh, (0, 0, 0, harmonics - s.sh.shape[1])) for s in splats]
    numpy = lambda tensors: torch.cat(list(tensors)).cpu().numpy().astype(np.float32)  # noqa: E731
    write_ply(
        out,
        PlySplats(
            means=numpy(s.means for s in splats),
            quats_wxyz=numpy(s.quats for s in splats),
            log_scales=numpy(s.scales.log() for s in splats),
            opacity_logits=numpy(torch.logit(s.opacities, eps=1e-6) for s in splats),
            sh=numpy(padded),
        ),
        comment=f"{AI_GENERATED}; {SUBJECT}{index['subject_sha256']}",
    )
