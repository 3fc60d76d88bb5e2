"""Where the Gaussians start: pixels of a few frames, unprojected onto the tracked head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import KDTree

from ua3dtalk.core.errors import UserError
from ua3dtalk.gaussians.gaussian_set import GaussianSet
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.subject.store import Subject
from ua3dtalk.subject.track_data import TrackData

SH_C0 = 0.28209479177387814
"""Value of the constant spherical harmonic: colour = 0.5 + SH_C0 · sh."""


@dataclass(frozen=True, kw_only=True)
class InitialisationConfig:
    """How many Gaussians, and how they start (DESIGN §9)."""

    face_count: int = 7500
    """Wanted number of face Gaussians; the sampling stride follows from it."""
    mouth_count: int = 700
    """Wanted number of inner-mouth Gaussians."""
    mouth_depth_m: float = 0.012
    """Distance of the inner-mouth plane behind the lips, metres."""
    lip_density: float = 3.0
    """Samples per length around the lips over those elsewhere: lips are small, and what people look at."""
    scale_over_spacing: float = 0.6
    """Standard deviation over the distance of neighbouring samples."""
    flatness: float = 0.5
    """Standard deviation along the view direction over that across it."""
    opacity: float = 0.8
    sh_degree: int = 0
    random: bool = False
    """The paper's start instead: ``face_count`` points uniform in ±0.1 m with grey colours."""


def initial_face(
    subject: Subject, frames: Int[np.ndarray, " f"], config: InitialisationConfig, generator: torch.Generator
) -> GaussianSet:
    """Face Gaussians: head pixels without the inner mouth, of a few pose-extreme frames.

    Depth comes from the tracked mesh inside the face and from a skull ellipsoid around it.

    Args:
        subject: The prepared subject.
        frames: Training frames to choose from.
        config: Counts and sizes.
        generator: Draws the paper's random start.

    Raises:
        UserError: no head pixel is labelled in the chosen frames.
    """
    if config.random:
        means = (torch.rand(config.face_count, 3, generator=generator) * 2 - 1) * 0.1
        grey, spacing = np.full((config.face_count, 3), 0.5), np.full(config.face_count, 0.004)
        return _make(means.numpy(), grey, spacing, config)
    track = subject.track()
    chosen = pose_extreme_frames(track, frames)
    area = _head_pixels(subject, int(chosen[0]))
    if not area.any():
        raise UserError(f"{subject.folder}: frame {chosen[0]} has no head pixels in parsing/.", "Run prepare again.")
    # The extreme frames add about a third to the points of the first one.
    stride = float(np.sqrt(area.sum() * 1.35 / config.face_count))
    spacing = stride * _distance(track, int(chosen[0])) / track.K[0, 0]
    cloud = _Cloud()
    for i in chosen:
        whole = _head_pixels(subject, int(i))
        near = _lip_neighbourhood(track, int(i), whole.shape)
        for area, step in ((whole & near, stride / config.lip_density), (whole & ~near, stride)):
            pixels = _grid(area, step)
            points = _unproject(track, int(i), pixels, _head_depth(track, int(i), pixels))
            cloud.add(points, _sample(subject.frame(int(i)), pixels), spacing * step / stride)
    return _make(*cloud.arrays(), config)


class _Cloud:
    """Points with colour and spacing; of new ones only those that are not there yet are taken."""

    def __init__(self) -> None:
        self._points, self._colours, self._spacing = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)

    def add(self, points: np.ndarray, colours: np.ndarray, spacing: float) -> None:
        if len(points) and len(self._points):
            distance, _ = KDTree(self._points).query(points)
            keep = distance > spacing * 1.2
            points, colours = points[keep], colours[keep]
        self._points = np.concatenate([self._points, points])
        self._colours = np.concatenate([self._colours, colours])
        self._spacing = np.concatenate([self._spacing, np.full(len(points), spacing)])

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._points, self._colours, self._spacing


def _lip_neighbourhood(track: TrackData, i: int, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels within half a lip's height around the lips."""
    outer = track.landmarks[i, list(OUTER_LIPS), :2]
    area = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(area, cv2.convexHull(np.round(outer).astype(np.int32)), 1)
    margin = max(int(np.ptp(outer[:, 0]) * 0.12), 1)
    return cv2.dilate(area, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0


def initial_mouth(subject: Subject, frames: Int[np.ndarray, " f"], config: InitialisationConfig) -> GaussianSet:
    """Inner-mouth Gaussians: a plane behind the lips, coloured from the most open frame.

    The plane covers the whole lip opening and a margin, so that teeth are there to be uncovered.
    """
    track = subject.track()
    widest = int(frames[np.argmax(track.opening[frames])])
    mask = subject.parsing(widest) == Label.INNER_MOUTH
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    outer = track.landmarks[widest, :, :2][_LIP_CORNERS_AND_MIDDLE]
    low, high = outer.min(0), outer.max(0)
    box = np.zeros(mask.shape, bool)
    y0, y1, x0, x1 = int(low[1]), int(high[1]) + 1, int(low[0]), int(high[0]) + 1
    box[max(y0, 0) : y1, max(x0, 0) : x1] = True
    area = grown if grown.sum() >= 30 else box
    stride = max(float(np.sqrt(area.sum() / config.mouth_count)), 0.25)
    pixels = _grid(area, stride)
    lips = track.mesh[[13, 14, 78, 308]].astype(np.float64)
    viewmat = track.viewmats[widest]
    depth = float((lips @ viewmat[:3, :3].T + viewmat[:3, 3])[:, 2].mean()) + config.mouth_depth_m
    points = _unproject(track, widest, pixels, np.full(len(pixels), depth))
    # The opening of this frame is where the lips are now; the mean mesh has them closer together.
    points[:, 1] += float(lips[:2, 1].mean() - points[:, 1].mean())
    spacing = stride * depth / track.K[0, 0]
    return _make(points, _sample(subject.frame(widest), pixels), np.full(len(points), spacing), config)


_LIP_CORNERS_AND_MIDDLE = np.array([61, 291, 0, 17])
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)


def pose_extreme_frames(track: TrackData, frames: Int[np.ndarray, " f"]) -> Int[np.ndarray, " k"]:
    """The calmest frame first, then the extremes of yaw and pitch, each among frames of quiet expression."""
    axis = track.viewmats[frames, 2, :3]  # the camera's forward axis in the head frame
    yaw, tilt = np.arctan2(axis[:, 0], -axis[:, 2]), np.arcsin(np.clip(axis[:, 1], -1, 1))
    quiet = np.abs(track.lower[frames]).mean(1) + np.clip(track.upper[frames, 0], 0, None)
    calm = np.hypot(yaw - np.median(yaw), tilt - np.median(tilt)) * 10 + 0.3 * quiet
    chosen = [int(frames[np.argmin(calm)])]
    for angle in (yaw, tilt):
        centred = (angle - np.median(angle)) / (angle.std() + 1e-6)
        for sign in (1.0, -1.0):
            chosen.append(int(frames[np.argmax(sign * centred - 0.5 * quiet)]))
    return np.array(list(dict.fromkeys(chosen)))


def _head_pixels(subject: Subject, i: int) -> np.ndarray:
    return np.isin(subject.parsing(i), [int(label) for label in HEAD_LABELS if label != Label.INNER_MOUTH])


def _grid(mask: np.ndarray, stride: float) -> np.ndarray:
    height, width = mask.shape
    xs, ys = np.meshgrid(np.arange(0.5, width, stride), np.arange(0.5, height, stride))
    pixels = np.stack([xs.ravel(), ys.ravel()], 1)
    return pixels[mask[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]]


def _sample(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return image[pixels[:, 1].astype(int), pixels[:, 0].astype(int)] / 255.0


def _distance(track: TrackData, i: int) -> float:
    return float(track.viewmats[i, 2, 3])


def _unproject(track: TrackData, i: int, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    rays = np.concatenate([(pixels - track.K[:2, 2]) / np.diag(track.K)[:2], np.ones((len(pixels), 1))], 1)
    viewmat = track.viewmats[i]
    return (rays * depth[:, None] - viewmat[:3, 3]) @ viewmat[:3, :3]


def _head_depth(track: TrackData, i: int, pixels: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    """Camera-space depth per pixel: the mesh inside the face, an ellipsoid fitted to it elsewhere."""
    viewmat = track.viewmats[i]
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    mesh = track.mesh.astype(np.float64)
    seen = mesh @ rotation.T + translation
    projected = seen[:, :2] / seen[:, 2:] * np.diag(track.K)[:2] + track.K[:2, 2]
    depth = LinearNDInterpolator(projected, seen[:, 2])(pixels)
    centre, radii = skull_ellipsoid(mesh)
    rays = np.concatenate([(pixels - track.K[:2, 2]) / np.diag(track.K)[:2], np.ones((len(pixels), 1))], 1) @ rotation
    origin = (-translation @ rotation - centre) / radii
    rays = rays / radii
    a, b, c = (rays**2).sum(1), rays @ origin, float((origin**2).sum()) - 1.0
    hit = (-b - np.sqrt(np.clip(b * b - a * c, 0.0, None))) / a
    return np.where(np.isnan(depth), hit, depth)


def skull_ellipsoid(mesh: Float[np.ndarray, "468 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radii (metres) of an ellipsoid that continues the face mesh around the head."""
    top, chin, brow = mesh[10], mesh[152], mesh[9]
    sides = mesh[[127, 356, 234, 454]]
    half_width = np.abs(sides[:, 0]).mean()
    half_height = (top[1] - chin[1]) / 2
    centre = np.array([mesh[:, 0].mean(), (top[1] + chin[1]) / 2 + 0.25 * half_height, sides[:, 2].mean() - 0.005])
    radii = np.array([half_width * 1.14, half_height * 1.42, brow[2] - centre[2] + 0.004])
    return centre, radii


def _make(points: np.ndarray, colours: np.ndarray, spacing: np.ndarray, config: InitialisationConfig) -> GaussianSet:
    n = len(points)
    log_scales = np.repeat(np.log(spacing * config.scale_over_spacing)[:, None], 3, 1)
    log_scales[:, 2] += np.log(config.flatness)
    sh = np.zeros((n, (config.sh_degree + 1) ** 2, 3))
    sh[:, 0] = (colours - 0.5) / SH_C0
    logit = float(np.log(config.opacity / (1 - config.opacity)))
    tensor = lambda a: torch.tensor(np.ascontiguousarray(a), dtype=torch.float32)  # noqa: E731
    quats = np.tile([1.0, 0.0, 0.0, 0.0], (n, 1))
    return GaussianSet(tensor(points), tensor(quats), tensor(log_scales), tensor(np.full(n, logit)), tensor(sh))
