"""Which training frame comes next: shuffled epochs, and windows over a signal that slide with training."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class CurriculumSampler:
    """Draws frame numbers. Every call ends: there is no rejection loop.

    Args:
        frames: The frames to draw from.
        signals: Signals over these frames (mouth opening, blink); the sliding window runs over each in turn.
        share: Share of the draws, 0..1, that come from the window.
        width: Width of the window as a share of the sorted frames, 0..1.
        generator: Source of randomness.
    """

    def __init__(
        self,
        frames: Int[np.ndarray, " f"],
        signals: list[Float[np.ndarray, " f"]],
        share: float,
        width: float,
        generator: torch.Generator,
    ) -> None:
        if len(frames) == 0:
            raise ValueError("CurriculumSampler needs at least one frame.")
        self._frames = torch.from_numpy(frames.astype(np.int64))
        self._sorted = [self._frames[torch.from_numpy(np.argsort(s, kind="stable"))] for s in signals]
        self._share = share if signals else 0.0
        self._width = width
        self._generator = generator
        self._queue = self._frames[:0]
        self._turn = 0

    def draw(self, progress: float) -> int:
        """The next frame.

        Args:
            progress: Position in the stage, 0..1: the window starts at small values of the signal and ends at large.
        """
        if self._share > 0 and self._uniform() < self._share:
            order = self._sorted[self._turn % len(self._sorted)]
            self._turn += 1
            span = max(1, int(len(order) * self._width))
            start = int((len(order) - span) * min(max(progress, 0.0), 1.0))
            return int(order[start + min(int(self._uniform() * span), span - 1)])
        if len(self._queue) == 0:
            self._queue = self._frames[torch.randperm(len(self._frames), generator=self._generator)]
        frame, self._queue = int(self._queue[-1]), self._queue[:-1]
        return frame

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._generator))

    def state(self) -> dict[str, Tensor]:
        """What must be stored to go on exactly (the generator is stored by its owner)."""
        return {"queue": self._queue.clone(), "turn": torch.tensor(self._turn)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from ``state()``."""
        self._queue = state["queue"].clone()
        self._turn = int(state["turn"])
