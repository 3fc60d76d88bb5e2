"""MS-SSIM against torchmetrics, and against frames that are subtly wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.measure import Meter, Moment
from ua3dtalk.evaluation.ms_ssim import MIN_SIDE_PX, MsSsimMeter, make_ms_ssim_meter, ms_ssim
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.media.video import VideoReader

TOLERANCE = 2e-5
"""Measured against torchmetrics in float64: 3e-7; here it runs in float32, which is eight times faster."""


def reference(rendered: np.ndarray, real: np.ndarray) -> float:
    a, b = (torch.from_numpy(p.astype(np.float32) / 255).permute(2, 0, 1)[None] for p in (rendered, real))
    return float(multiscale_structural_similarity_index_measure(a, b, data_range=1.0))


def moment(position: int, picture: np.ndarray, real: np.ndarray) -> Moment:
    regions = frame_regions(np.zeros(real.shape[:2], np.uint8), None)
    return Moment(
        position=position, picture=picture, real=real, landmarks=None, real_landmarks=None, regions=regions
    )  # fmt: skip


@pytest.fixture(scope="module")
def frames(face, openings_px) -> list[np.ndarray]:
    """A moving face, large enough for five scales."""
    return [cv2.resize(face.draw(float(o)), (192, 192), interpolation=cv2.INTER_CUBIC) for o in openings_px[:12]]


@pytest.mark.parametrize("size", [(176, 176), (176, 251), (193, 180)])
@pytest.mark.parametrize("kind", ["unrelated", "noisy", "dark", "flat", "negative"])
def test_agrees_with_torchmetrics_on_random_frames(rng, size, kind) -> None:
    real = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    noisy = (real + rng.normal(0, 20, real.shape)).clip(0, 255).astype(np.uint8)
    rendered, real = {
        "unrelated": (rng.integers(0, 256, real.shape, dtype=np.uint8), real),
        "noisy": (noisy, real),
        "dark": (noisy // 16, real // 16),
        "flat": (np.full_like(real, 200), real),
        "negative": (255 - real, real),  # every term is negative and counts as 0
    }[kind]
    found = ms_ssim(rendered, real)
    assert found == pytest.approx(reference(rendered, real), abs=TOLERANCE)
    assert found is not None and 0 <= found < 1


def test_agrees_with_torchmetrics_on_real_frames(shared) -> None:
    clip = shared / "data" / "clips" / "lieu_60s_256.mp4"
    first, *_, last = list(VideoReader(clip, max_seconds=0.4))
    for rendered in (last, cv2.GaussianBlur(first, (0, 0), 2), first[..., ::-1]):
        assert ms_ssim(rendered, first) == pytest.approx(reference(rendered, first), abs=TOLERANCE)


def test_identical_frames_score_exactly_one(frames) -> None:
    assert ms_ssim(frames[0], frames[0].copy()) == 1.0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f[..., ::-1],  # channels swapped
        lambda f: np.roll(f, 1, 1),  # one pixel off
        lambda f: np.roll(f, 1, 0),
        lambda f: cv2.resize(f[1:-1, 1:-1], f.shape[1::-1]),  # cropped by a pixel
        lambda f: f.transpose(1, 0, 2),
    ],
)
def test_subtle_wrongs_cost(frames, spoil) -> None:
    good = through_jpeg(frames[0])
    assert ms_ssim(np.ascontiguousarray(spoil(good)), frames[0]) < ms_ssim(good, frames[0]) - 1e-3


def test_a_sequence_that_comes_late_or_in_another_order_costs(frames) -> None:
    def score(rendered: list[np.ndarray]) -> float:
        meter = MsSsimMeter()
        for i, (a, b) in enumerate(zip(rendered, frames, strict=True)):
            meter.see(moment(i, through_jpeg(a), b))
        measure = meter.results()["ms_ssim"]
        assert measure.value is not None and measure.details["frames"] == len(frames)
        return measure.value

    right = score(frames)
    assert score([frames[0], *frames[:-1]]) < right - 1e-3
    assert score([frames[i ^ 1] for i in range(12)]) < right - 1e-3


def test_the_meter_gives_the_mean_and_its_interval(frames) -> None:
    meter = make_ms_ssim_meter()()
    assert isinstance(meter, Meter)
    values = []
    for i in range(60):
        picture = through_jpeg(frames[i % 12], 20 + i)
        meter.see(moment(i, picture, frames[i % 12]))
        values.append(ms_ssim(picture, frames[i % 12]))
    measure = meter.results()["ms_ssim"]
    assert measure.value == pytest.approx(np.mean(values), abs=1e-12)
    assert measure.interval is not None
    assert measure.interval[0] < measure.value < measure.interval[1]


def test_small_frames_are_unavailable_not_wrong(face) -> None:
    side = MIN_SIDE_PX - 1
    small = cv2.resize(face.draw(5.0), (300, side))
    assert ms_ssim(small, small) is None
    meter = MsSsimMeter()
    meter.see(moment(0, small, small))
    measure = meter.results()["ms_ssim"]
    assert measure.value is None
    assert measure.unavailable == "Five scales need frames of 176 px on the shorter side; these are 300×175."
    with pytest.raises(ValueError):  # torchmetrics draws the line at the same size
        reference(small, small)


def test_no_frame_gives_no_value() -> None:
    assert MsSsimMeter().results()["ms_ssim"].value is None


def test_other_sizes_are_refused(frames) -> None:
    with pytest.raises(Exception, match=r"real|Type-check"):
        ms_ssim(frames[0][1:], frames[0])
