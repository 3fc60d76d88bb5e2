"""What the actor looks like: colours drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ua3dtalk.subject.actor.mesh import linear_rgb


@dataclass(frozen=True, kw_only=True)
class Looks:
    """Linear colours of one actor."""

    skin: Float[np.ndarray, 3]
    """Albedo of the skin."""
    lips: Float[np.ndarray, 3]
    """Albedo of the lips."""
    hair: Float[np.ndarray, 3]
    """Albedo of the hair."""
    iris: Float[np.ndarray, 3]
    """Albedo of the iris."""
    cloth: Float[np.ndarray, 3]
    """Albedo of the jumper."""
    backdrop: Float[np.ndarray, 3]
    """Colour of the wall behind."""


_SKINS = ((226, 178, 152), (214, 164, 134), (188, 134, 104), (141, 94, 69))
_LIPS = ((196, 112, 108), (184, 104, 98), (164, 92, 84), (128, 72, 66))
_HAIRS = ((92, 58, 36), (58, 38, 27), (150, 104, 60), (38, 28, 24))
_IRISES = ((86, 124, 140), (96, 118, 78), (112, 74, 40), (74, 98, 128))
_CLOTHS = ((44, 92, 104), (120, 54, 62), (58, 70, 112), (88, 100, 72))
_BACKDROPS = ((196, 200, 200), (190, 196, 206), (206, 200, 192), (184, 196, 190))


def looks_of(seed: int) -> Looks:
    """Colours for a seed; seed 0 gives the first of every list."""
    generator = np.random.default_rng(seed)
    pick = [0] * 5 if seed == 0 else generator.integers(0, 4, 5).tolist()
    return Looks(
        skin=linear_rgb(*_SKINS[pick[0]]),
        lips=linear_rgb(*_LIPS[pick[0]]),
        hair=linear_rgb(*_HAIRS[pick[1]]),
        iris=linear_rgb(*_IRISES[pick[2]]),
        cloth=linear_rgb(*_CLOTHS[pick[3]]),
        backdrop=linear_rgb(*_BACKDROPS[pick[4]]),
    )
