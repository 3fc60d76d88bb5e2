"""A PLY of ours in other hands: trimesh reads the exact values, and a plain renderer makes the same picture of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.media.ply import PlySplats, write_ply
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.reference import ReferenceRasterizer
from ua3dtalk.render.types import Splats

trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed: pip install 'ua3dtalk[viewer]'")


def head(n: int = 400) -> PlySplats:
    """Gaussians on a head-sized ellipsoid; colour does not depend on the side (degree 0)."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(n, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    arrays = {
        "means": normal * [0.08, 0.11, 0.09],
        "quats_wxyz": rng.normal(size=(n, 4)),
        "log_scales": np.log(rng.uniform(0.002, 0.015, (n, 3))),
        "opacity_logits": rng.normal(size=n) * 2,
        "sh": rng.normal(size=(n, 1, 3)) * 0.4,
    }
    return PlySplats(**{name: value.astype(np.float32) for name, value in arrays.items()})


def camera() -> Camera:
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = 0.6
    K = torch.tensor([[160.0, 0.0, 40.0], [0.0, 160.0, 32.0], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, 80, 64)


def read_by_trimesh(path: Path) -> PlySplats:
    """Another project's reader, told nothing but the names that the standard gives to the properties."""
    with path.open("rb") as handle:
        vertex = trimesh.exchange.ply.load_ply(handle)["metadata"]["_ply_raw"]["vertex"]["data"]

    def columns(*names: str) -> np.ndarray:
        return np.stack([np.asarray(vertex[name]).reshape(-1) for name in names], 1)

    return PlySplats(
        means=columns("x", "y", "z"),
        quats_wxyz=columns("rot_0", "rot_1", "rot_2", "rot_3"),
        log_scales=columns("scale_0", "scale_1", "scale_2"),
        opacity_logits=columns("opacity")[:, 0],
        sh=columns("f_dc_0", "f_dc_1", "f_dc_2")[:, None],
    )


def activated(ply: PlySplats) -> Splats:
    t = torch.from_numpy
    opacities = torch.sigmoid(t(ply.opacity_logits))
    return Splats(t(ply.means), t(ply.quats_wxyz), t(ply.log_scales).exp(), opacities, t(ply.sh))


def test_another_reader_finds_the_exact_values(tmp_path: Path) -> None:
    before = head()
    write_ply(tmp_path / "head.ply", before, comment="AI-generated")
    after = read_by_trimesh(tmp_path / "head.ply")
    for name in before.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)


def test_the_picture_of_another_reader_is_ours(tmp_path: Path) -> None:
    """Within one grey level of 255, and far from it when two scales change places: the test can see a difference."""
    before = head()
    write_ply(tmp_path / "head.ply", before)
    after = read_by_trimesh(tmp_path / "head.ply")
    ours = NumbaRasterizer()(activated(before), camera(), sh_degree=0).rgb
    theirs = ReferenceRasterizer()(activated(after), camera(), sh_degree=0).rgb
    assert ours.max() > 0.2
    assert float((ours - theirs).abs().max()) < 1 / 255
    swapped = PlySplats(**{**vars(after), "log_scales": after.log_scales[:, ::-1].copy()})
    other = ReferenceRasterizer()(activated(swapped), camera(), sh_degree=0).rgb
    assert float((ours - other).abs().max()) > 10 / 255
