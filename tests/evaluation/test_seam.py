"""The seam: 1 for the same picture, more for a line that comes and goes along the jaw, blind elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.measure import Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.evaluation.seam import JAW, SEAM, SeamMeter, flicker, seam_band
from ua3dtalk.tracking.topology import mean_face

SIZE = 128


def landmarks() -> np.ndarray:
    points = np.zeros((478, 3), np.float32)
    points[:468] = mean_face().vertices * [500, -500, 500] + [64, 56, 0]
    return points


def frames(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A noisy texture, as a camera gives it."""
    base = rng.integers(60, 200, (SIZE, SIZE, 3))
    return [(base + rng.normal(0, 2, base.shape)).clip(0, 255).astype(np.uint8) for _ in range(count)]


def ratio(rendered: list[np.ndarray], real: list[np.ndarray]) -> float | None:
    meter = SeamMeter()
    for i, (a, b) in enumerate(zip(rendered, real, strict=True)):
        regions = frame_regions(np.zeros((SIZE, SIZE), np.uint8), None)
        face = landmarks()
        meter.see(Moment(position=i, picture=a, real=b, landmarks=face, real_landmarks=face, regions=regions))
    return meter.results()[SEAM.key].value


def test_band_follows_the_jaw() -> None:
    face = landmarks()
    band = seam_band(face, (SIZE, SIZE))
    chin = face[JAW[len(JAW) // 2], :2].astype(int)
    assert band[chin[1] + 4, chin[0]] and not band[chin[1] - 10, chin[0]] and not band[chin[1] + 18, chin[0]]
    # A head that lies on its side has its band at the chin's side.
    turned = face.copy()
    turned[:, :2] = (face[:, :2] - 64) @ np.array([[0, 1], [-1, 0]]) + 64
    assert seam_band(turned, (SIZE, SIZE)).sum() == pytest.approx(band.sum(), rel=0.05)


def test_flicker_is_blind_to_steady_change() -> None:
    window = np.stack([np.full((4, 4), level, np.float32) for level in (0.1, 0.2, 0.3)])
    assert flicker(window, np.ones((4, 4), bool)) == pytest.approx(0, abs=1e-7)


def test_a_planted_seam_raises_it(rng: np.random.Generator) -> None:
    real = frames(20, rng)
    assert ratio(real, real) == pytest.approx(1)
    band = seam_band(landmarks(), (SIZE, SIZE))
    torn, elsewhere = [], []
    for i, frame in enumerate(real):
        dark, far = frame.copy(), frame.copy()
        if i % 2:
            dark[band] = dark[band] // 2
            far[:30] = far[:30] // 2
        torn.append(dark)
        elsewhere.append(far)
    assert ratio(torn, real) > 5
    assert ratio(elsewhere, real) == pytest.approx(1), "only the band counts"


def test_a_frozen_band_is_below_one(rng: np.random.Generator) -> None:
    real = frames(20, rng)
    assert ratio([real[0]] * 20, real) == 0
    assert ratio([real[0]] * 20, [real[0]] * 20) is None
