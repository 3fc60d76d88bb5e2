"""E-FID: torchmetrics' distance on the same features, zero on itself, and it sees another manner of moving."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import _compute_fid

from ua3dtalk.evaluation.expression_distance import E_FID, ExpressionDistanceMeter, frechet_distance
from ua3dtalk.evaluation.measure import Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.tracking.topology import mean_face

PICTURE = np.zeros((8, 8, 3), np.uint8)


def oracle(a: np.ndarray, b: np.ndarray) -> float:
    def fit(x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(x.mean(0)), torch.from_numpy(np.cov(x, rowvar=False))

    return float(_compute_fid(*fit(a), *fit(b)))


@pytest.mark.parametrize("shape", [(40, 3), (500, 20)])
def test_agrees_with_torchmetrics(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    a = rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1]))
    b = rng.normal(0.3, 1.5, shape)
    assert frechet_distance(a, b) == pytest.approx(oracle(a, b), rel=1e-6)


def test_laws(rng: np.random.Generator) -> None:
    a = rng.normal(size=(300, 5))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(a, a + 2.0) == pytest.approx(5 * 4.0), "a shift counts by its square"
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-8), "order is not its business: LMD and lag see that"
    with pytest.raises(ValueError, match="two frames, got 1"):
        frechet_distance(a[:1], a)


def faces(count: int, amplitude: float, rng: np.random.Generator) -> list[np.ndarray]:
    points = np.zeros((478, 3))
    points[:468] = mean_face().vertices * [1000, -1000, -1000] + [128, 128, 0]
    return [(points + rng.normal(0, amplitude, points.shape)).astype(np.float32) for _ in range(count)]


def distance(rendered: list[np.ndarray], real: list[np.ndarray]) -> tuple[float | None, dict[str, float]]:
    meter = ExpressionDistanceMeter()
    regions = frame_regions(np.zeros((8, 8), np.uint8), None)
    for i, (a, b) in enumerate(zip(rendered, real, strict=True)):
        meter.see(Moment(position=i, picture=PICTURE, real=PICTURE, landmarks=a, real_landmarks=b, regions=regions))
    measure = meter.results()[E_FID.key]
    return measure.value, dict(measure.details)


def test_meter_tells_manners_apart(rng: np.random.Generator) -> None:
    real, alike, livelier = faces(120, 0.5, rng), faces(120, 0.5, rng), faces(120, 1.5, rng)
    same, details = distance(real, real)
    assert same == pytest.approx(0, abs=1e-6)
    assert details["dimension"] == 20 and details["frames"] == 120 and details["floor"] > 0
    near, far = distance(alike, real)[0], distance(livelier, real)[0]
    assert near is not None and far is not None and far > 3 * near


def test_too_few_frames_are_said(rng: np.random.Generator) -> None:
    value, details = distance(faces(30, 0.5, rng), faces(30, 0.5, rng))
    assert value is None and details["frames"] == 30
