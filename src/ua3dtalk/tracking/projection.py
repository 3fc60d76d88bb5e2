"""Pinhole projection of rigid points with derivatives, batched over frames. T frames, P points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Poses:
    """Head to camera, OpenCV axes, metres."""

    rotations: Float64[np.ndarray, "t 3 3"]
    """Rotation matrices."""
    translations: Float64[np.ndarray, "t 3"]
    """Translations."""

    def __getitem__(self, frames: slice | np.ndarray) -> Poses:
        return Poses(self.rotations[frames], self.translations[frames])

    def __len__(self) -> int:
        return len(self.translations)

    def moved(self, step: Float64[np.ndarray, "t 6"]) -> Poses:
        """Poses after a small step: rotation vectors (applied from the left), then translations."""
        turn = Rotation.from_rotvec(step[:, :3]).as_matrix()
        return Poses(turn @ self.rotations, self.translations + step[:, 3:])

    def viewmats(self) -> Float64[np.ndarray, "t 4 4"]:
        """As 4×4 matrices."""
        result = np.tile(np.eye(4), (len(self), 1, 1))
        result[:, :3, :3], result[:, :3, 3] = self.rotations, self.translations
        return result


@dataclass(frozen=True)
class Projection:
    """Projected points and what they depend on."""

    pixels: Float64[np.ndarray, "t p 2"]
    """Pixels."""
    by_camera_point: Float64[np.ndarray, "t p 2 3"]
    """Derivative by the point in the camera's frame; by translation too."""
    turned: Float64[np.ndarray, "t p 3"]
    """Points after rotation, before translation."""

    def by_pose(self) -> Float64[np.ndarray, "t p 2 6"]:
        """Derivative by the step of ``Poses.moved``."""
        x, y, z = np.moveaxis(self.turned, -1, 0)
        j = self.by_camera_point
        jx, jy, jz = j[..., 0], j[..., 1], j[..., 2]
        x, y, z = x[..., None], y[..., None], z[..., None]
        # d(turn @ q)/d omega = -[q]x
        return np.stack([jz * y - jy * z, jx * z - jz * x, jy * x - jx * y, jx, jy, jz], -1)


def project(
    poses: Poses, shape: Float64[np.ndarray, "p 3"], focal: float, centre: Float64[np.ndarray, " 2"]
) -> Projection:
    """Project points of the head frame.

    Args:
        poses: T poses.
        shape: P points, head frame, metres.
        focal: Focal length, pixels.
        centre: Principal point, pixels.
    """
    turned = shape @ poses.rotations.transpose(0, 2, 1)
    camera = turned + poses.translations[:, None]
    z = camera[..., 2:]
    normal = camera[..., :2] / z
    jacobian = np.zeros((*normal.shape, 3))
    jacobian[..., 0, 0] = jacobian[..., 1, 1] = focal / z[..., 0]
    jacobian[..., 2] = -focal * normal / z
    return Projection(normal * focal + centre, jacobian, turned)


def pixels_of(
    poses: Poses, shape: Float64[np.ndarray, "p 3"], focal: float, centre: Float64[np.ndarray, " 2"]
) -> Float64[np.ndarray, "t p 2"]:
    """Projected points only."""
    camera = shape @ poses.rotations.transpose(0, 2, 1) + poses.translations[:, None]
    return camera[..., :2] / camera[..., 2:] * focal + centre


def normal_matrix(
    a: Float64[np.ndarray, "t p 2 j"], b: Float64[np.ndarray, "t p 2 k"], weight: Float64[np.ndarray, "t p"]
) -> Float64[np.ndarray, "t j k"]:
    """Sum over points and axes of w aᵀb for each frame: blocks of the normal equations."""
    frames, width = len(a), a.shape[-1]
    weighted = (a * weight[..., None, None]).reshape(frames, -1, width)
    return weighted.transpose(0, 2, 1) @ b.reshape(frames, -1, b.shape[-1])


def normal_side(
    a: Float64[np.ndarray, "t p 2 j"], residual: Float64[np.ndarray, "t p 2"], weight: Float64[np.ndarray, "t p"]
) -> Float64[np.ndarray, "t j"]:
    """Sum over points and axes of w aᵀr for each frame: the gradient."""
    weighted = (residual * weight[..., None]).reshape(len(a), -1, 1)
    return (a.reshape(len(a), -1, a.shape[-1]).transpose(0, 2, 1) @ weighted)[..., 0]
