"""What a frame looks like: the avatar's moved Gaussians, coloured and chosen as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ua3dtalk.avatar.avatar import ORDER, Avatar
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.uncertainty import MotionMaps
from ua3dtalk.core.luma import LUMA
from ua3dtalk.geometry.spherical_harmonics import evaluate_sh, rgb_to_sh0, sh0_to_rgb
from ua3dtalk.render.rasterizer import DILATION_PX2
from ua3dtalk.render.types import Splats
from ua3dtalk.synthesis.heat import HeatScale, heat_colors

NATURAL = "natural"
UNCERTAINTY = "uncertainty"
HEARS = "attention to speech"
SEES = "attention to lids and brows"
COLOURS = (NATURAL, UNCERTAINTY, HEARS, SEES)
"""What the colour of a Gaussian can show."""
POINT_M = 6e-4
"""Standard deviation of a Gaussian that is shown as a point."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What to show of the head."""

    colour: str = NATURAL
    """One of COLOURS."""
    points: bool = False
    """Gaussians as small points."""
    layers: frozenset[str] = frozenset(ORDER)
    """Layers of the head that are drawn."""
    torso: bool = True
    """Torso and room behind it."""

    def __post_init__(self) -> None:
        if self.colour not in COLOURS:
            raise ValueError(f"`colour` must be one of {COLOURS}, got {self.colour!r}.")


class Scene:
    """Gaussians of a frame, layer by layer. Colours and opacities at rest are computed once.

    Args:
        avatar: Who is shown.
        source: Camera centre in the head frame for colours that depend on the view, metres.
        distance: From the camera to the head, metres.
    """

    def __init__(self, avatar: Avatar, source: Float[np.ndarray, " 3"], distance: float) -> None:
        self.avatar = avatar
        self.names = tuple(name for name in ORDER if name in avatar.layers)
        eye = torch.from_numpy(np.asarray(source, np.float32)).to(avatar.device)
        self._sh0 = {name: _seen_from(avatar, name, eye) for name in self.names}
        # In training every Gaussian was widened by a part of a pixel. A browser has smaller pixels, in which the gaps
        # between the Gaussians would show: the part of a pixel becomes a length.
        self._blur_m2 = DILATION_PX2 * (distance / float(avatar.K[1, 1])) ** 2
        self._scale: HeatScale | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Gaussians of each layer, back to front."""
        return {name: len(self._sh0[name]) for name in self.names}

    def calibrate(self, sample: list[Conditions]) -> None:
        """Take the scale of the uncertainty's colours from some frames (it has no unit of its own)."""
        maps = [self.avatar.moved("face", frame, want_maps=True)[1] for frame in sample]
        self._scale = HeatScale(m.fused_deviation[None].cpu().numpy() for m in maps if m is not None)

    @torch.no_grad()
    def layers(self, conditions: Conditions, look: Look, widen: bool = True) -> dict[str, Splats]:
        """The Gaussians of one frame in the head frame, back to front; layers that are not drawn have opacity 0.

        Args:
            conditions: What drives the frame.
            look: What to show.
            widen: Keep the trained sharpness in pictures with more pixels than the avatar was trained with.
        """
        want_maps = look.colour != NATURAL
        found = {}
        for name in self.names:
            splats, maps = self.avatar.moved(name, conditions, want_maps)
            sh = self._sh0[name] if maps is None else self._coloured(name, maps, look.colour)
            splats = replace(splats, sh=sh[:, None])
            if look.points:
                splats = replace(splats, scales=torch.full_like(splats.scales, POINT_M))
            elif widen:
                splats = replace(splats, scales=(splats.scales.square() + self._blur_m2).sqrt())
            if name not in look.layers:
                splats = replace(splats, opacities=torch.zeros_like(splats.opacities))
            found[name] = splats
        return found

    def _coloured(self, name: str, maps: MotionMaps, colour: str) -> Float[Tensor, "n 3"]:
        """Colours that show a number, as constant harmonics; the face's own brightness keeps its shape visible."""
        if colour == UNCERTAINTY:
            values = maps.fused_deviation[None].cpu().numpy()
            level = (self._scale or HeatScale([values])).percentiles(values)[0] / 100
        else:
            column = (HEARS, SEES).index(colour)
            gates = maps.gates.cpu().numpy()
            level = gates[:, column] if column < gates.shape[1] else np.zeros(len(gates))
            level = level / max(float(np.percentile(level, 99)), 1e-6)  # gates are small; their pattern is shown
        rgb = heat_colors((level[None].clip(0, 1) * 255).round().astype(np.uint8))[0].astype(np.float32) / 255
        grey = sh0_to_rgb(self._sh0[name]).clamp(0, 1) @ self._sh0[name].new_tensor(LUMA)
        return rgb_to_sh0(torch.from_numpy(rgb).to(grey.device) * (0.35 + 0.65 * grey)[:, None])


@torch.no_grad()
def _seen_from(avatar: Avatar, name: str, eye: Float[Tensor, " 3"]) -> Float[Tensor, "n 3"]:
    """Colours as seen from one place, as constant harmonics: a browser's splats have one colour each."""
    gaussians = avatar.layers[name].gaussians
    if gaussians.sh_degree == 0:
        return gaussians.sh[:, 0].detach()
    return rgb_to_sh0(evaluate_sh(gaussians.sh, gaussians.means - eye, gaussians.sh_degree)).detach()


def concatenated(layers: Mapping[str, Splats]) -> Splats:
    """All layers as one set, back to front."""
    parts = list(layers.values())
    return Splats(*(torch.cat([getattr(p, n) for p in parts]) for n in ("means", "quats", "scales", "opacities", "sh")))
