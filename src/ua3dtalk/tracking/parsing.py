"""One label per pixel: what is hair, skin, neck, torso, background, and the parts of the face (DESIGN §5.4).

Parts of the face come from landmark polygons, the person from MediaPipe's selfie mask. What splits the person into
hair, skin, neck and torso is learned from the clip itself: position priors around the head and colour models, fused
over many frames in a plane in which the head stands still, then applied to each frame with its own colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.alignment import HeadPlane, face_coordinates
from ua3dtalk.tracking.colour import BINS, ColourModels, colour_bins
from ua3dtalk.tracking.mouth import find_inner_mouth
from ua3dtalk.tracking.position_priors import level_shoulders, position_priors
from ua3dtalk.tracking.regions import FaceRegions, face_regions
from ua3dtalk.tracking.topology import CHIN, FOREHEAD_TOP, LOWER_LIP_INNER

HAIR, SKIN, NECK, TORSO, BACKGROUND = range(5)
WORK_SIDE = 256
"""Side of the frames that the mask models work on, pixels."""
LONG_HAIR = 0.5
"""Hair that is this likely beside the jaw falls on below it."""
SLIVER = 0.02
"""Hair below the mouth is at least twice this wide, in face heights."""
CLASS_LABELS = np.array([Label.HAIR, Label.SKIN, Label.NECK, Label.TORSO, Label.BACKGROUND], np.uint8)


@dataclass(frozen=True, kw_only=True)
class ParsingConfig:
    """How masks are learned."""

    keyframes: int = 48
    """Frames that the models are learned from, spread over the clip."""
    rounds: int = 2
    """Times that colours and positions are learned from each other."""
    colour_weight: float = 0.6
    """Exponent of the colour likelihood against the position prior."""
    colour_range: float = 5.0
    """Log likelihood ratios are clipped to this."""


@dataclass(frozen=True)
class Keyframe:
    """What the models need to see of a frame."""

    index: int
    """Frame number."""
    bins: np.ndarray
    """``colour_bins`` of the frame at working size, [H, W]."""
    person: Float32[np.ndarray, "h w"]
    """Person probability."""


class Parser:
    """Learns one clip's masks, then labels its frames.

    Args:
        plane: The head-aligned plane of frames at working size (at most ``WORK_SIDE`` pixels).
        face: The typical face's mesh in it, pixels.
        config: How.
    """

    def __init__(self, plane: HeadPlane, face: Float[np.ndarray, "468 2"], config: ParsingConfig) -> None:
        self._plane = plane
        self._face = face
        self._config = config
        self.long_hair = (False, False)
        """Whether hair falls below the jaw, on the picture's left and right side; known after ``fit``."""
        self._seen = np.zeros((plane.height, plane.width), np.float32)
        self._geometry = position_priors(plane, face)
        self._log_positions = np.log(self._geometry + 1e-6)
        self._evidence = np.zeros((BINS**3, 4), np.float32)

    def fit(self, keyframes: list[Keyframe]) -> None:
        """Learn colours from the surest places, then fuse positions and colours over the keyframes.

        Where hair turns out to reach down to the jaw, it is expected to fall on, and everything is learnt again.
        """
        self._learn(keyframes)
        self.long_hair = self._hair_at_the_jaw()
        if any(self.long_hair):
            self._geometry = position_priors(self._plane, self._face, self.long_hair)
            self._log_positions = np.log(self._geometry + 1e-6)
            self._learn(keyframes)

    def _hair_at_the_jaw(self) -> tuple[bool, bool]:
        """Whether hair is likely beside the jaw, on the picture's left and right side."""
        u, v = face_coordinates(self._plane, self._face)
        beside = (v > -0.36) & (v < -0.2) & (np.abs(u) > 0.4) & (np.abs(u) < 0.6)
        hair = np.exp(self._log_positions[..., HAIR]) * self._seen
        seen = [beside & (u < 0), beside & (u > 0)]
        left, right = (bool(hair[side].mean() > LONG_HAIR) for side in seen)
        return left, right

    def _learn(self, keyframes: list[Keyframe]) -> None:
        colours = ColourModels(5)
        skin = ColourModels(2)
        priors = (self._with_torso(key.index, self._plane.to_frame(key.index, self._geometry)) for key in keyframes)
        all_sure = [(p > 0.75) & (key.person > 0.9)[..., None] for p, key in zip(priors, keyframes, strict=True)]
        for key, sure in zip(keyframes, all_sure, strict=True):
            skin.add(key.bins.ravel(), np.stack([sure[..., SKIN].ravel(), ~sure[..., SKIN].ravel()]).astype(np.float64))
        like_skin = skin.chroma_ratio() > 0
        for key, sure in zip(keyframes, all_sure, strict=True):
            # A collar is where a neck could be; a neck has the colours of the face, in the shade.
            sure[..., NECK] &= like_skin[key.bins]
            colours.add(key.bins.ravel(), _by_class(sure, key.person < 0.05))
        self._learn_colours(colours)
        for _ in range(self._config.rounds):
            colours = ColourModels(5)
            total = np.zeros_like(self._geometry)
            seen = np.zeros(self._geometry.shape[:2], np.float32)
            for key in keyframes:
                weights = self._posterior(key.index, key.bins) * key.person[..., None]
                colours.add(key.bins.ravel(), _by_class(weights, 1 - key.person))
                total += self._plane.to_plane(key.index, weights)
                seen += self._plane.to_plane(key.index, key.person)
            self._seen = np.clip(seen / len(keyframes), 0, 1)
            mean = total / np.maximum(seen, 1e-3)[..., None]
            trust = np.clip(seen / (0.2 * len(keyframes)), 0, 1)[..., None] * 0.8
            mixed = self._geometry * (1 - trust) + mean * trust
            self._log_positions = np.log(mixed / mixed.sum(-1, keepdims=True) + 1e-6).astype(np.float32)
            self._learn_colours(colours)

    def _learn_colours(self, colours: ColourModels) -> None:
        """The table of what a colour says for each class, relative to the class it fits best."""
        likelihood = colours.fit()[:, :4]
        relative = likelihood - likelihood.max(1, keepdims=True)
        self._evidence = self._config.colour_weight * np.maximum(relative, -self._config.colour_range)

    def _posterior(self, t: int, bins: np.ndarray) -> Float32[np.ndarray, "h w 4"]:
        """Probability of hair, skin, neck, torso per pixel of frame ``t``, given that it shows the person."""
        places = self._with_torso(t, np.exp(self._plane.to_frame(t, self._log_positions)))
        odds = places * np.exp(self._evidence[bins])
        return odds / (odds[..., 0] + odds[..., 1] + odds[..., 2] + odds[..., 3])[..., None]

    def _with_torso(self, t: int, places: Float32[np.ndarray, "h w 4"]) -> Float32[np.ndarray, "h w 4"]:
        """Position priors of frame ``t`` with its shoulders level: what else was expected there gives way."""
        torso = np.maximum(places[..., TORSO], level_shoulders(self._plane, self._face, t))
        others = (1 - torso) / np.maximum(places.sum(-1) - places[..., TORSO], 1e-6)
        found = places * others[..., None]
        found[..., TORSO] = torso
        return found

    def label(
        self,
        t: int,
        frame: UInt8[np.ndarray, "h w 3"],
        person: Float32[np.ndarray, "h w"],
        landmarks: Float[np.ndarray, "478 3"],
    ) -> UInt8[np.ndarray, "h w"]:
        """Labels of frame ``t``, values of ``Label``; arguments are at full size."""
        height, width = frame.shape[:2]
        small = to_work_size(frame)
        posterior = self._posterior(t, colour_bins(small))
        guide = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        smooth = cv2.ximgproc.guidedFilter(guide, posterior, 3, 1e-3)
        planes = cv2.split(smooth)
        if small.shape != frame.shape:
            planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in planes]
        best, *others = planes
        labels = np.full((height, width), Label.HAIR, np.uint8)
        for k, plane in zip((SKIN, NECK, TORSO), others, strict=True):  # argmax over a short last axis is slow
            np.copyto(labels, CLASS_LABELS[k], where=plane > best)
            best = np.maximum(best, plane)
        labels[person < 0.5] = Label.BACKGROUND
        regions = face_regions((height, width), landmarks)
        outside = (labels == Label.BACKGROUND) | (labels == Label.NECK) | (labels == Label.TORSO)
        labels[regions.oval & outside] = Label.SKIN
        _drop_slivers(labels, landmarks)
        _drop_islands(labels, regions.oval)
        label_face_parts(labels, regions, frame, landmarks)
        return labels


def label_face_parts(
    labels: UInt8[np.ndarray, "h w"],
    regions: FaceRegions,
    frame: UInt8[np.ndarray, "h w 3"],
    landmarks: Float[np.ndarray, "478 3"],
) -> None:
    """Brows, eyes, lips and the inner mouth, in place.

    Args:
        labels: Labels of the rest.
        regions: Of the landmarks.
        frame: The picture, in which the lips' inner edge is looked for.
        landmarks: Pixels.
    """
    labels[regions.brows & regions.oval] = Label.BROWS
    labels[regions.eyes] = Label.EYES
    labels[regions.lips] = Label.LIPS
    labels[find_inner_mouth(frame, landmarks)] = Label.INNER_MOUTH


def without_flicker(
    frames: Iterable[UInt8[np.ndarray, "h w"]], joints: Sequence[int] = ()
) -> Iterator[UInt8[np.ndarray, "h w"]]:
    """Labels in order; a pixel that differs from the frames before and after it, which agree, is made to agree too.

    Parts of the face move fast and are left as they are. Nothing is compared across ``joints``, which begin a video.
    """
    before: np.ndarray | None = None
    now: np.ndarray | None = None
    for t, after in enumerate(frames):
        if now is not None:
            yield now if before is None or t in joints else _between(before, now, after)
        now = None if t in joints else now
        before, now = now, after
    if now is not None:
        yield now


def _between(before: np.ndarray, now: np.ndarray, after: np.ndarray) -> np.ndarray:
    change = (before == after) & (now != before) & (now <= Label.SKIN) & (before <= Label.SKIN)
    return np.where(change, before, now)


def to_work_size(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A frame small enough for the mask models."""
    scale = work_scale(frame.shape[1], frame.shape[0])
    if scale == 1:
        return frame
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def work_scale(width: int, height: int) -> float:
    """Working size over full size."""
    return min(1.0, WORK_SIDE / max(width, height))


def _by_class(person_classes: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Weights [5, P] from [H, W, 4] and [H, W]."""
    together = np.concatenate([person_classes, background[..., None]], -1)
    return np.ascontiguousarray(together.reshape(-1, 5).T, np.float64)


def _drop_slivers(labels: np.ndarray, landmarks: np.ndarray) -> None:
    """Thin strips of hair below the mouth are edges of shoulders whose colour is a mixture: they become torso."""
    height = float(np.linalg.norm(landmarks[FOREHEAD_TOP, :2] - landmarks[CHIN, :2]))
    below = max(0, round(float(landmarks[LOWER_LIP_INNER, 1])))
    hair = (labels[below:] == Label.HAIR).astype(np.uint8)
    if not hair.any():
        return
    side = 2 * max(1, round(SLIVER * height)) + 1
    kept = cv2.morphologyEx(hair, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    labels[below:][(hair > 0) & (kept == 0)] = Label.TORSO


def _drop_islands(labels: np.ndarray, oval: np.ndarray) -> None:
    """Hair and skin that do not hang together with the face are something else: what is most common around them."""
    head = ((labels == Label.HAIR) | (labels == Label.SKIN)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(head, connectivity=4)
    attached = np.zeros(count, bool)
    attached[parts[oval]] = True
    for k in range(1, count):
        if attached[k]:
            continue
        x, y, w, h = stats[k, :4]
        around = (slice(max(y - 2, 0), y + h + 2), slice(max(x - 2, 0), x + w + 2))
        part = (parts[around] == k).astype(np.uint8)
        ring = (cv2.dilate(part, np.ones((3, 3), np.uint8)) > 0) & (part == 0)
        labels[around][part > 0] = np.bincount(labels[around][ring], minlength=1).argmax() if ring.any() else 0
