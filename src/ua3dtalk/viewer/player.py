"""The transport: which frame is shown now. Knows time and frames, nothing of pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Player:
    """Plays T frames by the clock: a slow picture skips frames, it does not slow the speech down.

    Safe to use from several threads.

    Args:
        num_frames: T, at least 1.
        fps: Frames per second.
        clock: Seconds, never going back.
    """

    def __init__(self, num_frames: int, fps: float = 25.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self.fps = fps
        self.looping = True
        """Whether it begins again at the end; else it stops on the last frame."""
        self.load(num_frames)

    def load(self, num_frames: int) -> None:
        """Stand still at the start of another T frames.

        Raises:
            ValueError: fewer than one frame.
        """
        if num_frames < 1:
            raise ValueError(f"`num_frames` must be at least 1, got {num_frames}.")
        with self._lock:
            self.num_frames = num_frames
            self._start, self._since = 0, None

    @property
    def playing(self) -> bool:
        """Whether time runs; false again when the end has been reached."""
        with self._lock:
            self._settle()
            return self._since is not None

    @property
    def frame(self) -> int:
        """The frame of now, 0 … T-1."""
        with self._lock:
            self._settle()
            return min(self._start + self._elapsed(), self.num_frames - 1)

    def play(self) -> None:
        """Go on; from the start where the end has been reached."""
        with self._lock:
            if self.playing:
                return
            if self._start >= self.num_frames - 1:
                self._start = 0
            self._since = self._clock()

    def pause(self) -> None:
        """Stand still."""
        with self._lock:
            self._start, self._since = self.frame, None

    def seek(self, frame: int) -> None:
        """Jump; frames outside are taken to the nearest end. Playing goes on."""
        with self._lock:
            running = self.playing
            self._start = min(max(frame, 0), self.num_frames - 1)
            self._since = self._clock() if running else None

    def step(self, frames: int) -> None:
        """Stand still some frames further on (or back)."""
        with self._lock:
            self.pause()
            self.seek(self._start + frames)

    def wait_s(self) -> float:
        """How long until the next frame; 0 where it stands still."""
        with self._lock:
            if self._since is None:
                return 0.0
            return max(0.0, self._since + (self._elapsed() + 1) / self.fps - self._clock())

    def _elapsed(self) -> int:
        # A hair is added, so that waiting until a frame's time always reaches it.
        return 0 if self._since is None else int((self._clock() - self._since) * self.fps + 1e-6)

    def _settle(self) -> None:
        """Begin again, or stop, where time has run over the end."""
        over = self._start + self._elapsed() - self.num_frames
        if self._since is None or over < 0:
            return
        if self.looping:
            rounds = 1 + over // self.num_frames
            self._since += (rounds * self.num_frames - self._start) / self.fps
            self._start = 0
        else:
            self._start, self._since = self.num_frames - 1, None
