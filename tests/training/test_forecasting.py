"""The error forecast: on a tiny avatar whose errors are known, and its arithmetic by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SIZE, tiny_config, tiny_run, tiny_subject

from ua3dtalk.avatar.avatar import Avatar, Companions
from ua3dtalk.avatar.forecast import KNOTS, Forecast, LogLinear, SeenFrames, frame_features
from ua3dtalk.avatar.pose_loop import PoseLoop
from ua3dtalk.avatar.storage import load_forecast, save_forecast
from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.pipeline import Priors
from ua3dtalk.training.forecasting import CalibrationFrame, baselines, fit_forecast, fitted, log_linear
from ua3dtalk.training.run import TrainingRun


class Planted:
    """The avatar's own pictures with a known error: .2 on the left half of frames, more where the head is far."""

    def __init__(self, avatar: Avatar, run: TrainingRun, left: float, by_frame: np.ndarray) -> None:
        self._avatar, self._run, self._left, self._by_frame = avatar, run, left, by_frame
        self._plate = np.full((SIZE, SIZE, 3), 0.35, np.float32)

    def behind(self, i: int) -> np.ndarray:
        return self._plate

    def real(self, i: int) -> np.ndarray:
        shown = self._avatar.draw(self._run.predicted.frame(i), self._run.viewmats[i], self._plate).image
        error = np.full((SIZE, SIZE, 1), 0.02 + self._by_frame[i], np.float32)
        error[:, : SIZE // 2] += self._left
        return shown + error

    def mouth(self, i: int) -> np.ndarray:
        return np.ones((SIZE, SIZE), bool)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Avatar, TrainingRun]:
    subject = tiny_subject(tmp_path_factory.mktemp("forecast") / "subject")
    run = tiny_run(subject, tiny_config())
    return silent_avatar(run), run


def silent_avatar(run: TrainingRun, forecast: Forecast | None = None) -> Avatar:
    """An avatar that can be drawn; it has no loop and no priors, and is never asked for them."""
    loop, priors = PoseLoop.__new__(PoseLoop), Priors.__new__(Priors)
    return Avatar(
        run.layers, run.track.K, (SIZE, SIZE), loop, priors, run.rasterizer, run.device, Companions(forecast=forecast)
    )


def test_baselines_find_where_the_error_is(scene: tuple[Avatar, TrainingRun]) -> None:
    avatar, run = scene
    truth = Planted(avatar, run, 0.2, np.zeros(60))
    found = baselines(avatar, run.predicted, run.viewmats, list(range(0, 40, 4)), truth, Silent())["face"]
    x = run.layers["face"].gaussians.means[:, 0].detach()
    assert float(found[x < -0.03].mean()) > 3 * float(found[x > 0.03].mean())
    assert float(found.max()) <= 0.22 + 1e-4 and float(found.min()) >= 0.02 - 1e-4


def test_forecast_knows_where_and_when(scene: tuple[Avatar, TrainingRun]) -> None:
    avatar, run = scene
    x = np.abs(run.viewmats[:, 0, 3])
    truth = Planted(avatar, run, 0.1, 0.2 * x / x.max())
    frames = list(range(44))
    forecast = fit_forecast(avatar, run.predicted, run.viewmats, frames, truth, np.random.default_rng(0), Silent())
    forecast = Forecast.from_tensors(forecast.tensors())  # what is stored is what is used
    known = silent_avatar(run, forecast)
    drawn = {
        i: known.render_over(run.predicted.frame(i), run.viewmats[i], truth.behind(i), want_maps=True).forecast
        for i in (int(x[:44].argmin()), int(x[:44].argmax()))
    }
    near, far = drawn.values()
    assert near is not None and far is not None
    assert far.head > 1.2 * near.head and far.confidence < near.confidence
    assert far.strangeness["pose"] > near.strangeness["pose"]
    left, right = near.error[:, : SIZE // 2], near.error[:, SIZE // 2 :]
    assert left[left > 0].mean() > 1.4 * right[right > 0].mean()  # measured 1.64: Gaussians reach over the middle
    assert near.error[near.error > 0].mean() == pytest.approx(near.head, rel=1e-4)
    assert known.render_over(run.predicted.frame(0), run.viewmats[0], truth.behind(0)).forecast is None


def test_the_inner_mouth_belongs_to_the_head(scene: tuple[Avatar, TrainingRun]) -> None:
    avatar, run = scene
    behind = np.zeros((SIZE, SIZE, 3), np.float32)
    with torch.no_grad():
        face = avatar.layers["face"].gaussians.opacity_logits
        before = face.clone()
        face.fill_(-20.0)
        drawn = avatar.draw(run.predicted.frame(3), run.viewmats[3], behind)
        face.copy_(before)
    assert drawn.alpha.max() < 0.01 and drawn.inside().any(), "only the mouth's Gaussians are left"


def test_log_linear_returns_a_planted_model() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((4000, 2))
    values = np.exp(-3 + features @ [0.5, 0.0])[:, None] * rng.uniform(0.5, 1.5, (4000, 1))
    model = log_linear(features, values)
    np.testing.assert_allclose(model.weights[0, 1:] / model.scale, [0.47, 0.0], atol=0.03)  # the floor takes .03
    assert model(features).mean() == pytest.approx(values.mean(), rel=1e-6)


def test_intervals_cover_what_they_promise() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(100):
        strange, pixels = rng.standard_normal(4), rng.standard_normal((200, 5))
        scale = np.exp(-3 + 0.3 * strange[0]) * np.exp(0.4 * pixels[:, 0])
        errors = scale * rng.gamma(2.0, 0.5, 200)
        mouth = np.arange(200) < 20
        frames.append(CalibrationFrame(strange, pixels, errors, mouth, np.array([errors.mean(), errors.mean()])))
    seen = SeenFrames(np.eye(3), np.zeros(3), np.ones(6), np.zeros((1, 6)), np.zeros((1, 19)))
    forecast = fitted({"face": torch.zeros(3)}, seen, frames[:50])
    for coverage in (0.5, 0.8, 0.95):
        low, high = forecast.interval(1.0, coverage)
        inside = []
        for frame in frames[50:]:
            expected = forecast.pixel(frame.pixels)[:, 0]
            features = frame_features(frame.strangeness, frame.pixels, expected, frame.mouth)
            expected *= forecast.frame(features)[0] / expected.mean()
            inside.append(((frame.errors >= low * expected) & (frame.errors <= high * expected)).mean())
        assert np.mean(inside) == pytest.approx(coverage, abs=0.03)  # measured: .012 at most
    assert forecast.ratios.shape == (KNOTS,) and isinstance(forecast.frame, LogLinear)


def test_seen_frames_measure_distance_in_the_subjects_own_scale() -> None:
    rng = np.random.default_rng(0)
    viewmats = np.tile(np.eye(4), (80, 1, 1))
    viewmats[:, :3, 3] = [0, 0, 0.6] + 0.01 * rng.standard_normal((80, 3))
    seen = SeenFrames.of(viewmats, np.zeros((80, 13), np.float32), np.zeros((80, 6), np.float32))
    away = viewmats[0].copy()
    away[:3, 3] = [0, 0, 0.63]
    assert 2.4 < float(np.linalg.norm(seen.standardised(away))) < 3.8


def test_an_avatar_keeps_its_forecast(scene: tuple[Avatar, TrainingRun], tmp_path: Path) -> None:
    avatar, run = scene
    assert load_forecast(tmp_path) is None
    truth = Planted(avatar, run, 0.1, np.zeros(60))
    forecast = fit_forecast(
        avatar, run.predicted, run.viewmats, list(range(20)), truth, np.random.default_rng(0), Silent()
    )
    save_forecast(tmp_path, forecast)
    again = load_forecast(tmp_path)
    assert again is not None
    for name, value in forecast.tensors().items():
        assert torch.equal(value, again.tensors()[name]), name
