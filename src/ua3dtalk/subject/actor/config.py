"""What kind of actor to make."""

from __future__ import annotations

from dataclasses import dataclass

from ua3dtalk.subject.actor.moods import mood_of
from ua3dtalk.subject.labels import EmotionSpan


@dataclass(frozen=True, kw_only=True)
class Cue:
    """A stretch of speech in one emotion."""

    label: str
    """``neutral``, ``happy``, ``sad`` or ``angry``."""
    intensity: float
    """Strength, 0..1."""
    seconds: float
    """Length, seconds."""


def _plan(*cues: tuple[str, float, float]) -> tuple[Cue, ...]:
    return tuple(Cue(label=label, intensity=intensity, seconds=seconds) for label, intensity, seconds in cues)


# The last eleventh (4 s) is the test split: it has happy and sad speech.
DEFAULT_PLAN = _plan(
    ("neutral", 0.0, 6.0),
    ("happy", 0.5, 4.0),
    ("angry", 0.5, 4.0),
    ("sad", 0.5, 4.0),
    ("neutral", 0.0, 3.4),
    ("happy", 1.0, 4.6),
    ("sad", 1.0, 4.6),
    ("angry", 1.0, 4.4),
    ("neutral", 0.0, 3.0),
    ("happy", 1.0, 3.4),
    ("sad", 1.0, 2.6),
)


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """Configuration of ``generate_actor``."""

    seed: int = 0
    """Everything random follows from it: looks, words, motion."""
    size: int = 256
    """Width and height of the video, pixels."""
    fps: float = 25.0
    """Frames per second."""
    plan: tuple[Cue, ...] = DEFAULT_PLAN
    """Emotions in the order in which they are played."""
    pitch_hz: float = 118.0
    """Mean pitch of the neutral voice."""
    formant_scale: float = 1.0
    """Relative height of the formants: above 1 for a shorter vocal tract."""
    head_range_deg: float = 12.0
    """Largest yaw of the head, degrees; pitch and roll stay below half of it."""

    def __post_init__(self) -> None:
        if not self.plan:
            raise ValueError("plan must have at least one cue.")
        for cue in self.plan:
            mood_of(cue.label)
            if cue.seconds <= 0 or not 0 <= cue.intensity <= 1:
                raise ValueError(f"A cue needs seconds > 0 and an intensity in 0..1, got {cue}.")
        if self.size < 64 or self.fps <= 0:
            raise ValueError(f"size must be at least 64 and fps positive, got {self.size} and {self.fps}.")

    @property
    def spans(self) -> tuple[EmotionSpan, ...]:
        """The plan in time."""
        spans: list[EmotionSpan] = []
        start = 0.0
        for cue in self.plan:
            end = round(start + cue.seconds, 6)
            spans.append(EmotionSpan(start_s=start, end_s=end, label=cue.label, intensity=cue.intensity))
            start = end
        return tuple(spans)
