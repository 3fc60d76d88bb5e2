"""Expression of every frame: lower-face components, upper-face signals, named action units (DESIGN §5.5).

Every statistic comes from training frames only. T frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from ua3dtalk.subject.face_signals import raw_signals
from ua3dtalk.subject.track_data import UPPER_NAMES
from ua3dtalk.tracking.topology import NUM_VERTICES, lower_vertices

NUM_COMPONENTS = 12
ROBUST_ROUNDS = 8
SHAPES_OF_UNIT: dict[str, tuple[str, ...]] = {
    "AU45": ("eyeBlinkLeft", "eyeBlinkRight"),
    "AU01": ("browInnerUp",),
    "AU02": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04": ("browDownLeft", "browDownRight"),
    "AU05": ("eyeWideLeft", "eyeWideRight"),
    "AU07": ("eyeSquintLeft", "eyeSquintRight"),
    "AU12": ("mouthSmileLeft", "mouthSmileRight"),
    "AU18": ("mouthPucker",),
    "AU20": ("mouthStretchLeft", "mouthStretchRight"),
    "AU26": ("jawOpen",),
}
"""ARKit blendshapes that mean the same as an action unit; the mouth's opening stays a distance."""
DEPTH_WEIGHT = 0.5
"""Depth of landmarks is guessed by the detector; it counts half in the components."""
AU_NAMES = ("AU01", "AU02", "AU04", "AU05", "AU07", "AU12", "AU18", "AU20", "AU25", "AU26", "AU45")
"""Inner brow up, outer brow up, brow down, upper lid up, lids tight, smile, pucker, stretch, lips part, jaw, blink."""


@dataclass(frozen=True)
class Expression:
    """See ``subject.track_data.TrackData``, whose fields these become."""

    lower: Float32[np.ndarray, "t 13"]
    """Components and opening, z-scored."""
    upper: Float32[np.ndarray, "t 6"]
    """Upper-face signals, z-scored."""
    opening: Float32[np.ndarray, " t"]
    """Mouth opening over eye distance."""
    width: Float32[np.ndarray, " t"]
    """Mouth width over eye distance."""
    action_units: Float32[np.ndarray, "t a"]
    """In the order of ``AU_NAMES``."""
    mesh: Float32[np.ndarray, "468 3"]
    """Mean mesh."""
    mesh_basis: Float32[np.ndarray, "19 468 3"]
    """Mesh motion per unit of lower and upper."""
    explained: float
    """Share of the lower face's variance in training frames that the components explain, 0..1."""


def units_of_blendshapes(shapes: Mapping[str, float]) -> list[float]:
    """Action units in the order of ``SHAPES_OF_UNIT``: means over both sides of the face, 0..1."""
    return [float(np.mean([shapes[name] for name in names])) for names in SHAPES_OF_UNIT.values()]


def measure_expression(
    points: Float[np.ndarray, "t 478 3"],
    pose_angles: Float[np.ndarray, "t 3"],
    train: Int[np.ndarray, " f"],
    named: Mapping[str, Float[np.ndarray, " t"]] | None = None,
) -> Expression:
    """Expression from landmarks in the head frame.

    Args:
        points: ``head_frame.to_head_frame``, metres.
        pose_angles: Pitch, yaw, roll; what a linear function of them (and of squared yaw and pitch) explains of the
            jaw and brow signals in training frames is taken out.
        train: Frames that statistics may come from (tracked ones).
        named: Action units that another model measured; taken in place of those from landmarks.
    """
    mesh_points = points[:, :NUM_VERTICES]
    mesh = mesh_points[train].mean(0)
    offsets = mesh_points - mesh
    weighted = (offsets[:, lower_vertices()] * [1, 1, DEPTH_WEIGHT]).reshape(len(points), -1)
    components, explained = _principal(weighted, train)
    raw = raw_signals(points)
    measured = raw | dict(named or {})
    signals = {name: without_pose(value, pose_angles, train) for name, value in measured.items() if name != "AU25"}
    signals["AU25"] = raw["AU25"]
    opening = raw["AU25"]
    lower = np.column_stack([components, opening])
    upper = np.column_stack([signals[name] for name in UPPER_NAMES])
    lower, upper = standardise(lower, train), standardise(upper, train)
    return Expression(
        lower=lower.astype(np.float32),
        upper=upper.astype(np.float32),
        opening=opening.astype(np.float32),
        width=(-raw["AU18"]).astype(np.float32),
        action_units=np.column_stack([activation(signals[name], train) for name in AU_NAMES]).astype(np.float32),
        mesh=mesh.astype(np.float32),
        mesh_basis=_basis(offsets, np.column_stack([lower, upper]), train),
        explained=explained,
    )


def _principal(values: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, float]:
    """Scores of the first components, and the share of variance they explain. Signs are fixed by the loadings."""
    centred = values[train] - values[train].mean(0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :NUM_COMPONENTS].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    axes = axes * np.sign(largest)
    share = float(variances[-NUM_COMPONENTS:].sum() / max(float(variances.sum()), 1e-20))
    return (values - values[train].mean(0)) @ axes.T, share


def standardise(values: Float[np.ndarray, "t k"], train: Int[np.ndarray, " f"]) -> Float64[np.ndarray, "t k"]:
    """Mean 0 and standard deviation 1 over the training frames; a column that never moves there becomes 0."""
    spread = values[train].std(0)
    moved = spread > 1e-12
    return np.where(moved, (values - values[train].mean(0)) / np.where(moved, spread, 1.0), 0.0)


def without_pose(
    signal: Float[np.ndarray, " t"], pose_angles: Float[np.ndarray, "t 3"], train: Int[np.ndarray, " f"]
) -> Float64[np.ndarray, " t"]:
    """A signal without what pose explains of it in training frames, its mean kept.

    Strong expressions are rare; they count little (Cauchy weights), or a blink that fell together with a nod would be
    taken for the nod's.
    """
    angles = pose_angles - pose_angles[train].mean(0)
    design = np.column_stack([angles, angles[:, :2] ** 2])
    design = design - design[train].mean(0)
    inputs, wanted = np.column_stack([design[train], np.ones(len(train))]), signal[train]
    ridge = np.diag([1e-3 * len(train)] * design.shape[1] + [0.0])
    trust = np.ones(len(train))
    fitted = np.zeros(inputs.shape[1])
    for _ in range(ROBUST_ROUNDS):
        weighted = inputs * trust[:, None]
        fitted = np.linalg.solve(weighted.T @ inputs + ridge, weighted.T @ wanted)
        away = np.abs(wanted - inputs @ fitted)
        trust = 1 / (1 + (away / max(2 * float(np.median(away)), 1e-9)) ** 2)
    return signal - design @ fitted[:-1]


def activation(signal: Float[np.ndarray, " t"], train: Int[np.ndarray, " f"]) -> Float64[np.ndarray, " t"]:
    """0 at the median of the training frames, 1 at their 97.5th percentile, kept in -1..1.5."""
    rest, strong = np.percentile(signal[train], [50, 97.5])
    return np.clip((signal - rest) / max(float(strong - rest), 1e-6), -1.0, 1.5)


def _basis(offsets: np.ndarray, coefficients: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Ridge regression of mesh offsets on the coefficients; the ridge shares load between twin coefficients."""
    inputs = coefficients[train]
    gram = inputs.T @ inputs + np.eye(inputs.shape[1]) * 1e-2 * len(train)
    basis = np.linalg.solve(gram, inputs.T @ offsets[train].reshape(len(train), -1))
    return basis.reshape(-1, NUM_VERTICES, 3).astype(np.float32)
