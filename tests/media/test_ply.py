"""PLY: round trip, byte layout of the standard, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gsplat import export_splats

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.ply import PlySplats, read_ply, write_ply


def splats(n: int = 7, k: int = 9) -> PlySplats:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return PlySplats(
        means=draw(n, 3), quats_wxyz=draw(n, 4), log_scales=draw(n, 3), opacity_logits=draw(n), sh=draw(n, k, 3)
    )


def equal(a: PlySplats, b: PlySplats) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)


@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_round_trip_is_exact(tmp_path: Path, k: int) -> None:
    before = splats(k=k)
    write_ply(tmp_path / "a b.ply", before, comment="AI-generated")
    assert equal(read_ply(tmp_path / "a b.ply"), before)
    assert b"comment AI-generated\n" in (tmp_path / "a b.ply").read_bytes()[:100]


@pytest.mark.parametrize("k", [4, 9])
def test_reads_what_gsplat_exports(tmp_path: Path, k: int) -> None:
    """gsplat's exporter fixes the meaning of every property: order of the harmonics, wxyz, stored before activation."""
    a = splats(k=k)
    t = torch.from_numpy
    data = export_splats(
        t(a.means), t(a.log_scales), t(a.quats_wxyz), t(a.opacity_logits), t(a.sh[:, :1]), t(a.sh[:, 1:])
    )
    (tmp_path / "g.ply").write_bytes(data)
    assert equal(read_ply(tmp_path / "g.ply"), a)


def test_header_is_the_standard_one(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", splats(n=2, k=4))
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n", 1)
    names = [line.split()[2].decode() for line in header.splitlines() if line.startswith(b"property")]
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:] == [
        *(f"f_rest_{i}" for i in range(9)), "opacity", "scale_0", "scale_1", "scale_2", *(f"rot_{i}" for i in range(4))
    ]  # fmt: skip
    assert len(body) == 2 * len(names) * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:-4], "truncated"),
        (lambda d: b"PK" + d, "not a PLY"),
        (lambda d: d.replace(b"binary_little_endian", b"ascii"), "not a binary little-endian"),
        (lambda d: d.replace(b"vertex 7", b"vertex 99999999999999"), "truncated"),
        (lambda d: d.replace(b"float opacity", b"float opacitx"), "lacks the properties opacity"),
        (lambda d: d.replace(b"element vertex 7", b"element face 7"), "not a binary little-endian"),
        (lambda d: d[:-4] + np.float32(np.nan).tobytes(), "not finite"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, splats())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=message):
        read_ply(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_ply(tmp_path / "none.ply")


def test_nothing_bad_is_written(tmp_path: Path) -> None:
    good = splats()
    with pytest.raises(ValueError, match="finite"):
        PlySplats(
            means=good.means * np.float32(np.inf),
            quats_wxyz=good.quats_wxyz,
            log_scales=good.log_scales,
            opacity_logits=good.opacity_logits,
            sh=good.sh,
        )
    with pytest.raises(ValueError, match="comment"):
        write_ply(tmp_path / "a.ply", good, comment="two\nlines")
    assert not list(tmp_path.iterdir())
