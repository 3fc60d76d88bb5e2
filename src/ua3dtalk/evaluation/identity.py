"""Identity: how alike the rendered and the real face are to a face recogniser that the user brings (CSIM)."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.evaluation.frame_mean import mean_over_frames
from ua3dtalk.evaluation.landmark_points import LEFT_CORNER, LEFT_EYE, RIGHT_CORNER, RIGHT_EYE
from ua3dtalk.evaluation.measure import Definition, MakeMeter, Measure, Missing, Moment
from ua3dtalk.evaluation.weights import find_weights, where_to_put
from ua3dtalk.tracking.landmarks import quiet_stderr
from ua3dtalk.tracking.topology import LEFT_EYE_INNER, RIGHT_EYE_INNER

MODEL_NAME = "arcface.onnx"
"""File name that is looked for."""
CROP_PX = 112
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Where ArcFace's crop has the eye on the picture's left, the other eye, the nose tip and the mouth corners; pixels,
the first one at (0, 0)."""
NOSE_TIP = 1
"""Not ``topology.NOSE_TIP``, which is another point of the nose."""

_ORIGIN = "Any recogniser of ArcFace's convention as ONNX: 112×112 RGB, (x − 127.5) / 127.5, one embedding out"
_CURE = "Give a face recogniser of ArcFace's convention: input [1, 3, 112, 112], output [1, D]."


def identity_definition(every: int) -> Definition:
    """What is measured.

    Args:
        every: Distance of the measured frames, frames.
    """
    which = "every frame" if every == 1 else f"every {every}th frame, from the first,"
    return Definition(
        key="identity",
        title="identity (CSIM)",
        unit="",
        ideal="higher",
        meaning="Cosine between the embeddings of the rendered and the real face by the given face recogniser, each "
        f"aligned by its own eyes, nose tip and mouth corners; mean over {which} in which both faces were found. "
        "Values of different recognisers do not compare.",
        source="Deng et al., CVPR 2019 (ArcFace); alignment by its five-point template",
    )


def five_points(landmarks: Float32[np.ndarray, "478 3"]) -> Float64[np.ndarray, "5 2"]:
    """Eye centres (middle of the corners, so that gaze and blinks do not count), nose tip and mouth corners.

    Args:
        landmarks: Face points, pixels, centre of the first pixel at (0.5, 0.5).

    Returns:
        The points in ``TEMPLATE``'s order, same coordinates.
    """
    flat = landmarks[:, :2].astype(np.float64)
    eyes = (flat[[RIGHT_EYE, RIGHT_EYE_INNER]].mean(0), flat[[LEFT_EYE, LEFT_EYE_INNER]].mean(0))
    return np.stack([*eyes, flat[NOSE_TIP], flat[RIGHT_CORNER], flat[LEFT_CORNER]])


def similarity_to_template(points: Float64[np.ndarray, "5 2"]) -> Float64[np.ndarray, "2 3"]:
    """Turn, scale and shift that bring five points nearest to the template (least squares, no mirroring).

    Args:
        points: Pixels, the first one at (0, 0).
    """
    x, y = points.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, shift_x, shift_y = np.linalg.lstsq(rows, np.array(TEMPLATE).T.reshape(-1), rcond=None)[0]
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def align_face(
    frame: UInt8[np.ndarray, "h w 3"], landmarks: Float32[np.ndarray, "478 3"]
) -> UInt8[np.ndarray, "112 112 3"]:
    """The face as ArcFace takes it; black where the frame ends.

    Args:
        frame: RGB.
        landmarks: Face points of the frame, pixels.
    """
    matrix = similarity_to_template(five_points(landmarks) - 0.5)
    return np.asarray(cv2.warpAffine(frame, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR))


class FaceEmbedder:
    """A face recogniser from an ONNX file, run by OpenCV.

    Its colour order and scaling cannot be told from the file; a model of another convention gives other numbers.

    Args:
        path: The file.

    Raises:
        UserError: no ONNX that OpenCV can run on a crop, or its output is no embedding.
    """

    def __init__(self, path: Path) -> None:
        with quiet_stderr():  # OpenCV warns whenever it takes its older parser, which most recognisers need
            try:
                self._net = cv2.dnn.readNetFromONNX(str(path))
            except cv2.error as error:
                raise UserError(f"{path} cannot be read as ONNX ({_reason(error)}).", _CURE) from error
            ramp = np.arange(CROP_PX * CROP_PX * 3, dtype=np.int64) % 251
            try:
                found = self._forward(ramp.astype(np.uint8).reshape(CROP_PX, CROP_PX, 3))
            except cv2.error as error:
                raise UserError(f"{path} does not take a face crop ({_reason(error)}).", _CURE) from error
        if found.ndim != 2 or found.shape[0] != 1 or found.shape[1] < 2:
            raise UserError(f"{path} gives {list(found.shape)} for one face.", _CURE)
        if not 0 < np.abs(found).max() < np.finfo(np.float32).max:  # to which OpenCV clips what is not finite
            raise UserError(f"{path} gives no finite embedding other than zero.", _CURE)

    def embed(self, crop: UInt8[np.ndarray, "112 112 3"]) -> Float32[np.ndarray, " d"]:
        """Embedding of unit length.

        Args:
            crop: Aligned face, RGB.
        """
        found = self._forward(crop)[0]
        return found / np.float32(max(float(np.linalg.norm(found.astype(np.float64))), 1e-12))

    def _forward(self, crop: np.ndarray) -> np.ndarray:
        self._net.setInput(cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=False))
        return np.array(self._net.forward(), np.float32)


class IdentityScorer:
    """Scores faces; all rows share one, so that the model is loaded once and a real face is embedded once.

    Args:
        embedder: Face recogniser.
    """

    def __init__(self, embedder: FaceEmbedder) -> None:
        self._embedder = embedder
        self._real: np.ndarray | None = None
        self._embedding: np.ndarray = np.zeros(0, np.float32)

    def score(
        self,
        rendered: UInt8[np.ndarray, "h w 3"],
        landmarks: Float32[np.ndarray, "478 3"],
        real: UInt8[np.ndarray, "real_h real_w 3"],
        real_landmarks: Float32[np.ndarray, "478 3"],
    ) -> float:
        """Cosine of the two faces' embeddings, −1..1.

        Args:
            rendered: RGB.
            landmarks: Its face points, pixels.
            real: RGB; must not be written to afterwards, because the last one is remembered.
            real_landmarks: Its face points, pixels.
        """
        if self._real is not real:
            self._real, self._embedding = real, self._embedder.embed(align_face(real, real_landmarks))
        return float(self._embedder.embed(align_face(rendered, landmarks)) @ self._embedding)


class IdentityMeter:
    """Mean over the frames of one row.

    Args:
        scorer: Shared by all rows.
        every: Measure frames 0, ``every``, 2 ``every``, …
        seed: Of the interval's draws.
        model: Where the model comes from, to be recorded.
    """

    def __init__(self, scorer: IdentityScorer, *, every: int, seed: int, model: dict[str, str]) -> None:
        self.definitions = (identity_definition(every),)
        self._scorer = scorer
        self._every = every
        self._seed = seed
        self._model = model
        self._values: list[float] = []
        self._missed = 0

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        if moment.position % self._every:
            return
        if moment.landmarks is None or moment.real_landmarks is None:
            self._missed += 1
            return
        value = self._scorer.score(moment.picture, moment.landmarks, moment.real, moment.real_landmarks)
        self._values.append(value)

    def results(self) -> dict[str, Measure]:
        """The mean; None where no face was found."""
        details = {"missed": self._missed, "every": self._every, **self._model}
        measure = mean_over_frames(self._values, seed=self._seed, every=self._every, details=details)
        return {self.definitions[0].key: measure}


def make_identity_meter(given: Path | None = None, *, every: int = 5, seed: int = 0) -> MakeMeter:
    """Loads the model once and gives fresh meters; without a model, meters that say what is missing.

    Args:
        given: ONNX file of the user; None looks for ``MODEL_NAME`` in the folder of weights.
        every: Measure every so many frames: a ResNet-50 takes some 0.4 s per face on a CPU.
        seed: Of the interval's draws.

    Raises:
        UserError: the file that the user named does not exist, or a file is no such model.
        ValueError: ``every`` below 1.
    """
    if every < 1:
        raise ValueError(f"`every` must be at least 1, got {every}.")
    path = find_weights(MODEL_NAME, given)
    if path is None:
        return lambda: Missing((identity_definition(every),), where_to_put(MODEL_NAME, _ORIGIN))
    scorer = IdentityScorer(FaceEmbedder(path))
    facts = {"model": path.name, "sha256": file_sha256(path)}
    return lambda: IdentityMeter(scorer, every=every, seed=seed, model=facts)


def _reason(error: cv2.error) -> str:
    """OpenCV's reason without its source position."""
    text = " ".join(str(error).split())
    found = re.search(r"error: \([^)]*\) (.*) in function", text)
    return found.group(1) if found else text
