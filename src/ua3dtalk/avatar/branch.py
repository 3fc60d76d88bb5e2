"""A branch of the avatar: field, streams, ensembles, fusion and heads. Face and mouth are two configurations of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ua3dtalk.avatar.audio_encoder import AUDIO_WIDTH, UPPER_WIDTH, AudioEncoder, UpperEncoder
from ua3dtalk.avatar.conditions import STREAMS, Conditions
from ua3dtalk.avatar.emotion_codebook import EmotionCodebook
from ua3dtalk.avatar.ensemble import Ensemble
from ua3dtalk.avatar.fusion import Covariance, FusionMode, fuse, fuse_with_precision
from ua3dtalk.avatar.gates import PointGates, gate_penalty
from ua3dtalk.avatar.heads import MEANS_SCALE, HeadConfig, MotionHeads
from ua3dtalk.avatar.mesh_motion import MeshMotion
from ua3dtalk.avatar.planes import PlaneConfig, Planes
from ua3dtalk.avatar.uncertainty import MotionMaps, motion_maps
from ua3dtalk.subject.track_data import NUM_LOWER

PRIOR_WIDTH = 64
"""Width of the content and of the style prior."""


@dataclass(frozen=True, kw_only=True)
class BranchConfig:
    """One branch; defaults are the paper's face."""

    name: str = "face"
    """Used in messages and file names."""
    streams: tuple[str, ...] = STREAMS
    """Streams that drive it, in the order of STREAMS."""
    planes: PlaneConfig = field(default_factory=PlaneConfig)
    """Planes of φ."""
    emotion_planes: PlaneConfig = field(default_factory=lambda: PlaneConfig(multiples=(1, 2, 4), channels=64))
    """Planes of φ_emo, used when the emotion stream is there."""
    members: int = 10
    """M, ensemble members per stream, ≥ 1."""
    latent: int = 48
    """D, width of the fused latent."""
    hidden: int = 64
    """Width inside gates and ensemble members."""
    heads: HeadConfig = field(default_factory=HeadConfig)
    """What may move, and the heads' width."""
    covariance: Covariance = "diagonal"
    """Fusion rule; "full" is the paper's, "uniform" has no uncertainty in it."""
    upper_face: bool = True
    """The audio stream also carries the six upper-face signals."""
    mesh_motion: bool = True
    """Add the tracked mesh's motion (ours); False is the paper."""
    stream_dropout: float = 0.1
    """Probability that training hides a stream in a step (never all); 0 … 1."""

    def __post_init__(self) -> None:
        if not self.streams or list(self.streams) != [name for name in STREAMS if name in self.streams]:
            raise ValueError(f"`streams` must be some of {STREAMS} in that order, got {self.streams}.")
        if min(self.members, self.latent, self.hidden) < 1:
            raise ValueError(f"`members`, `latent` and `hidden` must be at least 1, got {self}.")
        if not 0 <= self.stream_dropout <= 1:
            raise ValueError(f"`stream_dropout` must be in 0 … 1, got {self.stream_dropout}.")

    def as_mouth(self) -> BranchConfig:
        """The inner mouth's branch: no emotion, no upper face, positions only, mostly up and down (x and z by 1/5)."""
        return replace(
            self,
            name="mouth",
            streams=tuple(name for name in self.streams if name != "emotion"),
            upper_face=False,
            heads=replace(self.heads, moves_shape=False, axis_scale=(0.2, 1.0, 0.2)),
        )


@dataclass(frozen=True)
class StaticFeatures:
    """What does not change from frame to frame while positions and weights stay. For inference only: no gradients."""

    gates: Float[Tensor, "g n"]
    """Channel gates of the audio stream."""
    emotion: Float[Tensor, "e n"] | None
    """φ_emo."""
    hidden: tuple[Float[Tensor, "m h n"], ...]
    """Static half of each ensemble's first layer, all members."""
    decoded: Float[Tensor, "k n"]
    """Static half of the heads' first layers."""


@dataclass(frozen=True)
class Motion:
    """Changes to add to the stored parameters of N Gaussians."""

    d_means: Float[Tensor, "n 3"]
    """Metres."""
    d_quats: Float[Tensor, "n 4"] | None = None
    """Added to the raw quaternions (wxyz); None where the branch moves positions only."""
    d_log_scales: Float[Tensor, "n 3"] | None = None
    """Added to the log scales; None where the branch moves positions only."""
    residual: Float[Tensor, "n 3"] | None = None
    """The learnt part of `d_means`, without the mesh's motion; for the loss on its magnitude."""
    gate_penalty: Float[Tensor, ""] | None = None
    """Mean gate where its signals move nothing, 0 … 2: no audio in the hair, no eyes in the lips."""
    maps: MotionMaps | None = None
    """Uncertainty maps, only with `want_maps`."""

    def learnt(self) -> list[Float[Tensor, "n _"]]:
        """What the networks add to the mesh's motion: positions, and where the branch moves them, the shape."""
        return [part for part in (self.residual, self.d_quats, self.d_log_scales) if part is not None]


class Branch(nn.Module):
    """Moves the Gaussians of one part of the head for one frame's conditions (paper's modules E and U; DESIGN §7).

    Args:
        config: Face or mouth, small or large.
        generator: Draws all starting weights.
    """

    def __init__(self, config: BranchConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        streams, width, hidden = config.streams, config.planes.width, config.hidden
        self.planes = Planes(config.planes, generator)
        audio_width = (AUDIO_WIDTH + UPPER_WIDTH * config.upper_face) if "audio" in streams else 0
        emotion = config.emotion_planes
        self.gates = PointGates(width, hidden, audio_width, generator) if audio_width else None
        self.audio = AudioEncoder(generator) if audio_width else None
        self.upper = UpperEncoder(generator) if audio_width and config.upper_face else None
        self.emotion_planes = Planes(emotion, generator) if "emotion" in streams else None
        self.codebook = (
            EmotionCodebook(emotion.multiples, emotion.channels, generator) if "emotion" in streams else None
        )
        widths = {
            "audio": (width, 0, audio_width),
            "content": (width, PRIOR_WIDTH + NUM_LOWER * config.mesh_motion, 0),
            "style": (width, PRIOR_WIDTH, 0),
            "emotion": (0, 0, emotion.width),
        }
        self.ensembles = nn.ModuleDict(
            {
                name: Ensemble(
                    members=config.members,
                    hidden=hidden,
                    latent=config.latent,
                    widths=widths[name],
                    generator=generator,
                )
                for name in streams
            }
        )
        self.heads = MotionHeads(config.heads, latent=config.latent, field=width, generator=generator)
        self.mesh = MeshMotion() if config.mesh_motion else None

    @torch.no_grad()
    def prepare_static(self, means: Float[Tensor, "n 3"]) -> StaticFeatures:
        """Everything that does not change per frame, to be passed back to `forward` (DESIGN §10).

        Valid while positions and weights stay; computed for all members, so it serves both modes.
        """
        everyone = [slice(None)] * len(self.config.streams)
        return self._static(means, everyone)

    def mesh_motion(self, mesh_basis: Float[Tensor, "n 19 3"], conditions: Conditions) -> Motion:
        """The mesh's motion alone, for the static warm-up; zero where the branch has none (`mesh_motion` off)."""
        if self.mesh is None:
            return Motion(d_means=mesh_basis.new_zeros(len(mesh_basis), 3))
        return Motion(d_means=self.mesh(mesh_basis, conditions.lower, conditions.upper))

    def forward(
        self,
        means: Float[Tensor, "n 3"],
        mesh_basis: Float[Tensor, "n 19 3"] | None,
        conditions: Conditions,
        mode: FusionMode,
        generator: torch.Generator | None = None,
        *,
        static: StaticFeatures | None = None,
        want_maps: bool = False,
    ) -> Motion:
        """The motion of one frame.

        Args:
            means: Canonical positions in the head frame, metres; they get no gradient.
            mesh_basis: `bind_to_mesh` of these positions; required with `mesh_motion`, ignored without.
            conditions: What drives the frame. Streams marked missing take no part; dropping more at random is done
                only in training mode and with a generator.
            mode: "member" draws one ensemble member per stream (needs the generator), "ensemble" uses all.
            generator: The only source of randomness; None for none.
            static: From `prepare_static`, to skip what does not change.
            want_maps: Also return the uncertainty maps; their deviation carries a gradient in training.

        Returns:
            Motion to add. An untrained branch returns zero shape change and, apart from the mesh's own motion, zero
            displacement.

        Raises:
            ValueError: member mode without a generator, no basis with mesh motion, or no present stream.
        """
        if self.mesh is not None and mesh_basis is None:
            raise ValueError(f"The {self.config.name} branch has mesh motion and needs `mesh_basis`, got None.")
        members = self._draw_members(mode, generator)
        present = self._presence(conditions, generator)
        if static is None:
            static = self._static(means, members)
        elif mode == "member":
            hidden = tuple(h[m] for h, m in zip(static.hidden, members, strict=True))
            static = replace(static, hidden=hidden)
        outputs = self._outputs(conditions, static, members, present)
        if want_maps:
            fused, precision = fuse_with_precision(outputs, self.config.covariance)
        else:
            fused, precision = fuse(outputs, self.config.covariance), None
        raw = self.heads(fused, static.decoded)
        residual = raw[0].t() * raw[0].new_tensor(self.config.heads.axis_scale).mul_(MEANS_SCALE)
        d_means = residual
        if self.mesh is not None and mesh_basis is not None:
            d_means = residual + self.mesh(mesh_basis, conditions.lower, conditions.upper)
        gates = self._mean_gates(static.gates) if self.training or want_maps else None
        return Motion(
            d_means=d_means,
            d_quats=raw[1].t() if self.config.heads.moves_shape else None,
            d_log_scales=raw[2].t() if self.config.heads.moves_shape else None,
            residual=residual,
            gate_penalty=gate_penalty(gates, mesh_basis) if self.training and gates is not None else None,
            maps=None
            if gates is None or precision is None
            else motion_maps(self.config.streams, outputs, (fused, precision), gates),
        )

    def _draw_members(self, mode: FusionMode, generator: torch.Generator | None) -> list[slice]:
        streams = len(self.config.streams)
        if mode == "ensemble":
            return [slice(None)] * streams
        if generator is None:
            raise ValueError("Member mode draws a member per stream and needs `generator`, got None.")
        drawn = torch.randint(self.config.members, (streams,), generator=generator, device=generator.device)
        return [slice(m, m + 1) for m in drawn.tolist()]

    def _presence(self, conditions: Conditions, generator: torch.Generator | None) -> list[bool]:
        given = conditions.present.tolist()
        present = [given[STREAMS.index(name)] > 0 for name in self.config.streams]
        if not any(present):
            raise ValueError(f"The {self.config.name} branch needs at least one of {self.config.streams} present.")
        if self.training and generator is not None and self.config.stream_dropout > 0:
            drawn = torch.rand(len(present), generator=generator, device=generator.device).tolist()
            kept = [p and d >= self.config.stream_dropout for p, d in zip(present, drawn, strict=True)]
            return kept if any(kept) else present
        return present

    def _static(self, means: Tensor, members: Sequence[slice]) -> StaticFeatures:
        phi = self.planes(means)
        return StaticFeatures(
            gates=phi.new_zeros(0, len(means)) if self.gates is None else self.gates(phi),
            emotion=None if self.emotion_planes is None else self.emotion_planes(means),
            hidden=tuple(self.ensembles[n].static(phi, m) for n, m in zip(self.config.streams, members, strict=True)),  # type: ignore[operator]
            decoded=self.heads.static(phi),
        )

    def _outputs(
        self, conditions: Conditions, static: StaticFeatures, members: Sequence[slice], present: Sequence[bool]
    ) -> list[Tensor | None]:
        outputs: list[Tensor | None] = []
        for name, hidden, drawn, there in zip(self.config.streams, static.hidden, members, present, strict=True):
            outputs.append(
                self.ensembles[name](hidden, drawn, **self._inputs(name, conditions, static)) if there else None
            )
        return outputs

    def _inputs(self, name: str, conditions: Conditions, static: StaticFeatures) -> dict[str, object]:
        """The changing part of a stream's input."""
        if name == "audio" and self.audio is not None:
            values = self.audio(conditions.audio)
            if self.upper is not None:
                values = torch.cat([values, self.upper(conditions.upper)])
            return {"modulated": (static.gates, values)}
        if name == "emotion" and self.codebook is not None:
            return {"modulated": (static.emotion, self.codebook(conditions.emotion))}
        if name == "style":
            return {"frame": conditions.style}
        # Beside mesh motion the content stream also knows the expression that moves the mesh: what is left to learn
        # (lips that roll, teeth that appear) depends on it. The paper's configuration has neither.
        known = [conditions.content, conditions.lower] if self.config.mesh_motion else [conditions.content]
        return {"frame": torch.cat(known)}

    @torch.no_grad()
    def mean_gates(self, means: Float[Tensor, "n 3"]) -> Float[Tensor, "n g"]:
        """Mean gate of the audio channels, and of the upper-face channels where the branch has them, as in the maps."""
        phi = self.planes(means)
        return self._mean_gates(phi.new_zeros(0, len(means)) if self.gates is None else self.gates(phi))

    def _mean_gates(self, gates: Tensor) -> Tensor:
        if len(gates) == 0:
            return gates.new_zeros(gates.shape[1], 0)
        parts = gates.split([AUDIO_WIDTH, UPPER_WIDTH] if self.config.upper_face else [AUDIO_WIDTH])
        return torch.stack([part.mean(0) for part in parts], dim=1)
