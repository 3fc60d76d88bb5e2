"""Head pose of every frame: landmarks say where the head is, optical flow how it moves (DESIGN §5.3).

Both enter one robust least-squares problem. Its normal matrix is block-tridiagonal (a frame is tied to the next one
only), so a Gauss-Newton step is exact and linear in the length of the video; the design's overlapping windows are not
needed. T frames, P points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.tracking.bundle import Bundle
from ua3dtalk.tracking.projection import Poses, normal_matrix, normal_side, pixels_of, project

CHUNK_FRAMES = 64
"""Frames that are linearised together: few enough for the cache."""


@dataclass(frozen=True, kw_only=True)
class PoseConfig:
    """Weights of the pose problem; residuals are measured in pixels of a 512 px picture."""

    flow_weight: float = 50.0
    """Weight of the mean flow cost against the mean landmark cost."""
    track_weight: float = 3.0
    """Weight of the cost of one fully believed material point against the mean landmark cost: many outweigh all
    landmarks, few do not."""
    huber_px: float = 2.0
    """Where the landmark cost turns from square to linear."""
    flow_huber_px: float = 0.2
    """Where the flow cost turns from square to linear."""
    track_huber_px: float = 0.5
    """Where the cost of tracked points turns from square to linear."""
    iterations: int = 12
    """Gauss-Newton steps at most; stops when the pixels stand still."""


@dataclass(frozen=True)
class TrackedPoints:
    """Material points that were found again in every frame (``registration``, ``structure``). F points."""

    pixels: Float32[np.ndarray, "t f 2"]
    """Where each is; NaN where it was not found."""
    points: Float64[np.ndarray, "f 3"]
    """Head frame, metres."""
    weights: Float64[np.ndarray, " f"]
    """How much each is to be believed, 0..1."""


@dataclass(frozen=True)
class Observations:
    """What a video shows of the rigid points."""

    points: Float64[np.ndarray, "t p 2"]
    """Landmarks, pixels."""
    valid: Bool[np.ndarray, " t"]
    """Frames whose landmarks were seen."""
    flow: Float32[np.ndarray, "t1 p 2"]
    """Motion of each point into the next frame, pixels; NaN where unknown. T − 1 rows."""
    centre: Float64[np.ndarray, " 2"]
    """Principal point, pixels."""
    unit: float
    """512 / size of the picture: from pixels to pixels at 512."""
    tracked: TrackedPoints | None = None
    """Material points of the head, where there are any."""


def refine_poses(start: Poses, bundle: Bundle, seen: Observations, config: PoseConfig | None = None) -> Poses:
    """Poses that fit landmarks, flow and tracked points together.

    Args:
        start: Poses to start from, e.g. of ``solve_poses``, interpolated where the face was lost.
        bundle: Shape and focal length; fixed.
        seen: Landmarks, flow and, if any, tracked points.
        config: Weights.
    """
    config = config or PoseConfig()
    poses = start
    for _ in range(config.iterations):
        diagonal, coupling, gradient = _normal_equations(poses, bundle, seen, config)
        step = -solve_block_tridiagonal(diagonal, coupling, gradient)
        poses = poses.moved(step)
        # 1e-4 rad or m is about 0.1 px at 512 for a head at a usual distance.
        if np.abs(step).max() < 1e-5:
            break
    return poses


def _normal_equations(
    poses: Poses, bundle: Bundle, seen: Observations, config: PoseConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diagonal blocks [T,6,6], blocks that tie t to t+1 [T-1,6,6], gradient [T,6]."""
    num_frames = len(poses)
    # A whiff of damping keeps frames solvable that show neither landmarks nor flow.
    diagonal = np.tile(np.eye(6) * 1e-9, (num_frames, 1, 1))
    coupling = np.zeros((max(num_frames - 1, 0), 6, 6))
    gradient = np.zeros((num_frames, 6))
    counts = _Counts(
        max(int(seen.valid.sum()), 1) * seen.points.shape[1], max(int(np.isfinite(seen.flow[..., 0]).sum()), 1)
    )
    chunks = list(_chunks(num_frames))
    parts = ordered_map(lambda chunk: _part(poses, bundle, seen, config, counts, *chunk), chunks)
    for (first, last), (own, tie, side) in zip(chunks, parts, strict=True):
        diagonal[first:last] += own
        coupling[first : last - 1] = tie
        gradient[first:last] += side
    return diagonal, coupling, gradient


@dataclass(frozen=True)
class _Counts:
    landmarks: int
    flow: int


def _part(
    poses: Poses, bundle: Bundle, seen: Observations, config: PoseConfig, counts: _Counts, first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What frames first..last − 1 add to the normal equations."""
    here = project(poses[first:last], bundle.shape, bundle.focal, seen.centre)
    by_pose = here.by_pose() * seen.unit

    # Chunks overlap by one frame, so that every pair lies in one; the shared frame's landmarks count once.
    own = seen.valid[first:last].copy()
    own[0] &= first == 0
    residual = np.where(own[:, None, None], here.pixels - seen.points[first:last], 0.0) * seen.unit
    weight = _robust(residual, config.huber_px) * own[:, None] / counts.landmarks
    diagonal, gradient = normal_matrix(by_pose, by_pose, weight), normal_side(by_pose, residual, weight)
    if seen.tracked is not None:
        a, b = _from_tracks(poses, first, last, bundle, seen, seen.tracked, config)
        diagonal, gradient = diagonal + a, gradient + b

    flow = seen.flow[first : last - 1]
    known = np.isfinite(flow[..., 0])
    velocity = np.where(known[..., None], here.pixels[1:] - here.pixels[:-1] - flow, 0.0) * seen.unit
    weight = _robust(velocity, config.flow_huber_px) * known * (config.flow_weight / counts.flow)
    before, after = by_pose[:-1], by_pose[1:]
    diagonal[:-1] += normal_matrix(before, before, weight)
    diagonal[1:] += normal_matrix(after, after, weight)
    gradient[:-1] -= normal_side(before, velocity, weight)
    gradient[1:] += normal_side(after, velocity, weight)
    return diagonal, -normal_matrix(before, after, weight), gradient


def _from_tracks(
    poses: Poses,
    first: int,
    last: int,
    bundle: Bundle,
    seen: Observations,
    tracked: TrackedPoints,
    config: PoseConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """What tracked points add to the diagonal blocks and the gradient of some frames."""
    here = project(poses[first:last], tracked.points, bundle.focal, seen.centre)
    by_pose = here.by_pose() * seen.unit
    own = np.isfinite(tracked.pixels[first:last, :, 0])
    own[0] &= first == 0
    residual = np.where(own[..., None], here.pixels - tracked.pixels[first:last], 0.0) * seen.unit
    weight = _robust(residual, config.track_huber_px) * own * tracked.weights * (config.track_weight / len(poses))
    return normal_matrix(by_pose, by_pose, weight), normal_side(by_pose, residual, weight)


def _robust(residual: np.ndarray, huber_px: float) -> np.ndarray:
    """Weights of a pseudo-Huber cost."""
    return 1 / np.sqrt(1 + (residual**2).sum(-1) / huber_px**2)


def _chunks(num_frames: int) -> Iterator[tuple[int, int]]:
    """Ranges that overlap by one frame, so that every pair of neighbours lies in exactly one."""
    first = 0
    while True:
        last = min(first + CHUNK_FRAMES, num_frames)
        yield first, last
        if last == num_frames:
            return
        first = last - 1


def solve_block_tridiagonal(
    diagonal: Float64[np.ndarray, "t k k"], coupling: Float64[np.ndarray, "t1 k k"], right: Float64[np.ndarray, "t k"]
) -> Float64[np.ndarray, "t k"]:
    """Solve a symmetric block-tridiagonal system by elimination (Thomas).

    Args:
        diagonal: Diagonal blocks.
        coupling: Block right of each diagonal block but the last; its transpose lies below. T − 1 of them.
        right: Right-hand side.
    """
    num = len(diagonal)
    rest = np.empty_like(right)
    upper = np.empty_like(coupling)
    block, value = diagonal[0], right[0]
    for t in range(num):
        if t + 1 < num:
            solved = np.linalg.solve(block, np.concatenate([coupling[t], value[:, None]], 1))
            upper[t], rest[t] = solved[:, :-1], solved[:, -1]
            block = diagonal[t + 1] - coupling[t].T @ upper[t]
            value = right[t + 1] - coupling[t].T @ rest[t]
        else:
            rest[t] = np.linalg.solve(block, value)
    result = rest.copy()
    for t in range(num - 2, -1, -1):
        result[t] -= upper[t] @ result[t + 1]
    return result


def flow_error_px(poses: Poses, bundle: Bundle, seen: Observations, points: Bool[np.ndarray, " p"]) -> float:
    """Mean over frames of the length of the median difference between the points' motion and their flow, px at 512.

    Args:
        poses: Poses to judge.
        bundle: Shape and focal length.
        seen: Flow of all points.
        points: Points to judge on: such as were kept out of ``refine_poses``.
    """
    where = pixels_of(poses, bundle.shape[points], bundle.focal, seen.centre)
    difference = (where[1:] - where[:-1] - seen.flow[:, points]) * seen.unit
    enough = np.isfinite(difference[..., 0]).sum(1) >= 5
    if not enough.any():
        return float("nan")
    return float(np.linalg.norm(np.nanmedian(difference[enough], axis=1), axis=-1).mean())


def reprojection_px(poses: Poses, bundle: Bundle, seen: Observations) -> float:
    """Root mean square distance of the projected points from the landmarks, px at 512, valid frames."""
    where = pixels_of(poses[seen.valid], bundle.shape, bundle.focal, seen.centre)
    return float(np.sqrt((((where - seen.points[seen.valid]) * seen.unit) ** 2).sum(-1).mean()))


def tracks_px(poses: Poses, bundle: Bundle, seen: Observations, tracked: TrackedPoints) -> float:
    """Weighted root mean square distance of the projected material points from where they were found, px at 512."""
    where = pixels_of(poses, tracked.points, bundle.focal, seen.centre)
    square = (((where - tracked.pixels) * seen.unit) ** 2).sum(-1)
    weight = np.isfinite(square) * tracked.weights
    return float(np.sqrt((np.nan_to_num(square) * weight).sum() / max(float(weight.sum()), 1e-9)))
