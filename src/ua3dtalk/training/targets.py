"""What a training step compares with: the cropped frame, its masks and its camera."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ua3dtalk.geometry.camera import Camera
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.topology import INNER_LIPS, OUTER_LIPS

HEAD_MARGIN_PX = 8
"""Room around the head box, so that Gaussians that stick out are seen and pushed back."""
CACHED_BYTES = 384 * 2**20
"""Of crops that are kept: about 2,500 frames of 256²."""


@dataclass(frozen=True)
class FrameTarget:
    """One frame, cropped to the box around the region that is trained."""

    image: Float[Tensor, "h w 3"]
    """Colours in [0, 1]."""
    mask: Float[Tensor, "h w 1"]
    """Soft membership of the region in [0, 1]."""
    weight: Float[Tensor, "h w 1"]
    """Weight of the L1 term: larger in the mouth box."""
    camera: Camera
    """Camera of the crop (shifted principal point)."""


@dataclass(frozen=True)
class _Crop:
    image: np.ndarray
    head: np.ndarray
    inner: np.ndarray
    box: tuple[int, int, int, int]
    mouth: tuple[int, int, int, int]

    @property
    def bytes(self) -> int:
        return self.image.nbytes + self.head.nbytes + self.inner.nbytes


class TargetReader:
    """Reads training frames lazily and keeps as many crops as fit.

    Args:
        subject: The prepared subject.
        viewmats: World-to-camera of every frame; may be replaced as poses are refined.
        mouth_weight: Extra weight of the mouth box.
        device: Where the tensors go.
    """

    def __init__(
        self, subject: Subject, viewmats: Float[np.ndarray, "t 4 4"], mouth_weight: float, device: torch.device
    ) -> None:
        self.subject = subject
        self._track = subject.track()
        self.viewmats = viewmats
        self._mouth_weight = mouth_weight
        self._device = device
        self._cache: OrderedDict[int, _Crop] = OrderedDict()
        self._cached = 0

    def target(self, i: int, region: str) -> FrameTarget:
        """Frame ``i`` for one region.

        Args:
            i: Frame number.
            region: ``"head"`` (everything), ``"face"`` (without the inner mouth) or ``"mouth"`` (only that).
        """
        crop = self._crop(i)
        y0, y1, x0, x1 = (0, crop.image.shape[0], 0, crop.image.shape[1]) if region != "mouth" else crop.mouth
        head, inner = crop.head[y0:y1, x0:x1, None] / 255.0, crop.inner[y0:y1, x0:x1, None] / 255.0
        mask = {"head": head, "face": head * (1 - inner), "mouth": inner}[region].astype(np.float32)
        weight = np.ones(mask.shape, np.float32)
        if region != "mouth":
            m = crop.mouth
            weight[m[0] : m[1], m[2] : m[3]] += self._mouth_weight
        image = crop.image[y0:y1, x0:x1].astype(np.float32) / 255.0
        to = lambda a: torch.from_numpy(np.ascontiguousarray(a)).to(self._device)  # noqa: E731
        camera = self.camera(i, (crop.box[0] + y0, crop.box[0] + y1, crop.box[2] + x0, crop.box[2] + x1))
        return FrameTarget(to(image), to(mask), to(weight), camera)

    def camera(self, i: int, box: tuple[int, int, int, int] | None = None) -> Camera:
        """Camera of frame ``i``, of the whole frame or of a box ``(y0, y1, x0, x1)`` of it, pixels."""
        viewmat = torch.from_numpy(self.viewmats[i].astype(np.float32)).to(self._device)
        intrinsics = torch.from_numpy(self._track.K.astype(np.float32)).to(self._device)
        whole = Camera(viewmat, intrinsics, self.subject.width, self.subject.height)
        return whole if box is None else whole.crop(*box)

    def inner_mouth_area(self, frames: Int[np.ndarray, " f"]) -> Int[np.ndarray, " f"]:
        """Inner-mouth pixels of each frame, from the landmarks (no image is read)."""
        points = self._track.landmarks[frames][:, list(INNER_LIPS), :2]
        return np.array([cv2.contourArea(np.ascontiguousarray(p, np.float32)) for p in points]).astype(np.int64)

    def _crop(self, i: int) -> _Crop:
        if i in self._cache:
            self._cache.move_to_end(i)
            return self._cache[i]
        parsing = self.subject.parsing(i)
        head = soft_mask(np.isin(parsing, [int(label) for label in HEAD_LABELS]))
        # Hard: a soft border of a mouth that is four pixels high would leave half-transparent lips.
        inner = (parsing == Label.INNER_MOUTH).astype(np.uint8) * 255
        box = _bounds(head > 0, HEAD_MARGIN_PX)
        outer = self._track.landmarks[i, list(OUTER_LIPS), :2]
        mouth = mouth_box(outer, head.shape)
        inside = (
            int(np.clip(mouth[0], box[0], box[1] - 1) - box[0]),
            int(np.clip(mouth[1], box[0] + 1, box[1]) - box[0]),
            int(np.clip(mouth[2], box[2], box[3] - 1) - box[2]),
            int(np.clip(mouth[3], box[2] + 1, box[3]) - box[2]),
        )
        window = np.s_[box[0] : box[1], box[2] : box[3]]
        crop = _Crop(self.subject.frame(i)[window].copy(), head[window].copy(), inner[window].copy(), box, inside)
        self._cache[i] = crop
        self._cached += crop.bytes
        while self._cached > CACHED_BYTES and len(self._cache) > 1:
            self._cached -= self._cache.popitem(last=False)[1].bytes
        return crop


def soft_mask(hard: np.ndarray) -> np.ndarray:
    """A hard mask with a border of about two pixels, uint8 0..255: half-covered pixels exist."""
    blurred = cv2.GaussianBlur(hard.astype(np.float32), (0, 0), 1.0)
    return (np.clip((blurred - 0.2) / 0.6, 0, 1) * 255).astype(np.uint8)


def mouth_box(outer_lips: Float[np.ndarray, "p 2"], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Box ``(y0, y1, x0, x1)`` around the lips, grown by 20 % in width, 35 % in height and 2 px (at least 4 px)."""
    low, high = outer_lips.min(0), outer_lips.max(0)
    margin = (high - low) * np.array([0.2, 0.35]) + 2
    low, high = np.floor(low - margin), np.ceil(high + margin)
    x0, y0 = int(np.clip(low[0], 0, shape[1] - 4)), int(np.clip(low[1], 0, shape[0] - 4))
    return y0, int(np.clip(high[1], y0 + 4, shape[0])), x0, int(np.clip(high[0], x0 + 4, shape[1]))


def _bounds(mask: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return 0, mask.shape[0], 0, mask.shape[1]
    return (
        max(int(rows[0]) - margin, 0),
        min(int(rows[-1]) + 1 + margin, mask.shape[0]),
        max(int(columns[0]) - margin, 0),
        min(int(columns[-1]) + 1 + margin, mask.shape[1]),
    )
