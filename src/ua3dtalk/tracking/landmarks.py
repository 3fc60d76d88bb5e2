"""Face landmarks: a protocol and two adapters, both MediaPipe (DESIGN §5.1)."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.core.errors import UserError

NUM_LANDMARKS = 478
FRAME_MS = 40


@runtime_checkable
class FaceLandmarks(Protocol):
    """Finds the 478 landmarks of the face in a picture (MediaPipe's numbering)."""

    name: str
    blendshapes: Mapping[str, float] | None
    """ARKit blendshapes (0..1) of the face found last, by name; None where the model has none."""

    def detect(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "478 3"] | None:
        """Landmarks of one face: x, y in pixels (centres at +0.5), z in the same scale; None without a face."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to the error stream nowhere: MediaPipe greets every user with warnings."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def import_mediapipe() -> Any:
    """The ``mediapipe`` module, without its greetings.

    Raises:
        UserError: it is not installed.
    """
    with quiet_stderr():
        try:
            import mediapipe
        except ImportError as error:
            raise UserError(f"mediapipe cannot be imported ({error}).", "pip install ua3dtalk[tracking]") from error
    return mediapipe


class FaceMeshLandmarks:
    """MediaPipe FaceMesh with refined eyes and lips; its model is in the wheel. A context manager.

    Args:
        static: True treats every picture by itself; False follows the face from frame to frame (faster, steadier).
        max_faces: Look for up to this many faces; of several, the one nearest to the last result, at first the
            largest, is returned.
        min_confidence: Smallest detection confidence, 0..1.
    """

    name = "mediapipe-0.10.14-facemesh-refined"
    blendshapes: Mapping[str, float] | None = None

    def __init__(self, static: bool = False, max_faces: int = 1, min_confidence: float = 0.5) -> None:
        mediapipe = import_mediapipe()
        self._last: np.ndarray | None = None
        self._static = static
        with quiet_stderr():
            self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                refine_landmarks=True,
                max_num_faces=max_faces,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=0.5,
            )
            # The first picture makes the graph's threads speak.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))

    def detect(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "478 3"] | None:
        """Landmarks of one face, or None; see ``FaceLandmarks``."""
        faces = self.detect_all(frame)
        if not faces:
            return None
        if self._last is None or self._static:
            chosen = max(faces, key=lambda face: float(np.prod(np.ptp(face[:, :2], axis=0))))
        else:
            centre = self._last[:, :2].mean(0)
            chosen = min(faces, key=lambda face: float(np.linalg.norm(face[:, :2].mean(0) - centre)))
        self._last = chosen
        return chosen

    def detect_all(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[Float32[np.ndarray, "478 3"]]:
        """Landmarks of all faces found."""
        height, width = frame.shape[:2]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._mesh.process(np.ascontiguousarray(frame)).multi_face_landmarks
        return [_to_array(face.landmark, width, height) for face in found or []]

    def close(self) -> None:
        """Free the model."""
        self._mesh.close()

    def __enter__(self) -> FaceMeshLandmarks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TaskLandmarks:
    """MediaPipe Tasks with a ``face_landmarker.task`` of the user: blendshapes, less jitter. A context manager.

    Args:
        model: Path of the ``.task`` file.

    Raises:
        UserError: the file is missing or not such a model.
    """

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise UserError(f"{model} does not exist.", "Give the path of a face_landmarker.task file.")
        self._mediapipe = import_mediapipe()
        self.name = f"mediapipe-0.10.14-task-{model.name}"
        self.blendshapes: Mapping[str, float] | None = None
        vision = self._mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=self._mediapipe.tasks.BaseOptions(model_asset_buffer=model.read_bytes()),
            running_mode=vision.RunningMode.VIDEO,
            output_face_blendshapes=True,
        )
        with quiet_stderr():
            try:
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
                self._time_ms = 0
                self.detect(np.zeros((64, 64, 3), np.uint8))
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"{model} is not a face landmarker model.", "Give a face_landmarker.task file of MediaPipe."
                ) from error

    def detect(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "478 3"] | None:
        """Landmarks of one face, or None; see ``FaceLandmarks``."""
        height, width = frame.shape[:2]
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._landmarker.detect_for_video(image, self._time_ms)
        self._time_ms += FRAME_MS
        shapes = found.face_blendshapes
        self.blendshapes = {s.category_name: float(s.score) for s in shapes[0]} if shapes else None
        return _to_array(found.face_landmarks[0], width, height) if found.face_landmarks else None

    def close(self) -> None:
        """Free the model."""
        self._landmarker.close()

    def __enter__(self) -> TaskLandmarks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _to_array(points: Any, width: int, height: int) -> np.ndarray:
    return np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32)
