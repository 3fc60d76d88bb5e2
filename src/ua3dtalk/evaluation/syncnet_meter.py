"""Sync-C, Sync-D and the offset of SyncNet, as its public script computes them, one frame at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor

from ua3dtalk.core.files import file_sha256
from ua3dtalk.evaluation.measure import Definition, MakeMeter, Measure, Missing, Moment
from ua3dtalk.evaluation.mfcc import NUM_CEPSTRA, SAMPLE_RATE_HZ, mfcc
from ua3dtalk.evaluation.syncnet import (
    CEPSTRA_PER_FRAME,
    CEPSTRA_PER_WINDOW,
    CROP_PX,
    WINDOW_FRAMES,
    SyncNet,
    load_syncnet,
)
from ua3dtalk.evaluation.weights import find_weights, where_to_put

WEIGHTS_NAME = "syncnet_v2.safetensors"
"""File name that is looked for."""
_ORIGIN = "scripts/convert_weights.py makes it from syncnet_v2.model of github.com/joonson/syncnet_python"
MAX_SHIFT = 15
"""Shifts tried in each direction, frames."""
CROP_SCALE = 0.40
PAD_VALUE = 110
SMOOTH_FRAMES = 13
"""Boxes are smoothed by the median over this many frames."""
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // 25
_BATCH = 64
_SOURCE = "Chung and Zisserman, ACCV-W 2016; as in github.com/joonson/syncnet_python"

SYNC_C = Definition(
    key="sync_c",
    title="Sync-C (SyncNet)",
    unit="",
    ideal="real",
    meaning="Median over shifts of ±15 frames of the mean distance between SyncNet's embeddings of lips and sound, "
    "minus the least. High where one shift fits much better than the others; models trained on SyncNet exceed real "
    "video. The face is cut out by our landmarks, not by S3FD.",
    source=_SOURCE,
)
SYNC_D = Definition(
    key="sync_d",
    title="Sync-D (SyncNet)",
    unit="",
    ideal="real",
    meaning="The least mean distance over shifts of ±15 frames. It does not see a constant delay: read the offset too.",
    source=_SOURCE,
)
SYNC_OFFSET = Definition(
    key="sync_offset",
    title="offset (SyncNet)",
    unit="frames",
    ideal="zero",
    meaning="Shift at which the mean distance is least. Positive: the lips come late, behind the sound.",
    source=_SOURCE,
)
DEFINITIONS = (SYNC_C, SYNC_D, SYNC_OFFSET)


@dataclass(frozen=True, kw_only=True)
class SyncScore:
    """What SyncNet says about one clip."""

    confidence: float
    """Sync-C: median minus minimum over the shifts."""
    distance: float
    """Sync-D: minimum over the shifts."""
    offset_frames: int
    """Shift of the minimum; positive: the lips come late."""


def make_syncnet_meter(audio: Float32[np.ndarray, " s"] | None, given: Path | None = None) -> MakeMeter:
    """Loads the weights and hears the sound once, and gives fresh meters; without either, meters that say so.

    Args:
        audio: Sound of the evaluated frames, which follow each other at 25 fps: 16 kHz mono, -1..1, sample 0 at the
            start of the first frame; None where there is none.
        given: Safetensors file of the user; None looks for ``WEIGHTS_NAME`` in the folder of weights.

    Raises:
        UserError: the file that the user named does not exist, or a file is damaged or does not fit.
    """
    path = find_weights(WEIGHTS_NAME, given)
    if path is None:
        why = where_to_put(WEIGHTS_NAME, _ORIGIN)
        return lambda: Missing(DEFINITIONS, why)
    if audio is None or len(audio) <= SAMPLES_PER_FRAME * WINDOW_FRAMES + SAMPLES_PER_FRAME:
        why = "The video has no sound, or less than 0.24 s of it: use a video in which the person speaks."
        return lambda: Missing(DEFINITIONS, why)
    net = load_syncnet(path)
    sound = embed_sound(net, audio)
    facts = {"weights": path.name, "sha256": file_sha256(path)}
    return lambda: SyncNetMeter(net, sound, facts)


class SyncNetMeter:
    """Embeds windows of five frames as they come and keeps the embeddings only.

    Windows with a frame without a face are left out and counted.

    Args:
        net: The network.
        sound: ``embed_sound`` of the evaluated frames.
        weights: Where the weights come from, to be recorded.
    """

    definitions = DEFINITIONS

    def __init__(self, net: SyncNet, sound: Float32[Tensor, "w d"], weights: Mapping[str, str]) -> None:
        self._net = net
        self._sound = sound
        self._weights = dict(weights)
        self._crops = SteadyCrops()
        self._window: deque[np.ndarray | None] = deque(maxlen=WINDOW_FRAMES)
        self._lips: list[Tensor | None] = []
        self._missed = 0

    def see(self, moment: Moment) -> None:
        """Take one frame."""
        self._missed += moment.landmarks is None
        for crop in self._crops.add(moment.picture, moment.landmarks):
            self._take(crop)

    def results(self) -> dict[str, Measure]:
        """The three numbers; unavailable where no window has a face throughout."""
        for crop in self._crops.finish():
            self._take(crop)
        score = sync_score(shift_distances(self._lips, self._sound))
        details = {
            "windows": sum(lip is not None for lip in self._lips),
            "frames_without_face": self._missed,
            "max_shift_frames": MAX_SHIFT,
            **self._weights,
        }
        if score is None:
            why = "In no five frames in a row was a face found: the row's pictures show none."
            return {d.key: Measure(value=None, unavailable=why, details=details) for d in DEFINITIONS}
        values = {
            SYNC_C.key: score.confidence,
            SYNC_D.key: score.distance,
            SYNC_OFFSET.key: float(score.offset_frames),
        }
        return {key: Measure(value=value, details=details) for key, value in values.items()}

    def _take(self, crop: np.ndarray | None) -> None:
        self._window.append(crop)
        if len(self._window) < WINDOW_FRAMES:
            return
        known = [c for c in self._window if c is not None]
        if len(known) < WINDOW_FRAMES:
            self._lips.append(None)
            return
        stacked = np.stack(known).transpose(3, 0, 1, 2)  # [3, 5, h, w]
        self._lips.append(self._net.embed_lips(torch.from_numpy(stacked.astype(np.float32))[None])[0])


class SteadyCrops:
    """Face crops from boxes that are smoothed by the median over 13 frames: six pictures are held back."""

    def __init__(self) -> None:
        self._boxes: list[np.ndarray | None] = []
        self._pictures: deque[np.ndarray] = deque()
        self._given = 0

    def add(
        self, picture: UInt8[np.ndarray, "h w 3"], landmarks: Float32[np.ndarray, "478 3"] | None
    ) -> list[UInt8[np.ndarray, "224 224 3"] | None]:
        """Take one RGB frame; gives the crops that have become ready, in order, None for frames without a face."""
        self._boxes.append(None if landmarks is None else face_box(landmarks))
        self._pictures.append(picture)
        return [self._next()] if len(self._pictures) > SMOOTH_FRAMES // 2 else []

    def finish(self) -> list[UInt8[np.ndarray, "224 224 3"] | None]:
        """The crops that were held back."""
        return [self._next() for _ in range(len(self._pictures))]

    def _next(self) -> np.ndarray | None:
        picture, i = self._pictures.popleft(), self._given
        self._given += 1
        if self._boxes[i] is None:
            return None
        reach = SMOOTH_FRAMES // 2
        near = [box for box in self._boxes[max(0, i - reach) : i + reach + 1] if box is not None]
        return face_crop(picture, np.median(near, axis=0))


def face_box(landmarks: Float32[np.ndarray, "478 3"]) -> Float64[np.ndarray, " 3"]:
    """Centre x, y and half the longer side of the box around the landmarks, pixels."""
    flat = landmarks[:, :2].astype(np.float64)
    low, high = flat.min(0), flat.max(0)
    return np.array([*(low + high) / 2, (high - low).max() / 2])


def face_crop(picture: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, " 3"]) -> UInt8[np.ndarray, "224 224 3"]:
    """The face as SyncNet sees it: more below than above, grey (110) beyond the picture, BGR.

    Args:
        picture: RGB.
        box: ``face_box``.
    """
    x, y, half = box
    pad = int(half * (1 + 2 * CROP_SCALE))
    wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(PAD_VALUE,) * 3)
    top, bottom = int(y + pad - half), int(y + pad + half * (1 + 2 * CROP_SCALE))
    left, right = int(x + pad - half * (1 + CROP_SCALE)), int(x + pad + half * (1 + CROP_SCALE))
    cut = wide[max(top, 0) : max(bottom, 1), max(left, 0) : max(right, 1)]
    return np.ascontiguousarray(cv2.resize(cut, (CROP_PX, CROP_PX))[..., ::-1])


def embed_sound(net: SyncNet, audio: Float32[np.ndarray, " s"]) -> Float32[Tensor, "w d"]:
    """Embeddings of the sound of every window of five frames.

    Args:
        net: The network.
        audio: 16 kHz mono, -1..1, at least six frames (0.24 s).

    Returns:
        One row per window: window ``w`` starts with frame ``w``; ``frames - 5`` of them, as in the public script.
    """
    cepstra = torch.from_numpy(mfcc(audio)).T.contiguous()  # [13, a]
    count = len(audio) // SAMPLES_PER_FRAME - WINDOW_FRAMES
    windows = cepstra.unfold(1, CEPSTRA_PER_WINDOW, CEPSTRA_PER_FRAME)[:, :count]  # [13, w, 20]
    windows = windows.permute(1, 0, 2).reshape(-1, 1, NUM_CEPSTRA, CEPSTRA_PER_WINDOW)
    return torch.cat([net.embed_sound(windows[i : i + _BATCH].contiguous()) for i in range(0, len(windows), _BATCH)])


def shift_distances(
    lips: list[Float32[Tensor, " d"] | None], sound: Float32[Tensor, "w d"], max_shift: int = MAX_SHIFT
) -> Float64[np.ndarray, " k"] | None:
    """Mean distance of lips and sound at every shift.

    Args:
        lips: Embedding of each window, None where it is left out.
        sound: Embeddings of the sound's windows; beyond its ends it is zero, as in the public script.
        max_shift: Shifts tried in each direction, frames.

    Returns:
        Entry ``k`` holds the shift ``k - max_shift`` of the sound against the lips; None without any window.
    """
    count = min(len(lips) - 1, len(sound))  # the public script leaves the last window out
    rows = [i for i in range(count) if lips[i] is not None]
    if not rows:
        return None
    seen = torch.stack([lip for i in rows if (lip := lips[i]) is not None])
    padded = torch.nn.functional.pad(sound[:count], (0, 0, max_shift, max_shift))
    index = torch.tensor(rows)
    shifts = range(2 * max_shift + 1)
    means = [torch.nn.functional.pairwise_distance(seen, padded[index + k]).mean() for k in shifts]
    return torch.stack(means).numpy().astype(np.float64)


def sync_score(distances: Float64[np.ndarray, " k"] | None) -> SyncScore | None:
    """Sync-C, Sync-D and the offset from the mean distances."""
    if distances is None:
        return None
    best = int(distances.argmin())
    return SyncScore(
        confidence=float(np.median(distances) - distances[best]),
        distance=float(distances[best]),
        offset_frames=len(distances) // 2 - best,
    )
