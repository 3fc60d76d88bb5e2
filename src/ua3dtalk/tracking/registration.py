"""Every frame laid over the person's mean picture: tracks of material points that do not drift.

A landmark detector guesses where the nose should be; its guess depends on pose and expression (on the synthetic actor
its pitch is a quarter too small), and optical flow from frame to frame adds up its errors. Here frames are unwrapped
onto the head's surface by the poses found so far; their median is sharp where the head is rigid, hair included; and
corners of the median are found again in each unwrapped frame. T frames, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.tracking.head_surface import HeadSurface, sample, unwrap
from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.regions import polygon
from ua3dtalk.tracking.topology import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE

WINDOW_M, SPACING_M, SCALE_M = 0.0155, 0.0037, 0.0037
"""Side of the patch that is compared, least distance of features, size of what counts as texture: on the head."""
FORTH_AND_BACK_PX = 0.3
MAX_FEATURES, LEAST_CORNER = 500, 5e-4
LOWEST_M = -0.016
"""Below this height the face moves with the mouth."""
PERSON = 0.8
"""Features lie where the person mask's mean is above this."""

Grey = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Tracks:
    """Material points of the head, found again in every frame."""

    pixels: Float32[np.ndarray, "t f 2"]
    """Where each is, pixels (centres at +0.5); NaN where it was not found."""
    surface: Float64[np.ndarray, "f 3"]
    """Where each is expected, head frame, metres."""
    on_mesh: Bool[np.ndarray, " f"]
    """Whether it lies on the face mesh, whose depth is known better than that of hair."""


class Registration:
    """Frames of one clip, unwrapped onto the head.

    Args:
        surface: The head.
        grey: Frame number to grey frame; called from several threads.
        focal: Focal length, pixels.
        centre: Principal point, pixels.
    """

    def __init__(
        self, surface: HeadSurface, grey: Callable[[int], Grey], focal: float, centre: Float64[np.ndarray, " 2"]
    ) -> None:
        self._surface = surface
        self._grey = grey
        self._focal = focal
        self._centre = centre
        self._window = max(9, round(WINDOW_M * surface.pixels_per_m)) | 1

    def in_frame(self, poses: Poses, t: int) -> Float32[np.ndarray, "h w 2"]:
        """Where the head's surface lies in frame ``t``."""
        return self._surface.in_frame(poses.rotations[t], poses.translations[t], self._focal, self._centre)

    def mean_picture(self, poses: Poses, frames: Iterable[int]) -> UInt8[np.ndarray, "h2 w2"]:
        """Median over frames of the head's texture."""
        pictures = list(ordered_map(lambda t: self._unwrap(t, self.in_frame(poses, t)), frames))
        return np.median(np.array(pictures), axis=0).astype(np.uint8)

    def follow(
        self,
        poses: Poses,
        mean: UInt8[np.ndarray, "h2 w2"],
        features: Float32[np.ndarray, "f 2"],
        frames: Iterable[int],
    ) -> Iterable[tuple[int, Float64[np.ndarray, "f 2"]]]:
        """Find the features of the mean picture in each of the frames.

        Yields:
            Frame and the features' pixels in it (centres at +0.5), NaN where not found.
        """

        def find(t: int) -> tuple[int, np.ndarray]:
            where = self.in_frame(poses, t)
            found = _match(mean, self._unwrap(t, where), features, self._window)
            pixels = sample(where, np.nan_to_num(found)).astype(np.float64) + 0.5
            pixels[~np.isfinite(found[:, 0])] = np.nan
            return t, pixels

        return ordered_map(find, frames)

    def features(
        self, mean: UInt8[np.ndarray, "h2 w2"], allowed: Bool[np.ndarray, "h2 w2"]
    ) -> Float32[np.ndarray, "f 2"]:
        """Corners of the mean picture in a region, OpenCV pixels; the strongest first."""
        spacing = max(3.0, SPACING_M * self._surface.pixels_per_m)
        block = max(3, round(2 * spacing)) | 1
        mask = allowed.astype(np.uint8)
        corners = cv2.goodFeaturesToTrack(mean, MAX_FEATURES, LEAST_CORNER, spacing, mask=mask, blockSize=block)
        return np.zeros((0, 2), np.float32) if corners is None else corners[:, 0].astype(np.float32)

    def _unwrap(self, t: int, where: Float32[np.ndarray, "h2 w2 2"]) -> UInt8[np.ndarray, "h2 w2"]:
        return _texture(unwrap(self._grey(t), where), SCALE_M * self._surface.pixels_per_m)


def rigid_region(
    surface: HeadSurface, vertices: Float64[np.ndarray, "468 3"], person: Float32[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Where the head does not move in itself: above the mouth, without lids and brows, on the person.

    Args:
        surface: The head.
        vertices: Face mesh.
        person: Mean person probability, unwrapped.
    """
    edge = 2 * round(0.002 * surface.pixels_per_m) + 1
    region = cv2.erode((person > PERSON).astype(np.uint8), np.ones((edge, edge))) > 0
    region &= surface.on_head
    region[int(surface.pixels(np.array([[0.0, LOWEST_M, 0.0]]))[0, 1]) :] = False
    around = 2 * round(0.0045 * surface.pixels_per_m) + 1
    for ring in (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LEFT_BROW):
        outline = surface.pixels(vertices[list(ring)])
        hull = cv2.convexHull(outline.astype(np.float32))[:, 0].astype(np.float64)
        moving = polygon(region.shape, hull + 0.5).astype(np.uint8)
        region &= cv2.dilate(moving, np.ones((around, around))) == 0
    return region


def _texture(picture: UInt8[np.ndarray, "h w"], scale_px: float) -> UInt8[np.ndarray, "h w"]:
    """A picture without its shading: what differs from its surroundings, at equal contrast everywhere."""
    values = picture.astype(np.float32)
    detail = values - cv2.GaussianBlur(values, (0, 0), scale_px)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * scale_px))
    # Four grey levels of contrast are as good as none: codecs' noise is not lifted to texture.
    return np.clip(detail / (contrast + 4) * 40 + 128, 0, 255).astype(np.uint8)


def _match(source: Grey, target: Grey, points: Float32[np.ndarray, "f 2"], window: int) -> Float32[np.ndarray, "f 2"]:
    """Points of one picture in another that is nearly the same; NaN where they do not return."""
    if not len(points):
        return points
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.005)
    start = np.ascontiguousarray(points[:, None])

    def move(a: np.ndarray, b: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            a, b, at, start.copy(), winSize=(window, window), maxLevel=1, criteria=criteria
        )
        return end, found[:, 0] > 0

    end, there = move(source, target, start)
    back, here = move(target, source, end)
    near = np.linalg.norm(back - start, axis=-1)[:, 0] < FORTH_AND_BACK_PX
    return np.where((near & there & here)[:, None], end[:, 0], np.float32(np.nan)).astype(np.float32)
