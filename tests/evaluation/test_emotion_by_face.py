"""The face classifier: names what it was shown, and says nothing where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.evaluation.emotion_by_face import ACCURACY, FaceEmotionClassifier, FaceEmotionMeter
from ua3dtalk.evaluation.measure import Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.tracking.topology import mean_face

PICTURE = np.zeros((8, 8, 3), np.uint8)
CORNERS = (61, 291, 78, 308, 185, 409, 146, 375)


def face(smile: float, rng: np.random.Generator) -> np.ndarray:
    points = np.zeros((478, 3))
    points[:468] = mean_face().vertices * [1000, -1000, -1000] + [128, 128, 0]
    points[list(CORNERS), 1] -= smile
    return (points + rng.normal(0, 0.2, points.shape)).astype(np.float32)


def test_separates_what_differs_and_weighs_directions(rng: np.random.Generator) -> None:
    noise = rng.normal(size=(400, 4)) * [10, 1, 1, 1]  # the loudest direction says nothing
    labels = ["happy", "sad"] * 200
    vectors = noise + np.where(np.arange(400)[:, None] % 2 == 0, [0, 2, 0, 0], [0, -2, 0, 0])
    classifier = FaceEmotionClassifier.fit(vectors[:300], labels[:300])
    assert classifier is not None and classifier.labels == ("happy", "sad")
    right = [classifier.predict(v) == label for v, label in zip(vectors[300:], labels[300:], strict=True)]
    assert np.mean(right) > 0.95


def test_needs_two_labels_with_enough_frames(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(60, 3))
    assert FaceEmotionClassifier.fit(vectors, ["happy"] * 60) is None
    assert FaceEmotionClassifier.fit(vectors, ["happy"] * 50 + ["sad"] * 10) is None


def test_meter_counts_labelled_frames_only(rng: np.random.Generator) -> None:
    from ua3dtalk.evaluation.expression_features import expression_vector
    from ua3dtalk.tracking.normalised import normalised_points

    shown = [(0.0, "neutral"), (6.0, "happy")] * 40
    vectors = np.stack([expression_vector(normalised_points(face(smile, rng))) for smile, _ in shown])
    classifier = FaceEmotionClassifier.fit(vectors, [label for _, label in shown])
    assert classifier is not None
    regions = frame_regions(np.zeros((8, 8), np.uint8), None)

    def accuracy(smiles: list[float], labels: list[str | None]) -> tuple[float | None, dict[str, object]]:
        meter = FaceEmotionMeter(classifier, labels)
        for i, smile in enumerate(smiles):
            seen = face(smile, rng)
            meter.see(
                Moment(position=i, picture=PICTURE, real=PICTURE, landmarks=seen, real_landmarks=seen, regions=regions)
            )
        measure = meter.results()[ACCURACY.key]
        return measure.value, dict(measure.details)

    assert accuracy([6.0, 0.0, 6.0], ["happy", "neutral", None])[0] == 1
    value, details = accuracy([6.0, 6.0], ["happy", "neutral"])
    assert value == 0.5 and details["by_label"] == {"happy": 1.0, "neutral": 0.0}
    value, _ = accuracy([6.0], ["angry"])
    assert value is None, "a label that was never learnt is not guessed at"
    assert pytest.approx(1) == accuracy([6.0] * 5, ["happy"] * 5)[0]
