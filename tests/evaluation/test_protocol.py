"""Rows: a right rendering scores best, every subtle wrong shows in its own column, nothing is kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ua3dtalk.evaluation.image import MAX_PSNR_DB, through_jpeg
from ua3dtalk.evaluation.protocol import Reference, evaluate_rows, with_risk
from ua3dtalk.evaluation.results import Evaluation


@pytest.fixture(scope="module")
def reference(face: Any, openings_px: np.ndarray) -> Reference:
    frames = range(1, 57)
    return Reference(frames=frames, picture=lambda i: face.draw(openings_px[i]), parsing=lambda *_: face.parsing())


@pytest.fixture(scope="module")
def evaluation(face: Any, openings_px: np.ndarray, reference: Reference) -> Evaluation:
    real = reference.picture
    sources: dict[str, Callable[[int], np.ndarray]] = {
        "real": lambda i: through_jpeg(real(i)),
        "exact": real,
        "static": lambda i: face.draw(5.0),
        "late": lambda i: real(i - 1),
        "early": lambda i: real(i + 1),
        "swapped": lambda i: real(i + 1 if i % 2 else i - 1),
        "half": lambda i: face.draw(5 + 0.5 * (openings_px[i] - 5)),
        "shifted": lambda i: np.roll(real(i), 1, 1),
        "colours": lambda i: np.where(np.arange(96)[:, None, None] < 45, real(i)[..., ::-1], real(i)),
        "torso": lambda i: np.concatenate([real(i)[:88], 255 - real(i)[88:]]),
        "faceless": lambda i: np.full_like(real(i), 90) if i < 11 else real(i),
    }
    return evaluate_rows(reference, sources, face.Detector, np.random.default_rng(0))


def psnr(evaluation: Evaluation, row: str, region: str) -> float:
    mean = evaluation.rows[row].regions[region].psnr_db.mean
    assert mean is not None
    return mean


def test_the_same_frames_are_perfect(evaluation: Evaluation) -> None:
    row = evaluation.rows["exact"]
    assert psnr(evaluation, "exact", "full") == MAX_PSNR_DB
    assert row.lmd_px.mean == 0 and row.missed == 0
    assert row.opening.correlation == pytest.approx(1) and row.opening.amplitude == pytest.approx(1)
    assert row.opening.lag_frames == 0


def test_one_frame_late_shows_as_lag(evaluation: Evaluation) -> None:
    for name, lag in {"late": 1, "early": -1}.items():
        row = evaluation.rows[name]
        assert row.opening.lag_frames == lag
        assert row.opening.correlation_at_lag > 0.999 > 0.99 > row.opening.correlation
        assert row.lmd_px.mean > 0.1


def test_swapped_frames_show(evaluation: Evaluation) -> None:
    swapped = evaluation.rows["swapped"]
    assert swapped.opening.correlation < 0.99 and swapped.lmd_px.mean > 0.1
    assert psnr(evaluation, "swapped", "mouth") < 45


def test_half_the_movement_shows_as_amplitude_only(evaluation: Evaluation) -> None:
    row = evaluation.rows["half"]
    assert row.opening.correlation > 0.95  # .979: the drawn mouth is read off pixels
    assert row.opening.amplitude == pytest.approx(0.5, abs=0.1)
    assert row.opening.lag_frames == 0


def test_a_pixel_shift_shows_in_pictures_not_in_lips(evaluation: Evaluation) -> None:
    assert psnr(evaluation, "shifted", "head") < psnr(evaluation, "real", "head") - 1
    assert evaluation.rows["shifted"].lmd_px.mean < 0.05  # both outlines are centred


def test_regions_see_their_own_errors(evaluation: Evaluation) -> None:
    assert psnr(evaluation, "torso", "head_eroded") == MAX_PSNR_DB > psnr(evaluation, "torso", "full") + 60
    assert psnr(evaluation, "colours", "mouth") == MAX_PSNR_DB > psnr(evaluation, "colours", "head") + 60
    ssim = {name: row.regions["head"].ssim.mean for name, row in evaluation.rows.items()}
    assert ssim["exact"] == pytest.approx(1) and ssim["colours"] < 0.95 and ssim["shifted"] < 0.99


def test_gain_is_over_the_static_row(evaluation: Evaluation) -> None:
    gains = {name: row.mouth_gain_db for name, row in evaluation.rows.items()}
    assert gains["static"] == pytest.approx(0)
    assert gains["half"] == pytest.approx(psnr(evaluation, "half", "mouth") - psnr(evaluation, "static", "mouth"))
    assert gains["half"] > 2


def test_a_still_mouth_is_called_still(evaluation: Evaluation) -> None:
    assert evaluation.rows["static"].opening.correlation is None
    assert evaluation.rows["static"].opening.amplitude == pytest.approx(0, abs=1e-6)


def test_missed_faces_are_counted_and_left_out(evaluation: Evaluation) -> None:
    row = evaluation.rows["faceless"]
    assert row.missed == 10 and row.opening.frames == 46
    assert row.opening.correlation == pytest.approx(1)
    assert row.regions["mouth"].frames == 56  # pictures still count: a vanished face is an error, not an excuse
    assert evaluation.missed_real == 0


def test_intervals_hold_the_mean_and_repeat(face: Any, reference: Reference) -> None:
    rows = {"static": lambda i: face.draw(5.0)}
    first, second = (evaluate_rows(reference, rows, face.Detector, np.random.default_rng(7)) for _ in range(2))
    score = first.rows["static"].regions["mouth"].psnr_db
    assert score == second.rows["static"].regions["mouth"].psnr_db
    assert score.interval is not None and score.interval[0] < score.mean < score.interval[1]


def test_a_real_frame_without_face_has_no_mouth_box(face: Any, reference: Reference) -> None:
    blind = Reference(
        frames=range(1, 6),
        picture=lambda i: np.full((96, 96, 3), 90, np.uint8) if i == 3 else reference.picture(i),
        parsing=reference.parsing,
    )
    found = evaluate_rows(blind, {"exact": blind.picture}, face.Detector, np.random.default_rng(0))
    assert found.missed_real == 1 and found.rows["exact"].regions["mouth"].frames == 4


def test_every_video_has_its_own_detector_and_it_is_closed(face: Any, reference: Reference) -> None:
    made: list[Any] = []

    class Watched(face.Detector):
        def __init__(self) -> None:
            self.closed = False
            made.append(self)

        def close(self) -> None:
            self.closed = True

    short = Reference(frames=range(1, 4), picture=reference.picture, parsing=reference.parsing)
    evaluate_rows(short, {"a": reference.picture, "b": reference.picture}, Watched, np.random.default_rng(0))
    assert len(made) == 3 and all(d.closed for d in made)


def test_wrong_frames_are_refused(face: Any, reference: Reference) -> None:
    for bad in (lambda i: face.draw(5.0) / 255, lambda i: face.draw(5.0)[:-1]):
        with pytest.raises(ValueError, match="Row 'bad'"):
            evaluate_rows(reference, {"bad": bad}, face.Detector, np.random.default_rng(0))


def test_risk_knows_good_from_useless_uncertainty(evaluation: Evaluation) -> None:
    error = -evaluation.rows["half"].curves.psnr_db["mouth"]
    good = with_risk(evaluation, "half", error + 0.1)
    assert good.rows["half"].risk["mouth_psnr"].spearman == pytest.approx(1)
    random = with_risk(evaluation, "half", np.random.default_rng(0).normal(size=56))
    assert abs(random.rows["half"].risk["mouth_psnr"].spearman) < 0.35
    shifted = with_risk(evaluation, "half", np.roll(error, 10))
    assert shifted.rows["half"].risk["mouth_psnr"].spearman < 0.9
    constant = with_risk(evaluation, "half", np.ones(56))
    assert constant.rows["half"].risk["mouth_psnr"].spearman is None
    assert good.rows["exact"].risk is None
