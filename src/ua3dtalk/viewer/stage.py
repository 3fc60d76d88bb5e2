"""The page's world: the camera of the subject's video stands still, the head moves, the torso is a picture behind it.

World axes: x right and y up as that camera sees them, z towards it; the origin is the head's centre at the subject's
most usual pose; metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float64, UInt8

from ua3dtalk.synthesis.pose import usual_frame

FRAME_MARGIN = 1.08
"""The first view is this much higher than the video's picture."""
BACKGROUND_RGB = (20, 20, 20)
"""What is drawn where there is nothing."""
_EDGE_ON = 0.15
_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class View:
    """A camera in the world, as a browser reports it."""

    rotation: Float64[np.ndarray, "3 3"]
    """Camera to world, OpenCV axes."""
    position: Float64[np.ndarray, " 3"]
    """Metres."""
    fov_rad: float
    """Vertical field of view."""

    def viewmat(self) -> Float64[np.ndarray, "4 4"]:
        """World to camera."""
        out = np.eye(4)
        out[:3, :3] = self.rotation.T
        out[:3, 3] = -self.rotation.T @ self.position
        return out

    def intrinsics(self, width: int, height: int) -> Float64[np.ndarray, "3 3"]:
        """Pinhole intrinsics of a picture of this view, pixels."""
        focal = height / 2 / np.tan(self.fov_rad / 2)
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


class Stage:
    """Where head, camera and torso stand.

    Args:
        viewmats: Poses of the subject's loop, head to camera.
        intrinsics: The subject's camera, pixels.
        size: Width and height of its picture, pixels.
        back_m: How far the head reaches back from its centre; the torso's picture stands behind that.
    """

    def __init__(
        self,
        viewmats: Float[np.ndarray, "l 4 4"],
        intrinsics: Float[np.ndarray, "3 3"],
        size: tuple[int, int],
        back_m: float,
    ) -> None:
        self._usual = viewmats[usual_frame(viewmats)].astype(np.float64)
        self.intrinsics = intrinsics
        self.width, self.height = size
        self._plane_depth = float(self._usual[2, 3]) + back_m
        self.source = View(_FLIP.copy(), -_FLIP @ self._usual[:3, 3], self._fov())
        """The subject's camera, with a little room around its picture."""

    @property
    def distance(self) -> float:
        """From the subject's camera to the head, metres."""
        return float(self._usual[2, 3])

    @property
    def look_at(self) -> Float64[np.ndarray, " 3"]:
        """The point on the subject's camera axis at the head's distance: what an orbit turns around."""
        return self.source.position - np.array([0.0, 0.0, self.distance])

    def world_from_head(self, viewmat: Float[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
        """Where the head is in a frame.

        Args:
            viewmat: Head to the subject's camera in that frame.
        """
        return np.linalg.inv(self.source.viewmat()) @ viewmat

    def plane(self) -> tuple[Float64[np.ndarray, " 3"], float, float]:
        """Centre, width and height of the torso's picture; it faces the subject's camera."""
        fx, fy, cx, cy = self.intrinsics[0, 0], self.intrinsics[1, 1], self.intrinsics[0, 2], self.intrinsics[1, 2]
        d = self._plane_depth
        centre = np.array([(self.width / 2 - cx) / fx * d, (self.height / 2 - cy) / fy * d, d])
        return self.source.position + _FLIP @ centre, float(self.width / fx * d), float(self.height / fy * d)

    def fov_to_fit(self, aspect: float) -> float:
        """Vertical field of view that shows the whole picture in a window of width / height ``aspect``."""
        return self._fov(max(1.0, self.width / self.height / aspect))

    def behind(
        self, picture: UInt8[np.ndarray, "h w 3"], view: View, width: int, height: int
    ) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The torso's picture as another camera sees it; empty where it is seen from behind or edge-on."""
        empty = np.full((height, width, 3), BACKGROUND_RGB, np.uint8)
        normal = np.array([0.0, 0.0, 1.0])
        motion = view.viewmat() @ np.linalg.inv(self.source.viewmat())
        offset = view.position - self.plane()[0]
        if offset @ normal < _EDGE_ON * np.linalg.norm(offset):
            return empty
        on_plane = motion[:3, :3] + np.outer(motion[:3, 3], normal) / self._plane_depth
        homography = view.intrinsics(width, height) @ on_plane @ np.linalg.inv(self.intrinsics)
        corners = np.array([[0, 0, 1], [self.width, 0, 1], [0, self.height, 1], [self.width, self.height, 1]], float)
        if ((homography @ corners.T)[2] <= 0).any():
            return empty
        # OpenCV counts from the first pixel's centre, we count from its corner.
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        return cv2.warpPerspective(
            picture,
            np.linalg.inv(half) @ homography @ half,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=BACKGROUND_RGB,
        ).astype(np.uint8)

    def _fov(self, factor: float = 1.0) -> float:
        return float(2 * np.arctan(FRAME_MARGIN * factor * self.height / 2 / self.intrinsics[1, 1]))
