"""The head of a frame that was never prepared: what a report of two plain videos calls *head*."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.evaluation.landmark_points import LEFT_EYE, RIGHT_EYE
from ua3dtalk.evaluation.seam import JAW, down_the_face
from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.regions import face_regions

MEANING = (
    "person pixels (MediaPipe's selfie mask) above the jaw's outline and, beside the face, above its ends at the ears; "
    "no long hair below them, no neck"
)
_FAR = 20.0  # eye distances: beyond any frame


def head_labels(
    person: Float32[np.ndarray, "h w"], landmarks: Float32[np.ndarray, "478 3"] | None
) -> UInt8[np.ndarray, "h w"]:
    """A coarse parsing from a person mask and one face.

    Args:
        person: Probability that a pixel shows a person.
        landmarks: Face points, pixels; None without a face: then nothing is head.

    Returns:
        Values of ``Label``: SKIN for all of the head, TORSO for the rest of the person, BACKGROUND.
    """
    labels = np.where(person > 0.5, np.uint8(Label.TORSO), np.uint8(Label.BACKGROUND))
    if landmarks is None:
        return labels
    flat = landmarks[:, :2].astype(np.float64)
    down = down_the_face(flat)
    across = np.array([down[1], -down[0]])
    far = _FAR * max(float(np.linalg.norm(flat[LEFT_EYE] - flat[RIGHT_EYE])), 1.0)
    jaw = flat[list(JAW)]
    side = across if (jaw[0] - jaw[-1]) @ across > 0 else -across
    first, last = jaw[0] + side * far, jaw[-1] - side * far
    ring = np.concatenate([[first], jaw, [last], [last - down * far, first - down * far]])
    above = np.zeros(person.shape, np.uint8)
    cv2.fillPoly(above, [np.clip(np.round(ring - 0.5), -30_000, 30_000).astype(np.int32)], 1)
    labels[(above > 0) & (person > 0.5)] = Label.SKIN
    labels[face_regions(person.shape, landmarks).oval] = Label.SKIN
    return labels
