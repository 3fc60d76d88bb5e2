"""What an emotion does to voice and face, per unit of intensity."""

from __future__ import annotations

from dataclasses import dataclass, field

from ua3dtalk.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Mood:
    """Changes at intensity 1; they shrink in proportion to the intensity."""

    pitch: float = 0.0
    """Relative change of the mean pitch."""
    pitch_range: float = 0.0
    """Relative change of the pitch range."""
    rate: float = 0.0
    """Relative change of the speed of speech."""
    level_db: float = 0.0
    """Change of loudness, dB."""
    brightness: float = 0.0
    """Change of the glottal low-pass, octaves; positive is brighter."""
    breath: float = 0.0
    """Added breath noise relative to the voice."""
    articulation: float = 0.0
    """Relative change of the size of mouth movements."""
    face: dict[str, float] = field(default_factory=dict)
    """Expression weights."""
    gaze_up_rad: float = 0.0
    """Where the eyes tend to."""
    head_pitch_rad: float = 0.0
    """Where the head tends to; positive is down."""


MOODS: dict[str, Mood] = {
    "neutral": Mood(),
    "happy": Mood(
        pitch=0.24,
        pitch_range=0.70,
        rate=0.07,
        level_db=2.0,
        brightness=0.45,
        articulation=0.12,
        face={
            "smile": 0.95,
            "squint": 0.42,
            "brow_outer_up": 0.45,
            "brow_inner_up": 0.20,
            "upper_lip_raise": 0.12,
        },
    ),
    "sad": Mood(
        pitch=-0.10,
        pitch_range=-0.55,
        rate=-0.18,
        level_db=-4.0,
        brightness=-0.9,
        breath=0.06,
        articulation=-0.22,
        face={"brow_inner_up": 1.0, "frown": 0.75, "blink": 0.14, "brow_lower": 0.12},
        gaze_up_rad=-0.07,
        head_pitch_rad=0.05,
    ),
    "angry": Mood(
        pitch=0.12,
        pitch_range=0.25,
        rate=0.06,
        level_db=4.0,
        brightness=1.1,
        articulation=0.18,
        face={"brow_lower": 1.0, "squint": 0.35, "lip_press": 0.30, "nose_wrinkle": 0.55, "frown": 0.18},
        head_pitch_rad=0.03,
    ),
}


def mood_of(label: str) -> Mood:
    """The mood of an emotion label.

    Raises:
        UserError: the actor does not play this emotion.
    """
    if label not in MOODS:
        raise UserError(f"The actor does not play {label!r}.", f"Choose one of {', '.join(MOODS)}.")
    return MOODS[label]
