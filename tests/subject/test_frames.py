"""Pictures of a subject: what is damaged is refused, before it costs anything."""

from __future__ import annotations

import resource
from pathlib import Path

import cv2
import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.frames import read_grey, read_picture


def test_a_part_longer_than_the_file_reserves_no_memory(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture)
    assert np.array_equal(read_picture(path, 3), picture[..., ::-1])
    whole = path.read_bytes()
    at = whole.index(b"IDAT") - 4
    path.write_bytes(whole[:at] + b"\x7f\xff\x00\x00" + whole[at + 4 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (lambda: read_picture(path, 3), lambda: read_grey(path)):
        with pytest.raises(UserError, match="damaged"):
            read()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # was 2 GiB
