"""The avatar: layers, camera, priors and a loop of poses; renders one frame at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ua3dtalk.avatar.branch import Motion, StaticFeatures
from ua3dtalk.avatar.conditions import Conditions
from ua3dtalk.avatar.forecast import CHANNELS, INSIDE, Forecast, FrameForecast, channels_of
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.motion_modes import ModesStatic, MotionModes
from ua3dtalk.avatar.pose_loop import PoseLoop
from ua3dtalk.avatar.uncertainty import MotionMaps
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.priors.pipeline import Priors
from ua3dtalk.render.compositing import over
from ua3dtalk.render.rasterizer import Rasterizer
from ua3dtalk.render.types import RenderOutput, Splats

MOTION_KINDS = ("full", "mesh", "none")
ORDER = ("mouth", "face")
"""Layers from back to front."""


Motions: TypeAlias = "dict[str, Motion | None]"
"""Motion per layer, back to front; None leaves a layer at rest."""


@dataclass(frozen=True)
class Drawing:
    """What was drawn for a frame, before it is rounded to eight bits."""

    image: Float[np.ndarray, "h w 3"]
    """RGB, 0..1."""
    alpha: Float[np.ndarray, "h w"]
    """Coverage by the face layer."""
    coverage: Float[np.ndarray, "h w"]
    """Coverage by all layers: the inner mouth lies behind the face."""
    mouth: Bool[np.ndarray, "h w"]
    """Where the mouth's layer lies, seen or not."""
    deviation: Float[np.ndarray, "h w"] | None
    """As in ``AvatarFrame``."""
    streams: dict[str, dict[str, float]] | None
    """As in ``AvatarFrame``."""
    channels: Float[np.ndarray, "h w 4"] | None
    """What a forecast needs of all layers (``forecast.CHANNELS``); None without a baseline."""

    def inside(self) -> Bool[np.ndarray, "h w"]:
        """Pixels of the head."""
        return self.coverage > INSIDE


@dataclass(frozen=True)
class AvatarFrame:
    """One rendered frame."""

    image: UInt8[np.ndarray, "h w 3"]
    """RGB."""
    deviation: Float[np.ndarray, "h w"] | None
    """Fused standard deviation splatted over the head (latent units), 0 where there is no head."""
    uncertainty: float | None
    """Mean of ``deviation`` over the head."""
    streams: dict[str, dict[str, float]] | None
    """Per stream: mean aleatoric, epistemic, conflict and trust over the face."""
    forecast: FrameForecast | None = None
    """What error to expect; None unless maps were asked for and the avatar has a forecast."""


@dataclass(frozen=True)
class Companions:
    """What is learnt of an avatar when it is trained."""

    modes: Mapping[str, MotionModes] = field(default_factory=dict)
    """Patterns of the layers' motion; a layer without is moved by its networks at every Gaussian."""
    forecast: Forecast | None = None
    """What errors to expect."""


class Avatar:
    """A trained avatar, ready to render. Its networks are never changed here.

    Args:
        layers: ``face`` and, where the subject showed one, ``mouth``.
        intrinsics: Pinhole intrinsics in pixels, ``[3, 3]``.
        size: Width and height in pixels.
        loop: Poses, torso and upper-face signals to speak with.
        priors: Content, style and emotion models.
        rasterizer: Back-end.
        device: Where to compute.
        companions: What was learnt of it after training, as far as there is any.
    """

    def __init__(
        self,
        layers: dict[str, AvatarLayer],
        intrinsics: Float[np.ndarray, "3 3"],
        size: tuple[int, int],
        loop: PoseLoop,
        priors: Priors,
        rasterizer: Rasterizer,
        device: torch.device,
        companions: Companions | None = None,
    ) -> None:
        self.layers = {name: layer.to(device).eval() for name, layer in layers.items()}
        self.K = intrinsics
        self.width, self.height = size
        self.loop = loop
        self.priors = priors
        self.rasterizer = rasterizer
        self.device = device
        companions = companions or Companions()
        self.forecast = companions.forecast
        self._modes = {name: modes.to(device) for name, modes in companions.modes.items()}
        self._static: dict[str, StaticFeatures] = {}
        self._modes_static: dict[str, ModesStatic] = {}

    @torch.no_grad()
    def move(self, conditions: Conditions, want_maps: bool = False, motion: str = "full") -> Motions:
        """What the networks say of one frame: what rendering needs no pose for. Arguments as in ``draw``."""
        if motion not in MOTION_KINDS:
            raise ValueError(f"`motion` must be one of {MOTION_KINDS}, got {motion!r}.")
        there = conditions.to(self.device)
        maps = want_maps and motion == "full"
        return {n: self._motion(n, there, motion, maps and n == "face") for n in ORDER if n in self.layers}

    def render(
        self,
        conditions: Conditions,
        viewmat: Float[np.ndarray, "4 4"],
        torso_index: int,
        want_maps: bool = False,
        motions: Motions | None = None,
    ) -> AvatarFrame:
        """One frame in front of torso ``torso_index`` of the loop. Arguments as in ``render_over``."""
        return self.render_over(conditions, viewmat, self.loop.behind(torso_index), want_maps, motions=motions)

    def render_over(
        self,
        conditions: Conditions,
        viewmat: Float[np.ndarray, "4 4"],
        behind: Float[np.ndarray, "h w 3"],
        want_maps: bool = False,
        motion: str = "full",
        motions: Motions | None = None,
    ) -> AvatarFrame:
        """One frame over a given picture. Arguments as in ``draw``."""
        known = self.forecast if want_maps and motion == "full" else None
        baseline = None if known is None else known.baseline
        drawing = self.draw(conditions, viewmat, behind, want_maps, motion, baseline, motions)
        pixels = (drawing.image.clip(0, 1) * 255).round().astype(np.uint8)
        deviation, forecast = drawing.deviation, None
        mean = None if deviation is None else float(deviation.sum() / max(float((deviation > 0).sum()), 1.0))
        if known is not None and drawing.channels is not None:
            strange = known.seen.strangeness(conditions, viewmat)
            forecast = known.of_frame(drawing.channels, drawing.inside(), drawing.mouth, drawing.image, strange)
        return AvatarFrame(pixels, deviation, mean, drawing.streams, forecast)

    @torch.no_grad()
    def draw(
        self,
        conditions: Conditions,
        viewmat: Float[np.ndarray, "4 4"],
        behind: Float[np.ndarray, "h w 3"],
        want_maps: bool = False,
        motion: str = "full",
        baseline: Mapping[str, Float[Tensor, " _"]] | None = None,
        motions: Motions | None = None,
    ) -> Drawing:
        """Mouth over the given picture, face over both (DESIGN §7, composite).

        Args:
            conditions: What drives the frame.
            viewmat: World to camera.
            behind: Torso over background, [0, 1].
            want_maps: Also splat the uncertainty.
            motion: ``full``; ``mesh`` for the mesh motion alone; ``none`` for the static head.
            baseline: Per layer, each Gaussian's baseline error: also splat what a forecast needs.
            motions: What ``move`` said of the same conditions with the same wishes; None asks it here.
        """
        want_maps = want_maps or baseline is not None
        motions = self.move(conditions, want_maps, motion) if motions is None else motions
        camera = self.camera(viewmat)
        image = torch.from_numpy(behind).to(self.device)
        alpha = coverage = mouth = image.new_zeros(image.shape[:2])
        channels, deviation, streams = None, None, None
        for name, moved in motions.items():
            out = self._draw(name, moved, camera, None if baseline is None else baseline[name])
            image = over(out.rgb, out.alpha, image)
            if baseline is not None:
                drawn = out.extras[..., -CHANNELS:]
                channels = drawn if channels is None else over(drawn, out.alpha, channels)
            alpha, coverage = out.alpha, out.alpha + (1 - out.alpha) * coverage
            mouth = out.alpha if name == "mouth" else mouth
            if moved is not None and moved.maps is not None:
                deviation = out.extras[..., 0].cpu().numpy()
                streams = moved.maps.stream_means()
        return Drawing(
            image.cpu().numpy(),
            alpha.cpu().numpy(),
            coverage.cpu().numpy(),
            (mouth > INSIDE).cpu().numpy(),
            deviation,
            streams,
            None if channels is None else channels.cpu().numpy(),
        )

    @torch.no_grad()
    def moved(self, name: str, conditions: Conditions, want_maps: bool = False) -> tuple[Splats, MotionMaps | None]:
        """The moved Gaussians of one layer, head frame, and on request what its branch knows of its doubt."""
        motion = self._motion(name, conditions.to(self.device), "full", want_maps)
        return self.layers[name].splats(motion).detach(), None if motion is None else motion.maps

    def splats(self, conditions: Conditions) -> list[Splats]:
        """The moved Gaussians of every layer, back to front, head frame."""
        return [self.moved(name, conditions)[0] for name in ORDER if name in self.layers]

    def camera(self, viewmat: Float[np.ndarray, "4 4"]) -> Camera:
        """The avatar's camera at a pose."""
        to = lambda a: torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(self.device)  # noqa: E731
        return Camera(to(viewmat), to(self.K), self.width, self.height)

    def _motion(self, name: str, conditions: Conditions, kind: str, want_maps: bool) -> Motion | None:
        layer = self.layers[name]
        if kind == "none":
            return None
        if kind == "mesh":
            return layer.motion.mesh_motion(layer.mesh_basis, conditions)
        means, modes = layer.gaussians.means.detach(), self._modes.get(name)
        if modes is not None:
            if name not in self._modes_static:
                self._modes_static[name] = modes.static(layer.motion, means, layer.mesh_basis)
            return modes.move(layer.motion, conditions, self._modes_static[name], want_maps)
        if name not in self._static:
            self._static[name] = layer.motion.prepare_static(means)
        return layer.motion(
            means,
            layer.mesh_basis,
            conditions,
            mode="ensemble",
            static=self._static[name],
            want_maps=want_maps,
        )

    def _draw(self, name: str, motion: Motion | None, camera: Camera, baseline: Tensor | None) -> RenderOutput:
        layer = self.layers[name]
        extras: list[Tensor] = []
        if motion is not None and motion.maps is not None:
            extras.append(motion.maps.fused_deviation[:, None])
        if motion is not None and baseline is not None:
            extras.append(channels_of(motion, baseline))
        splats = layer.splats(motion)
        degree = layer.gaussians.sh_degree
        return self.rasterizer(splats, camera, sh_degree=degree, extras=torch.cat(extras, 1) if extras else None)
