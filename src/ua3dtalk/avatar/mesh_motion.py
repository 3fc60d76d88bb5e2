"""Motion with the tracked mesh: Gaussians are bound to it once and moved by its expression basis (ours, DESIGN §7)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor, nn

UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
"""Inner lip lines of the 468-point mesh from the subject's right to left, without the corners."""
INNER_CORNERS = (78, 308)

NEAR_M = 0.006
"""Up to this distance from the mesh a Gaussian moves with it in full."""
FALL_OFF_M = 0.012
"""Beyond, the motion falls off as a Gaussian of this width."""

_CANDIDATES = 12


def bind_to_mesh(
    points: Float[Tensor, "n 3"],
    mesh: Float[Tensor, "468 3"],
    triangles: Int[Tensor, "f 3"],
    mesh_basis: Float[Tensor, "19 468 3"],
) -> Float[Tensor, "n 19 3"]:
    """The expression basis at each point: barycentric on the nearest triangle, fading away from the mesh.

    Lips: the usual triangulation closes the mouth with triangles between the lips; they are left out, or the mouth
    would be a rubber sheet. The line halfway between the inner lips divides the mesh within the mouth's width: a point
    above it binds only to triangles above it, a point below only to those below, however close the other lip is. So
    lips part, lower teeth and tongue follow the lower lip (the jaw), and upper teeth the upper lip, which hardly moves.

    Args:
        points: Gaussian centres in the head frame, metres; no gradient flows to them.
        mesh: The person's mean mesh, metres.
        triangles: Vertex indices below 468.
        mesh_basis: Metres per unit of each expression coefficient (13 lower, 6 upper).

    Returns:
        Metres per unit of coefficient, on the device of the points.
    """
    vertices = mesh.detach().cpu().double().numpy()
    basis = mesh_basis.detach().cpu().numpy()
    positions = points.detach().cpu().double().numpy()
    corners_of = triangles.cpu().numpy()
    corners_of = corners_of[~_bridges_lips(corners_of)]
    point_side = _side_of_seam(positions, vertices)
    triangle_side = _side_of_seam(vertices[corners_of].mean(1), vertices)
    bound = np.zeros((len(positions), len(basis), 3), np.float32)
    for side in (-1, 0, 1):
        rows = np.flatnonzero(point_side == side)
        allowed = corners_of[(triangle_side != -side) | (triangle_side == 0)]
        if len(rows) and len(allowed):
            corners, weights, distance = _nearest(positions[rows], vertices, allowed)
            fade = np.exp(-np.square(np.maximum(distance - NEAR_M, 0) / FALL_OFF_M))
            bound[rows] = np.einsum("nk,bnkc->nbc", weights * fade[:, None], basis[:, corners], optimize=True)
    return torch.from_numpy(bound).to(points.device)


def _bridges_lips(triangles: np.ndarray) -> np.ndarray:
    upper, lower = (np.isin(triangles, line).any(axis=1) for line in (UPPER_INNER_LIP, LOWER_INNER_LIP))
    return np.logical_and(upper, lower)


def _side_of_seam(points: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """+1 above the line between the lips, -1 below, 0 outside the mouth's width."""
    seam = np.concatenate([mesh[[INNER_CORNERS[0]]], (mesh[list(UPPER_INNER_LIP)] + mesh[list(LOWER_INNER_LIP)]) / 2])
    seam = np.concatenate([seam, mesh[[INNER_CORNERS[1]]]])
    seam = seam[np.argsort(seam[:, 0])]
    height = np.interp(points[:, 0], seam[:, 0], seam[:, 1])
    within = (points[:, 0] > seam[0, 0]) & (points[:, 0] < seam[-1, 0])
    return np.where(within, np.where(points[:, 1] >= height, 1, -1), 0)


def _nearest(points: np.ndarray, mesh: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners [N, 3], barycentric weights [N, 3] and distance [N] of the nearest of each point's candidate triangles.

    Outside a triangle the weights are clamped and renormalised, which is the nearest point up to a little sliding.
    """
    tree = KDTree(mesh[triangles].mean(1))
    candidates = tree.query(points, k=min(_CANDIDATES, len(triangles)))[1].reshape(len(points), -1)
    corners = triangles[candidates]  # [N, k, 3]
    a = mesh[corners[..., 0]]
    e1, e2 = mesh[corners[..., 1]] - a, mesh[corners[..., 2]] - a
    offset = points[:, None] - a
    d11, d12, d22 = ((p * q).sum(-1) for p, q in ((e1, e1), (e1, e2), (e2, e2)))
    o1, o2 = (offset * e1).sum(-1), (offset * e2).sum(-1)
    determinant = d11 * d22 - d12 * d12 + 1e-18
    u, v = (d22 * o1 - d12 * o2) / determinant, (d11 * o2 - d12 * o1) / determinant
    weights = np.clip(np.stack([1 - u - v, u, v], axis=-1), 0, None)
    weights /= weights.sum(-1, keepdims=True)
    foot = (weights[..., None] * mesh[corners]).sum(-2)
    distance = np.linalg.norm(points[:, None] - foot, axis=-1)
    best = np.argmin(distance, axis=1)
    row = np.arange(len(points))
    return corners[row, best], weights[row, best], distance[row, best]


class MeshMotion(nn.Module):
    """Displacement by the expression basis, with one learnt gain each for lower and upper face (start 1).

    The gain lets a branch follow the mesh by less or more than bound: teeth and tongue move with the jaw, but not as
    far as the lip. It is the only trained part; the branch's heads add what is missing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2))

    def forward(
        self, basis: Float[Tensor, "n 19 3"], lower: Float[Tensor, " 13"], upper: Float[Tensor, " 6"]
    ) -> Float[Tensor, "n 3"]:
        """Displacement in metres for one frame's coefficients."""
        coefficients = self.coefficients(lower, upper)
        axes = torch.eye(3, dtype=basis.dtype, device=basis.device)
        # One product [N, 57] × [57, 3] reads the basis once, without the copy that a contraction over [N, 19, 3] makes.
        return basis.flatten(1) @ (coefficients.view(-1, 1, 1) * axes).flatten(0, 1)

    def coefficients(self, lower: Float[Tensor, " 13"], upper: Float[Tensor, " 6"]) -> Float[Tensor, " 19"]:
        """What the basis is multiplied by."""
        return torch.cat([lower * self.gain[0], upper * self.gain[1]])
