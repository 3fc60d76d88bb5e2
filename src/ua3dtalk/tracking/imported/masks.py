"""Their masks, colours, to our labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.parsing import label_face_parts
from ua3dtalk.tracking.regions import FaceRegions, face_regions

COLOURS = {
    (255, 255, 255): Label.BACKGROUND,
    (255, 0, 0): Label.TORSO,
    (0, 255, 0): Label.NECK,
    (0, 0, 0): Label.HAIR,
    (0, 0, 255): Label.SKIN,
    (100, 100, 100): Label.INNER_MOUTH,
}
"""RGB as a PNG reader sees it. Skin is the whole head; only TalkingGaussian gives hair and mouth their own colours."""
_CODES = {red | green << 8 | blue << 16: label for (red, green, blue), label in COLOURS.items()}


def labels_of_colours(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Labels of a mask.

    Raises:
        ValueError: it has a colour that is none of ``COLOURS``; the message names it.
    """
    code = picture @ np.array([1, 1 << 8, 1 << 16], np.int32)
    labels = np.full(code.shape, 255, np.uint8)
    for value, label in _CODES.items():
        labels[code == value] = label
    if (labels == 255).any():
        colour = tuple(int(c) for c in picture[labels == 255][0])
        raise ValueError(f"the colour {colour}, which is none of the layout's")
    return labels


def with_face_parts(
    labels: UInt8[np.ndarray, "h w"], frame: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "478 3"]
) -> tuple[UInt8[np.ndarray, "h w"], FaceRegions]:
    """Labels with brows, eyes, lips and the inside of the mouth, which are found as ``prepare`` finds them.

    Where hair is not told from skin, the head outside the face's mesh is called hair.

    Args:
        labels: Of ``labels_of_colours``, at the stored size.
        frame: The picture, in which the lips' inner edge is looked for.
        landmarks: Pixels.

    Returns:
        The labels, and the regions that the landmarks span.
    """
    regions = face_regions((frame.shape[0], frame.shape[1]), landmarks)
    found = labels.copy()
    # Not theirs: a mask that is one pixel off in half of the frames already overlaps less with the true mouth.
    found[labels == Label.INNER_MOUTH] = Label.SKIN
    if not (labels == Label.HAIR).any():
        found[(found == Label.SKIN) & ~regions.oval] = Label.HAIR
    label_face_parts(found, regions, frame, landmarks)
    return found, regions
