"""The heat video: colour where errors are expected, by a fixed scale, and words that fit."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.avatar.forecast import FrameForecast
from ua3dtalk.synthesis.error_heat import FULL, LEGEND_PX, error_picture, heat_size


def forecast(error: np.ndarray, confidence: float = 0.5) -> FrameForecast:
    return FrameForecast(error, float(error.mean()), 0.03, confidence, {}, (0.01, 0.02))


def gap(width: int = 512) -> np.ndarray:
    error = np.zeros((64, width), np.float32)
    error[20:40, 100:200] = np.linspace(0, FULL, 100, dtype=np.float32)
    return error


def test_colour_grows_with_the_expected_error_and_is_nowhere_else() -> None:
    image = np.full((64, 512, 3), (100, 120, 140), np.uint8)
    picture = error_picture(image, forecast(gap()), (), beside=False)
    assert picture.shape == (64 + LEGEND_PX, 512, 3)
    assert np.ptp(picture[:20].astype(int), axis=-1).max() == 0  # grey: no colour without an error
    colourful = np.ptp(picture[30, 100:200].astype(int), axis=-1)
    assert colourful[0] < 10 < 60 < colourful[50]
    brightness = picture[30, 100:200].astype(int).sum(-1)
    assert brightness[-1] > brightness[0] + 100


def test_the_scale_is_the_same_for_every_video() -> None:
    image = np.full((64, 512, 3), 120, np.uint8)
    small, both = gap() / 4, gap() / 4
    both[50, 300] = FULL
    alone, beside = (error_picture(image, forecast(error), (), False) for error in (small, both))
    assert np.array_equal(alone[:45], beside[:45])


def test_small_videos_are_enlarged_so_that_words_can_be_read() -> None:
    image = np.zeros((48, 63, 3), np.uint8)
    for beside in (False, True):
        picture = error_picture(image, forecast(np.zeros((48, 63), np.float32)), (), beside)
        assert picture.shape == (*reversed(heat_size(63, 48, beside)), 3)
    assert heat_size(63, 48, False) == (567, 48 * 9 + LEGEND_PX) and heat_size(512, 512, True)[0] == 1024


def test_the_frame_itself_stands_on_the_left() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 512, 3), dtype=np.uint8)
    picture = error_picture(image, forecast(gap()), (), beside=True)
    assert np.array_equal(picture[:64, :512], image) and not np.array_equal(picture[:64, 512:], image)


@pytest.mark.parametrize("reasons", [(), ("noisy audio",), ("noisy audio", "pose outside the training range") * 3])
def test_reasons_are_written_in_red_and_stay_inside(reasons: tuple[str, ...]) -> None:
    image = np.zeros((64, 512, 3), np.uint8)
    strip = error_picture(image, forecast(gap()), reasons, False)[64:].astype(int)
    red = (strip[70:, :, 0] - strip[70:, :, 1] > 80).sum()
    assert (red > 50) == bool(reasons)
    assert (strip[50:, -4:] == 255).all() and (strip[50:, :6] == 255).all()
