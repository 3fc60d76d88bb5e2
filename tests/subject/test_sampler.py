"""The curriculum sampler: epochs, the sliding window, exact resume."""

from __future__ import annotations

import numpy as np
import torch

from ua3dtalk.subject.sampler import CurriculumSampler


def _sampler(share: float, seed: int = 0) -> tuple[CurriculumSampler, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    frames = np.arange(100, 200)
    return CurriculumSampler(frames, [frames.astype(np.float32)], share, 0.2, generator), generator


def test_without_curriculum_every_frame_comes_once_per_epoch() -> None:
    sampler, _ = _sampler(0.0)
    assert sorted(sampler.draw(0.5) for _ in range(100)) == list(range(100, 200))


def test_window_slides_from_small_to_large() -> None:
    sampler, _ = _sampler(1.0)
    early = [sampler.draw(0.0) for _ in range(200)]
    late = [sampler.draw(1.0) for _ in range(200)]
    assert max(early) < 120 and min(early) >= 100
    assert min(late) >= 180 and max(late) < 200


def test_resumed_sampler_draws_the_same() -> None:
    sampler, generator = _sampler(0.5)
    for _ in range(37):
        sampler.draw(0.3)
    state, random = sampler.state(), generator.get_state()
    rest = [sampler.draw(0.4) for _ in range(150)]
    other, other_generator = _sampler(0.5, seed=9)
    other.load_state(state)
    other_generator.set_state(random)
    assert [other.draw(0.4) for _ in range(150)] == rest
