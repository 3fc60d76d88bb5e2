"""The avatar folder: ``avatar.json``, safetensors and the loop's pictures. Nothing is unpickled."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from ua3dtalk.avatar.avatar import Avatar, Companions
from ua3dtalk.avatar.branch import BranchConfig
from ua3dtalk.avatar.forecast import FRAME_FEATURES, Forecast
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.motion_modes import MotionModes
from ua3dtalk.avatar.pose_loop import calmest_stretch, load_loop, save_loop
from ua3dtalk.core.checkpoint import SCHEMA_VERSION, load_into, load_tensors, save_tensors
from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import read_json, write_json
from ua3dtalk.core.progress import log
from ua3dtalk.priors.pipeline import Priors, subject_features
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.subject.parts import joints_of
from ua3dtalk.subject.store import Subject

INDEX = "avatar.json"
LAYER_KIND = "avatar.layer"
POSES_KIND = "avatar.poses"
FORECAST_KIND = "avatar.forecast"
FORECAST_FILE = "forecast.safetensors"


def save_parts(
    folder: Path,
    subject: Subject,
    layers: Mapping[str, AvatarLayer],
    viewmats: Float[np.ndarray, "t 4 4"],
    train_frames: np.ndarray,
) -> None:
    """Write a trained avatar, all but ``avatar.json``: ``save_index`` comes last, so that a folder with it is complete.

    Args:
        folder: Target.
        subject: Where it was learnt from; its priors and loop are copied.
        layers: Trained layers by name.
        viewmats: Refined poses of all frames.
        train_frames: Frames the loop may be taken from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, layer in layers.items():
        header = {"config": to_plain(layer.motion.config)}
        save_tensors(folder / f"{name}.safetensors", layer.state_dict(), kind=LAYER_KIND, header=header)
    poses = {"viewmats": torch.from_numpy(np.ascontiguousarray(viewmats))}
    save_tensors(folder / "poses.safetensors", poses, kind=POSES_KIND, header={})
    shutil.copyfile(subject.folder / "priors.safetensors", folder / "priors.safetensors")
    calm = subject.track().upper - subject_features(folder / "priors.safetensors").upper_offset
    save_loop(folder / "loop", subject, viewmats, calm, calmest_stretch(viewmats, train_frames, joints_of(subject)))


def save_index(folder: Path, subject: Subject, layers: Mapping[str, AvatarLayer], facts: Mapping[str, Any]) -> None:
    """Write ``avatar.json``, which makes a folder an avatar.

    Args:
        folder: Target; everything else is in it.
        subject: Where the avatar was learnt from.
        layers: Its layers by name.
        facts: Configuration, commit, seed, back-end, metrics (JSON-serialisable).
    """
    index = {
        "schema": SCHEMA_VERSION,
        "layers": sorted(layers),
        "width": subject.width,
        "height": subject.height,
        "intrinsics": subject.track().K.tolist(),
        "subject_sha256": subject.source_sha256,
        "subject_folder": str(subject.folder.resolve()),
        **facts,
    }
    write_json(folder / INDEX, index)


def read_index(folder: Path) -> dict[str, Any]:
    """``avatar.json``, checked.

    Raises:
        UserError: this is no avatar folder, training is not finished, or it has another schema.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder.", "Give the --out folder of `ua3dtalk train`.")
    if not (folder / INDEX).exists():
        raise UserError(f"{folder} has no {INDEX}: it is no avatar, or its training has not finished.", "Train it.")
    index = read_json(folder / INDEX)
    if not isinstance(index, dict) or index.get("schema") != SCHEMA_VERSION:
        found = index.get("schema") if isinstance(index, dict) else None
        raise UserError(f"{folder / INDEX} has schema {found!r}, this version reads {SCHEMA_VERSION}.", "Train again.")
    return index


def load_avatar(folder: Path, rasterizer: Rasterizer, device: torch.device, exact: bool = False) -> Avatar:
    """Read an avatar.

    Args:
        folder: Avatar folder.
        rasterizer: Back-end.
        device: Where to compute.
        exact: Run its networks at every Gaussian, not only at anchors.

    Raises:
        UserError: a file is missing, damaged, altered, or of another version; the message names it.
    """
    index = read_index(folder)
    layers = {name: load_layer(folder / f"{name}.safetensors") for name in index["layers"]}
    return Avatar(
        layers,
        np.array(index["intrinsics"], np.float64),
        (int(index["width"]), int(index["height"])),
        load_loop(folder / "loop"),
        Priors.load(folder / "priors.safetensors"),
        rasterizer,
        device,
        Companions({} if exact else load_modes(folder, layers), load_forecast(folder)),
    )


def unfinished_avatar(
    folder: Path, subject: Subject, layers: Mapping[str, AvatarLayer], rasterizer: Rasterizer, device: torch.device
) -> Avatar:
    """The avatar of ``save_parts`` and ``save_modes``, before it has a forecast and an index."""
    size, priors = (subject.width, subject.height), Priors.load(folder / "priors.safetensors")
    known, loop = Companions(load_modes(folder, layers)), load_loop(folder / "loop")
    return Avatar(dict(layers), subject.track().K, size, loop, priors, rasterizer, device, known)


def save_modes(folder: Path, name: str, modes: MotionModes) -> None:
    """Write the patterns of a layer's motion beside the layer."""
    modes.save(_modes_file(folder, name))


def load_modes(folder: Path, layers: Mapping[str, AvatarLayer]) -> dict[str, MotionModes]:
    """Patterns of those layers that have them."""
    there = {name: layer for name, layer in layers.items() if _modes_file(folder, name).exists()}
    return {n: MotionModes.load(_modes_file(folder, n), len(layer.gaussians)) for n, layer in there.items()}


def _modes_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.modes.safetensors"


def save_forecast(folder: Path, forecast: Forecast) -> None:
    """Write an avatar's forecast beside it."""
    header = {"features": list(FRAME_FEATURES)}
    save_tensors(folder / FORECAST_FILE, forecast.tensors(), kind=FORECAST_KIND, header=header)


def load_forecast(folder: Path) -> Forecast | None:
    """An avatar's forecast; None where it has none that this version understands."""
    path = folder / FORECAST_FILE
    if not path.exists():
        return None
    tensors, header = load_tensors(path, kind=FORECAST_KIND)
    if header.get("features") != list(FRAME_FEATURES):
        log.warning(
            "%s was written by an older version and is left out: train again to know what errors to expect.", path
        )
        return None
    return Forecast.from_tensors(tensors)


def load_layer(path: Path) -> AvatarLayer:
    """Read one layer into a template of its stored configuration."""
    tensors, header = load_tensors(path, kind=LAYER_KIND)
    config = from_plain(BranchConfig, header["config"], where=path.name)
    if "gaussians.sh" not in tensors:
        raise UserError(f"{path} holds no Gaussians.", "Train again.")
    n, harmonics = tensors["gaussians.sh"].shape[:2]
    layer = AvatarLayer.template(n, int(harmonics**0.5) - 1, config)
    load_into(layer, tensors, str(path))
    return layer


def load_poses(folder: Path) -> Float[np.ndarray, "t 4 4"]:
    """Refined poses of all frames of the subject."""
    return load_tensors(folder / "poses.safetensors", kind=POSES_KIND)[0]["viewmats"].numpy()
