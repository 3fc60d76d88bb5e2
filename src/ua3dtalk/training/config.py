"""What a training run is made of. Whole runs are functions in ``recipes/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ua3dtalk.avatar.branch import BranchConfig
from ua3dtalk.gaussians.densification import DensificationConfig
from ua3dtalk.gaussians.initialisation import InitialisationConfig

BranchName = Literal["mouth", "face"]


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of the schedule; stages are data, the loop is the same for all (DESIGN §9)."""

    name: str
    """Unique name; shown, and stored in checkpoints."""
    branches: tuple[str, ...]
    """What is trained and rendered: ``("mouth",)``, ``("face",)`` or ``("mouth", "face")``."""
    steps: int
    """Number of optimizer steps."""
    static_steps: int = 0
    """Leading steps without motion networks: the Gaussians and the mesh motion alone."""
    ensemble_from: int = 1_000_000
    """From this step of the stage on all members are fused; before it one member is drawn per stream."""
    predicted_share: float = 0.0
    """Share of the steps, 0..1, driven by the expression predicted from speech (out of fold) instead of the tracked."""
    refine_poses_at: tuple[int, ...] = ()
    """Steps at which head poses are refined against the rendered model."""
    rate_scale: float = 1.0
    """Factor on all learning rates."""
    densify: bool = False
    """Clone, split and prune Gaussians."""


@dataclass(frozen=True, kw_only=True)
class RateConfig:
    """Learning rates at the start of a stage; all decay exponentially to ``final`` of that (DESIGN §9)."""

    means: float = 1e-4
    quats: float = 2e-3
    log_scales: float = 5e-3
    opacity_logits: float = 2e-2
    sh: float = 1.4e-2
    """Colour rate 4e-3 over the constant harmonic 0.282."""
    planes: float = 8e-3
    networks: float = 3e-3
    final: float = 0.05
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the named losses."""

    dssim: float = 0.2
    """Share of D-SSIM in the photometric term."""
    mouth_weight: float = 8.0
    """Extra weight of the mouth box in the L1 term."""
    alpha: float = 0.05
    """|alpha − mask|, inside and outside the region."""
    motion: float = 1e-5
    """Mean magnitude of the motion the networks add."""
    gates: float = 1e-4
    """No audio in the hair, no eyes in the lips."""
    likelihood: float = 0.1
    """Laplace likelihood of the residual under the splatted uncertainty, which fixes its scale; ensemble phase only."""
    likelihood_every: int = 4
    """Steps between uses of the likelihood: it costs a rendering of its own."""


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """Windows over mouth opening and blinks that slide with training (DESIGN §9)."""

    share: float = 0.3
    """Share of the steps drawn from the sliding window; the rest are drawn from shuffled epochs."""
    width: float = 0.3
    """Width of the window as a share of the frames sorted by the signal."""


@dataclass(frozen=True, kw_only=True)
class PoseRefinementConfig:
    """Gauss–Newton against the rendered model."""

    iterations: int = 3
    prior_angle_rad: float = 0.02
    prior_shift_m: float = 0.002
    prior_depth_m: float = 0.004


@dataclass(frozen=True, kw_only=True)
class ModesConfig:
    """How the patterns of a layer's motion are found after training."""

    queries: int = 240
    """Motions of all Gaussians to find them in. 0 leaves them out: the networks always move every Gaussian."""
    most: int = 48
    """At most so many patterns."""
    anchors: int = 256
    """Gaussians at which the networks run."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run."""

    preset: str
    """Name of the recipe it came from."""
    seed: int = 0
    init: InitialisationConfig = field(default_factory=InitialisationConfig)
    face: BranchConfig
    mouth: BranchConfig
    stages: tuple[StageConfig, ...]
    rates: RateConfig = field(default_factory=RateConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    densification: DensificationConfig = field(default_factory=DensificationConfig)
    poses: PoseRefinementConfig = field(default_factory=PoseRefinementConfig)
    modes: ModesConfig = field(default_factory=ModesConfig)
    thinning: float = 1.0
    """Share of the Gaussians, in (0, 1], at which a step asks the networks; the others move with their nearest. On a
    CPU only: an accelerator takes all at once."""
    sh_degree_every: int = 1000
    """Steps after which one more spherical-harmonic degree is used."""
    checkpoint_every: int = 500
    """Steps between resumable checkpoints."""

    def __post_init__(self) -> None:
        if not 0 < self.thinning <= 1:
            raise ValueError(f"`thinning` must be above 0 and at most 1, got {self.thinning}.")
