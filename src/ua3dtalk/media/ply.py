"""Standard 3D Gaussian splatting PLY, as viewers of the field open it. N Gaussians, K harmonic coefficients."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path

_MAX_HEADER_LINES = 200
_CURE = "Give a 3D Gaussian splatting PLY in binary little-endian form."


@dataclass(frozen=True, kw_only=True)
class PlySplats:
    """Gaussians as a PLY stores them: before activation."""

    means: Float32[np.ndarray, "n 3"]
    """Centres, metres."""
    quats_wxyz: Float32[np.ndarray, "n 4"]
    """Rotations, any norm above 0."""
    log_scales: Float32[np.ndarray, "n 3"]
    """Natural logarithm of the standard deviations in metres."""
    opacity_logits: Float32[np.ndarray, " n"]
    """Opacity before the sigmoid."""
    sh: Float32[np.ndarray, "n k 3"]
    """Spherical-harmonic colour coefficients, K = (degree + 1)²."""

    def __post_init__(self) -> None:
        counts = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(counts.values())) != 1:
            raise ValueError(f"All arrays must hold the same number of Gaussians, got {counts}.")
        for name in counts:
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"`{name}` must be finite.")


def write_ply(path: Path, splats: PlySplats, comment: str = "") -> None:
    """Write binary little-endian PLY in one atomic step, with the properties and their order of Kerbl et al. 2023.

    Args:
        path: Target.
        splats: What to write.
        comment: One line for the header, ASCII.

    Raises:
        ValueError: the comment is not one line of ASCII.
    """
    if "\n" in comment or "\r" in comment or not comment.isascii():
        raise ValueError(f"`comment` must be one line of ASCII, got {comment!r}.")
    n, k = splats.sh.shape[:2]
    names = _names(k)
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(n, 3 * (k - 1))  # channel by channel
    columns = [splats.means, np.zeros((n, 3)), splats.sh[:, 0], rest]
    columns += [splats.opacity_logits[:, None], splats.log_scales, splats.quats_wxyz]
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {comment}"] if comment else []
    header += [f"element vertex {n}", *(f"property float {name}" for name in names), "end_header"]
    with atomic_path(path) as partial, partial.open("wb") as handle:
        handle.write(("\n".join(header) + "\n").encode("ascii"))
        handle.write(np.concatenate(columns, 1).astype("<f4").tobytes())


def read_ply(path: Path) -> PlySplats:
    """Read what ``write_ply`` or another tool of the field wrote; normals and unknown float properties are ignored.

    Raises:
        UserError: missing, another kind of PLY, or truncated.
    """
    try:
        with path.open("rb") as handle:
            count, names = _read_header(handle, path)
            size = count * len(names) * 4
            if path.stat().st_size - handle.tell() < size:
                raise UserError(f"{path} is truncated: {count} Gaussians are promised.", "Get a whole copy.")
            data = handle.read(size)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", _CURE) from error
    table = np.frombuffer(data, "<f4").reshape(count, len(names)).astype(np.float32)
    column = {name: i for i, name in enumerate(names)}
    num_rest = sum(name.startswith("f_rest_") for name in names)
    wanted = _names(1 + num_rest // 3, normals=False)
    if missing := [name for name in wanted if name not in column]:
        raise UserError(f"{path} lacks the properties {', '.join(missing)}.", _CURE)

    def take(prefix: str, size: int) -> np.ndarray:
        return table[:, [column[f"{prefix}{i}"] for i in range(size)]]

    rest = take("f_rest_", num_rest // 3 * 3).reshape(count, 3, -1).transpose(0, 2, 1)
    try:
        return PlySplats(
            means=table[:, [column[axis] for axis in "xyz"]],
            quats_wxyz=take("rot_", 4),
            log_scales=take("scale_", 3),
            opacity_logits=table[:, column["opacity"]],
            sh=np.concatenate([take("f_dc_", 3)[:, None], rest], 1),
        )
    except ValueError as error:
        raise UserError(f"{path} holds values that are not finite ({error}).", "Export it again.") from error


def _names(k: int, normals: bool = True) -> list[str]:
    names = ["x", "y", "z"] + (["nx", "ny", "nz"] if normals else [])
    names += [f"f_dc_{i}" for i in range(3)] + [f"f_rest_{i}" for i in range(3 * (k - 1))]
    return [*names, "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]


def _read_header(handle: BinaryIO, path: Path) -> tuple[int, list[str]]:
    """Number of vertices and the names of their properties; leaves the file at the first vertex."""
    lines: list[str] = []
    while len(lines) < _MAX_HEADER_LINES and (not lines or lines[-1] != "end_header"):
        line = handle.readline(1024)
        if not line.endswith(b"\n"):
            break
        lines.append(line.decode("ascii", "replace").strip())
    if not lines or lines[0] != "ply" or lines[-1] != "end_header":
        raise UserError(f"{path} is not a PLY file.", _CURE)
    words = [line.split() for line in lines[1:-1] if line and not line.startswith(("comment", "obj_info"))]
    elements = [w for w in words if w[0] == "element"]
    properties = [w for w in words if w[0] == "property"]
    whole = (
        ["format", "binary_little_endian", "1.0"] in words
        and len(elements) == 1
        and len(elements[0]) == 3
        and elements[0][1] == "vertex"
        and elements[0][2].isdigit()
        and all(len(w) == 3 and w[1] in ("float", "float32") for w in properties)
    )
    if not whole:
        raise UserError(f"{path} is not a binary little-endian PLY of Gaussians.", _CURE)
    return int(elements[0][2]), [w[2] for w in properties]
