"""Frames are rendered ahead of whoever takes them: in order, one at a time, never far ahead."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from ua3dtalk.synthesis.drive import Drive, make_drive
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.synthesis.render import render_frames

FRAMES = 12
PATIENCE_S = 20.0


@pytest.fixture
def drive(fakes: Any) -> Drive:
    samples = fakes.voice(FRAMES / 25)
    return make_drive(fakes.Avatar(), fakes.speech(samples), FRAMES, SynthesisOptions(), np.random.default_rng(0))


def test_every_frame_in_order(fakes: Any, drive: Drive) -> None:
    avatar = fakes.Avatar()
    wanted = [avatar.render(drive.conditions.frame(i), drive.viewmats[i], int(drive.torso[i])) for i in range(FRAMES)]
    for frames in (None, range(3, 9)):
        found = list(render_frames(avatar, drive, frames=frames))
        expected = wanted if frames is None else wanted[3:9]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(found, expected, strict=True))


def test_the_next_frame_is_rendered_while_one_is_written_and_no_two_at_once(fakes: Any, drive: Drive) -> None:
    begun, busy = threading.Semaphore(0), threading.Lock()

    class Watched(fakes.Avatar):
        def render(self, *arguments: Any, **named: Any) -> Any:
            assert busy.acquire(blocking=False), "two frames at once"
            try:
                begun.release()
                return super().render(*arguments, **named)
            finally:
                busy.release()

    avatar = Watched()
    for i, _ in enumerate(render_frames(avatar, drive)):
        assert begun.acquire(timeout=PATIENCE_S)  # this frame's own
        if i == 0:
            assert begun.acquire(timeout=PATIENCE_S), "the second is rendered while the first is held"
            begun.release()
        assert avatar.rendered <= i + 3
    assert avatar.rendered == FRAMES


def test_an_error_reaches_the_caller(fakes: Any, drive: Drive) -> None:
    class Broken(fakes.Avatar):
        def render(self, *arguments: Any, **named: Any) -> Any:
            if self.rendered == 2:
                raise ValueError("third frame")
            return super().render(*arguments, **named)

    taken = 0
    with pytest.raises(ValueError, match="third frame"):
        for _ in render_frames(Broken(), drive):
            taken += 1
    assert taken == 2
