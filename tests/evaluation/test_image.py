"""PSNR and SSIM against other people's code, and against pictures that are subtly wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from ua3dtalk.evaluation.image import MAX_PSNR_DB, mean_ssim, psnr_db, ssim_map, through_jpeg


@pytest.fixture(scope="module")
def pair(face) -> tuple[np.ndarray, np.ndarray]:
    real = face.draw(5.0)
    noise = np.random.default_rng(0).normal(0, 6, real.shape)
    return (real + noise).clip(0, 255).astype(np.uint8), real


def test_psnr_agrees_with_scikit_image(pair) -> None:
    assert psnr_db(*pair) == pytest.approx(peak_signal_noise_ratio(pair[1], pair[0]), abs=1e-5)


def test_ssim_agrees_with_scikit_image_and_torchmetrics(pair) -> None:
    ours = mean_ssim(ssim_map(*pair))
    sk = structural_similarity(
        pair[0] / 255, pair[1] / 255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1.0, channel_axis=-1,
    )  # fmt: skip
    a, b = (torch.from_numpy(p / 255).permute(2, 0, 1)[None] for p in pair)
    _, tm = structural_similarity_index_measure(a, b, sigma=1.5, kernel_size=11, data_range=1.0, return_full_image=True)
    # torchmetrics' own mean also counts a border of 5 px made by reflection (here .7767 against .7782).
    inside = tm[0, :, 5:-5, 5:-5].mean(0).numpy()
    assert ours == pytest.approx(float(sk), abs=1e-6)  # measured 1e-15
    assert np.abs(ssim_map(*pair)[5:-5, 5:-5] - inside).max() < 1e-4  # measured 3e-13


def test_identical_pictures_score_the_cap(pair) -> None:
    assert psnr_db(pair[1], pair[1]) == MAX_PSNR_DB
    assert mean_ssim(ssim_map(pair[1], pair[1])) == pytest.approx(1.0, abs=1e-12)


def test_a_region_counts_alone(pair) -> None:
    real = pair[1]
    wrong = real.copy()
    wrong[40:50, 40:50] = 255 - wrong[40:50, 40:50]
    away = np.ones(real.shape[:2], bool)
    away[30:60, 30:60] = False
    assert psnr_db(wrong, real, away) == MAX_PSNR_DB
    assert mean_ssim(ssim_map(wrong, real), away) == pytest.approx(1.0, abs=1e-9)
    inside = np.zeros(real.shape[:2], bool)
    inside[40:50, 40:50] = True
    assert psnr_db(wrong, real, inside) < 15
    # The mean over a region is of squared errors, not of decibels.
    both = np.full((1, 2, 3), 100, np.uint8)
    other = both.copy()
    other[0, 0] = 110
    assert psnr_db(other, both) == pytest.approx(-10 * np.log10((10 / 255) ** 2 / 2), abs=1e-6)


def test_an_empty_region_has_no_score(pair) -> None:
    nothing = np.zeros(pair[0].shape[:2], bool)
    assert psnr_db(*pair, nothing) is None
    assert mean_ssim(ssim_map(*pair), nothing) is None
    border = nothing.copy()
    border[:3] = True
    assert mean_ssim(ssim_map(*pair), border) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f[..., ::-1].copy(),  # channels swapped
        lambda f: np.roll(f, 1, 1),  # one pixel off
        lambda f: np.roll(f, 1, 0),
        lambda f: (f.astype(np.int16) + 3).clip(0, 255).astype(np.uint8),  # a little too bright
        lambda f: f.transpose(1, 0, 2).copy(),
    ],
)
def test_subtle_wrongs_cost(face, spoil) -> None:
    real = face.draw(5.0)
    good = through_jpeg(real, 95)
    bad = spoil(good)
    assert psnr_db(bad, real) < psnr_db(good, real) - 1.0
    assert mean_ssim(ssim_map(bad, real)) < mean_ssim(ssim_map(good, real))


def test_one_jpeg_costs_little_and_keeps_the_channels(face) -> None:
    assert psnr_db(through_jpeg(face.draw(5.0)), face.draw(5.0)) > 33


def test_other_sizes_are_refused(face) -> None:
    with pytest.raises(Exception, match=r"real|Type-check"):
        psnr_db(face.draw(5.0)[1:], face.draw(5.0))
