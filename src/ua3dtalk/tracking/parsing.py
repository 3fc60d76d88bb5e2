"""One label per pixel: what is hair, skin, neck, torso, background, and the parts of the face (DESIGN §5.4).

Parts of the face come from landmark polygons, the person from MediaPipe's selfie mask. What splits the person into
hair, skin, neck and torso is learned from the clip itself: position priors around the head and colour models, fused
over many frames in a plane in which the head stands still, then applied to each frame with its own colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.alignment import HeadPlane, face_coordinates
from ua3dtalk.tracking.colour import ColourModels, colour_bins
from ua3dtalk.tracking.regions import face_regions, polygon
from ua3dtalk.tracking.topology import FACE_OVAL

HAIR, SKIN, NECK, TORSO, BACKGROUND = range(5)
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
    """``colour_bins`` of the frame, [H, W]."""
    person: Float32[np.ndarray, "h w"]
    """Person probability."""
    landmarks: Float[np.ndarray, "478 3"]
    """Landmarks, pixels."""


def _step(x: np.ndarray) -> np.ndarray:
    """A soft step from 0 to 1."""
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def position_priors(plane: HeadPlane, face: Float[np.ndarray, "468 2"]) -> Float32[np.ndarray, "h w 4"]:
    """Where hair, skin, neck and torso are expected around a typical face, given that a pixel shows the person.

    Args:
        plane: The head-aligned plane.
        face: The typical face's mesh in it, pixels.
    """
    u, v = face_coordinates(plane, face)
    aside = np.abs(u)
    shape = (plane.height, plane.width)
    oval = polygon(shape, face[list(FACE_OVAL)] + 0.5).astype(np.float32)
    oval = cv2.GaussianBlur(oval, (0, 0), max(1.0, plane.height / 300))
    below = _step(-(v + 0.60) / 0.05)
    forehead = _step((0.72 - v) / 0.05) * _step((v - 0.2) / 0.05) * np.exp(-((aside / 0.42) ** 4)) * 0.5
    ear = np.exp(-(((aside - 0.46) / 0.06) ** 2)) * np.exp(-(((v - 0.02) / 0.18) ** 2)) * 0.45
    skin = np.maximum(np.maximum(oval * (1 - 0.98 * below), forehead), ear)
    hair = (1 - oval * 0.98) * np.clip(_step((aside - 0.3) / 0.04) + _step((v - 0.35) / 0.05), 0.01, 1) * 0.6
    hair = hair * ((1 - below) + below * 0.04 * _step((v + 1.5) / 0.1)) + 0.001
    under_jaw = (1 - oval) * _step((-0.12 - v) / 0.05) * _step((0.46 - aside) / 0.03)
    neck = np.maximum(below * np.exp(-((u / 0.42) ** 4)) * _step((v + 1.05) / 0.08), under_jaw) * 0.6
    torso = below * np.clip(_step(-(v + 0.75) / 0.08) + 0.2 * _step((aside - 0.3) / 0.04), 0, 1) + 1e-4
    priors = np.stack([hair, skin + 1e-3, neck + 1e-4, torso], -1).astype(np.float32)
    return priors / priors.sum(-1, keepdims=True)


class Parser:
    """Learns one clip's masks, then labels its frames.

    Args:
        plane: The head-aligned plane.
        face: The typical face's mesh in it, pixels.
        config: How.
    """

    def __init__(self, plane: HeadPlane, face: Float[np.ndarray, "468 2"], config: ParsingConfig) -> None:
        self._plane = plane
        self._config = config
        self._positions = position_priors(plane, face)
        self._colours = ColourModels(5)

    def fit(self, keyframes: list[Keyframe]) -> None:
        """Learn colours from the surest places, then fuse positions and colours over the keyframes."""
        geometry = self._positions
        for key in keyframes:
            prior = self._plane.to_frame(key.index, geometry)
            sure = (prior > 0.75) & (key.person > 0.9)[..., None]
            background = key.person < 0.05
            weights = np.concatenate([sure, background[..., None]], -1).reshape(-1, 5).T.astype(np.float64)
            self._colours.add(key.bins.ravel(), weights)
        self._colours.fit()
        for _ in range(self._config.rounds):
            refined = ColourModels(5)
            total = np.zeros_like(geometry)
            seen = np.zeros(geometry.shape[:2], np.float32)
            for key in keyframes:
                posterior = self._posterior(key.index, key.bins)
                weights = posterior * key.person[..., None]
                everything = np.concatenate([weights, 1 - key.person[..., None]], -1)
                refined.add(key.bins.ravel(), everything.reshape(-1, 5).T.astype(np.float64))
                total += self._plane.to_plane(key.index, weights)
                seen += self._plane.to_plane(key.index, key.person)
            mean = total / np.maximum(seen, 1e-3)[..., None]
            trust = np.clip(seen / (0.2 * len(keyframes)), 0, 1)[..., None] * 0.8
            mixed = geometry * (1 - trust) + mean * trust
            self._positions = (mixed / mixed.sum(-1, keepdims=True)).astype(np.float32)
            refined.fit()
            self._colours = refined

    def _posterior(self, t: int, bins: np.ndarray) -> Float32[np.ndarray, "h w 4"]:
        """Probability of hair, skin, neck, torso per pixel of frame ``t``, given that it shows the person."""
        prior = self._plane.to_frame(t, self._positions)
        likelihood = self._colours.log_likelihood(bins)[..., :4]
        likelihood = likelihood - likelihood.max(-1, keepdims=True)
        scores = np.log(prior + 1e-6) + self._config.colour_weight * np.maximum(likelihood, -self._config.colour_range)
        posterior = np.exp(scores - scores.max(-1, keepdims=True))
        return posterior / posterior.sum(-1, keepdims=True)

    def label(
        self,
        t: int,
        frame: UInt8[np.ndarray, "h w 3"],
        person: Float32[np.ndarray, "h w"],
        landmarks: Float[np.ndarray, "478 3"],
    ) -> UInt8[np.ndarray, "h w"]:
        """Labels of frame ``t``, values of ``Label``."""
        posterior = self._posterior(t, colour_bins(frame))
        radius = max(2, round(max(frame.shape[:2]) / 100))
        guide = frame.astype(np.float32) / 255
        smooth = cv2.ximgproc.guidedFilter(guide, posterior, radius, 2e-3)
        labels = CLASS_LABELS[smooth.argmax(-1)]
        labels[person < 0.5] = Label.BACKGROUND
        regions = face_regions(frame.shape[:2], landmarks)
        outside = (labels == Label.BACKGROUND) | (labels == Label.NECK) | (labels == Label.TORSO)
        labels[regions.oval & outside] = Label.SKIN
        labels[regions.brows & regions.oval] = Label.BROWS
        labels[regions.eyes] = Label.EYES
        labels[regions.lips] = Label.LIPS
        labels[regions.inner_mouth] = Label.INNER_MOUTH
        return labels
