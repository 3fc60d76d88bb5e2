"""The mark of generated media is found where it is, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.provenance import AI_GENERATED
from ua3dtalk.media.marks import SUBJECT, read_mark
from ua3dtalk.media.ply import PlySplats, write_ply
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.synthesis.write import DIGITAL_SOURCE_TYPE, video_tags

SHA = "ab" * 32


def film(path: Path, tags: dict[str, str]) -> Path:
    with VideoWriter(path, 25, (32, 32), metadata=tags) as out:
        for _ in range(3):
            out.write(np.zeros((32, 32, 3), np.uint8))
    return path


def test_a_synthesized_video_says_so(tmp_path: Path) -> None:
    mark = read_mark(film(tmp_path / "made.mp4", video_tags(SHA)))
    assert mark.ai_generated and mark.source_type == DIGITAL_SOURCE_TYPE
    assert mark.says["comment"].startswith(AI_GENERATED) and mark.subject_sha256 == SHA


def test_other_videos_do_not(tmp_path: Path) -> None:
    mark = read_mark(film(tmp_path / "plain.mp4", {"title": "holiday"}))
    assert not mark.ai_generated and mark.source_type is None and mark.subject_sha256 is None


def test_a_ply_says_whom_it_shows(tmp_path: Path) -> None:
    one = np.ones((1, 3), np.float32)
    splats = PlySplats(
        means=one,
        quats_wxyz=np.ones((1, 4), np.float32),
        log_scales=one,
        opacity_logits=np.ones(1, np.float32),
        sh=np.ones((1, 1, 3), np.float32),
    )
    write_ply(tmp_path / "head.ply", splats, comment=f"{AI_GENERATED}; {SUBJECT}{SHA}")
    mark = read_mark(tmp_path / "head.ply")
    assert mark.ai_generated and mark.subject_sha256 == SHA
    write_ply(tmp_path / "plain.ply", splats)
    assert not read_mark(tmp_path / "plain.ply").ai_generated


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "text.ply", "empty.ply"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    if name.startswith("text"):
        (tmp_path / name).write_text("no medium at all")
    if name.startswith("empty"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=name):
        read_mark(tmp_path / name)
