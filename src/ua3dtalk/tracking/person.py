"""Where the person is: MediaPipe's selfie segmentation, sharpened along edges of the picture."""

from __future__ import annotations

import warnings
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.tracking.landmarks import import_mediapipe, quiet_stderr


class PersonMask:
    """Probability of person per pixel; a context manager. Its model is in the MediaPipe wheel."""

    name = "mediapipe-0.10.14-selfie"

    def __init__(self) -> None:
        mediapipe = import_mediapipe()
        with quiet_stderr():
            self._model = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            self._model.process(np.zeros((64, 64, 3), np.uint8))

    def detect(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
        """Person probability, 0..1, snapped to edges of the picture by a guided filter."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = self._model.process(np.ascontiguousarray(frame)).segmentation_mask
        raw = np.asarray(raw, np.float32)
        guide = frame.astype(np.float32) / 255
        side = max(frame.shape[:2])
        radius = max(2, round(side / 128))
        return np.clip(cv2.ximgproc.guidedFilter(guide, raw, radius, 1e-3, scale=1.0 if side <= 256 else 0.5), 0, 1)

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def __enter__(self) -> PersonMask:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
