"""LPIPS of whole frames, as a metric: where its weights are, it is measured; where not, it is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ua3dtalk.core.files import file_sha256
from ua3dtalk.evaluation.frame_mean import mean_over_frames
from ua3dtalk.evaluation.lpips_net import Lpips, LpipsNet, load_lpips, to_lpips
from ua3dtalk.evaluation.measure import Definition, MakeMeter, Measure, Missing, Moment
from ua3dtalk.evaluation.weights import find_weights, where_to_put

_ORIGIN = (
    "scripts/convert_weights.py makes it from torchvision's {} weights (ImageNet) and the linear layers of the lpips "
    "package, version 0.1"
)
_NAMES = {"alex": "AlexNet", "vgg": "VGG16"}
_EVERY = {"alex": 1, "vgg": 5}


def weights_name(net: LpipsNet) -> str:
    """File name that is looked for, e.g. ``lpips_alex.safetensors``."""
    return f"lpips_{net}.safetensors"


def lpips_definition(net: LpipsNet, every: int) -> Definition:
    """What is measured.

    Args:
        net: Backbone.
        every: Distance of the measured frames, frames.
    """
    which = "every frame" if every == 1 else f"every {every}th frame, from the first"
    return Definition(
        key=f"lpips_{net}",
        title=f"LPIPS ({_NAMES[net]})",
        unit="",
        ideal="lower",
        meaning=f"Learned perceptual distance, version 0.1, of the whole frame at its own size in the features of "
        f"{_NAMES[net]}; mean over {which}.",
        source="Zhang et al., CVPR 2018",
    )


class LpipsScorer:
    """Scores frames; all rows share one, so that weights are loaded once and a real frame is described once.

    Args:
        model: Network with its weights.
    """

    def __init__(self, model: Lpips) -> None:
        self.min_side = model.min_side
        self._model = model
        self._real: np.ndarray | None = None
        self._described: list[Tensor] = []

    @torch.inference_mode()
    def score(self, rendered: UInt8[np.ndarray, "h w 3"], real: UInt8[np.ndarray, "h w 3"]) -> float:
        """LPIPS of two frames.

        Args:
            rendered: RGB.
            real: RGB of the same size; must not be written to afterwards, because the last one is remembered.

        Raises:
            ValueError: for sizes that differ or below ``min_side``.
        """
        if rendered.shape != real.shape:
            raise ValueError(f"`rendered` must be as large as `real` {real.shape}, got {rendered.shape}.")
        if self._real is not real:
            self._real, self._described = real, self._model.describe(to_lpips(real))
        return float(self._model.between(self._model.describe(to_lpips(rendered)), self._described))


class LpipsMeter:
    """Mean over the frames of one row.

    Args:
        definition: What is measured.
        scorer: Shared by all rows.
        every: Measure frames 0, ``every``, 2 ``every``, …
        seed: Of the interval's draws.
        weights: Where the weights come from, to be recorded.
    """

    def __init__(
        self, definition: Definition, scorer: LpipsScorer, *, every: int, seed: int, weights: dict[str, str]
    ) -> None:
        self.definitions = (definition,)
        self._scorer = scorer
        self._every = every
        self._seed = seed
        self._weights = weights
        self._values: list[float] = []
        self._small: tuple[int, int] | None = None

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.position % self._every:
            return
        if min(moment.real.shape[:2]) < self._scorer.min_side:
            self._small = (moment.real.shape[1], moment.real.shape[0])
            return
        self._values.append(self._scorer.score(moment.picture, moment.real))

    def results(self) -> dict[str, Measure]:
        """The mean; unavailable for frames too small for the network."""
        key = self.definitions[0].key
        if self._small is not None:
            width, height = self._small
            side = self._scorer.min_side
            why = f"The network needs frames of {side} px on the shorter side; these are {width}×{height}."
            return {key: Measure(value=None, unavailable=why)}
        details = {"every": self._every, **self._weights}
        return {key: mean_over_frames(self._values, seed=self._seed, every=self._every, details=details)}


def make_lpips_meter(net: LpipsNet, given: Path | None = None, *, every: int | None = None, seed: int = 0) -> MakeMeter:
    """Loads the weights once and gives fresh meters; without weights, meters that say what is missing.

    Args:
        net: Backbone.
        given: Safetensors file of the user; None looks for ``weights_name(net)`` in the folder of weights.
        every: Measure every so many frames; None: all with AlexNet, every fifth with VGG16, which is slow on a CPU.
        seed: Of the interval's draws.

    Raises:
        UserError: the file that the user named does not exist, or a file is damaged or does not fit.
        ValueError: ``every`` below 1.
    """
    step = _EVERY[net] if every is None else every
    if step < 1:
        raise ValueError(f"`every` must be at least 1, got {step}.")
    definition = lpips_definition(net, step)
    path = find_weights(weights_name(net), given)
    if path is None:
        why = where_to_put(weights_name(net), _ORIGIN.format(_NAMES[net]))
        return lambda: Missing((definition,), why)
    scorer = LpipsScorer(load_lpips(net, path))
    facts = {"weights": path.name, "sha256": file_sha256(path)}
    return lambda: LpipsMeter(definition, scorer, every=step, seed=seed, weights=facts)
