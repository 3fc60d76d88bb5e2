"""Head poses refined against the rendered model: Gauss–Newton on the brightness of the rigid upper head."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import no_type_check

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numba import njit

from ua3dtalk.avatar.branch import Motion, StaticFeatures
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.core.luma import LUMA
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.core.progress import Progress, log, track
from ua3dtalk.subject.labels import HEAD_LABELS, Label
from ua3dtalk.training.config import PoseRefinementConfig
from ua3dtalk.training.run import TrainingRun

BLUR_PX = 1.0
MARGIN_PX = 8
"""Around the pixels that are compared: blur and slopes reach over the border."""
NOSE_TIP = 1
SMALLEST_AREA_PX = 200
_LUMA = np.array(LUMA, np.float32)


def refine_poses(run: TrainingRun, progress: Progress) -> None:
    """Refine the pose of every frame, in place in ``run``.

    The model must know expression already, or lids and brows would be explained by pose: mesh motion is enough, and a
    branch without it is moved by its networks, which the schedule must have trained by then. Only pixels above the tip
    of the nose and away from the eyes are used, so that the mouth of a test frame is never looked at. Measured by the
    experiment behind DESIGN §9: +0.35 to +0.5 dB.

    Args:
        run: Layers, data and poses.
        progress: Where to report.
    """
    layer = run.layers["face"]
    static = None if layer.motion.config.mesh_motion else layer.motion.prepare_static(layer.gaussians.means.detach())
    frames = np.flatnonzero(run.track.valid)
    refined = run.viewmats.copy()
    before, after = [], []
    refine = partial(_refine_frame, run, layer, static)
    found = ordered_map(refine, frames.tolist(), None if run.device.type == "cpu" else 1)
    for i, (pose, first, last) in zip(frames, track(progress, "refine poses", found, len(frames)), strict=True):
        refined[i] = pose
        before.append(first)
        after.append(last)
    run.targets.viewmats = refined
    log.info("Pose refinement: brightness residual %.4f -> %.4f", float(np.mean(before)), float(np.mean(after)))


def _motion(run: TrainingRun, layer: AvatarLayer, static: StaticFeatures | None, i: int) -> Motion:
    conditions = run.tracked.frame(i)
    if static is None:
        return layer.motion.mesh_motion(layer.mesh_basis, conditions)
    return layer.motion(layer.gaussians.means, layer.mesh_basis, conditions, "ensemble", static=static)


@torch.no_grad()
def _refine_frame(
    run: TrainingRun, layer: AvatarLayer, static: StaticFeatures | None, i: int
) -> tuple[Float[np.ndarray, "4 4"], float, float]:
    """Pose of frame ``i``, and the residual before the first and before the last step."""
    config, splats = run.config.poses, layer.splats(_motion(run, layer, static, i))
    rigid, wanted, box = _observed(run, i)
    camera = run.targets.camera(i, box)
    intrinsics = camera.K.cpu().numpy().astype(np.float64)
    pose = run.viewmats[i].copy()
    first = last = 0.0
    for iteration in range(config.iterations):
        viewmat = torch.from_numpy(pose.astype(np.float32)).to(run.device)
        out = run.rasterizer(splats, replace(camera, viewmat=viewmat), sh_degree=0)
        alpha = out.alpha.cpu().numpy()
        used = rigid & (alpha > 0.98)
        if used.sum() < SMALLEST_AREA_PX:
            return run.viewmats[i], first, last
        image = cv2.GaussianBlur(out.rgb.cpu().numpy() @ _LUMA, (0, 0), BLUR_PX)
        depth = out.depth.cpu().numpy() / np.maximum(alpha, 1e-3)
        delta, last = _gauss_newton_step(image, wanted, depth, used, intrinsics, pose[:3, 3], config)
        first = last if iteration == 0 else first
        pose[:3, :3] = cv2.Rodrigues(delta[:3])[0] @ pose[:3, :3]
        pose[:3, 3] += delta[3:6]
    return pose, first, last


def _observed(run: TrainingRun, i: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """Where the head is rigid in frame ``i``, and its blurred brightness, in a box ``(y0, y1, x0, x1)`` around that."""
    subject = run.targets.subject
    parsing = subject.parsing(i)
    head = np.isin(parsing, [int(label) for label in HEAD_LABELS]).astype(np.uint8)
    head = cv2.erode(head, np.ones((9, 9), np.uint8))
    eyes = cv2.dilate((parsing == Label.EYES).astype(np.uint8), np.ones((5, 5), np.uint8))
    rigid = (head > 0) & (eyes == 0)
    rigid[max(int(run.track.landmarks[i, NOSE_TIP, 1]), 0) :] = False
    x, y, width, height = cv2.boundingRect(rigid.astype(np.uint8))
    y0, x0 = max(y - MARGIN_PX, 0), max(x - MARGIN_PX, 0)
    y1, x1 = min(y + height + MARGIN_PX, rigid.shape[0]), min(x + width + MARGIN_PX, rigid.shape[1])
    brightness = (subject.frame(i)[y0:y1, x0:x1].astype(np.float32) / 255.0) @ _LUMA
    return rigid[y0:y1, x0:x1], cv2.GaussianBlur(brightness, (0, 0), BLUR_PX), (y0, y1, x0, x1)


def _gauss_newton_step(
    image: np.ndarray,
    wanted: np.ndarray,
    depth: np.ndarray,
    used: np.ndarray,
    intrinsics: np.ndarray,
    centre: np.ndarray,
    config: PoseRefinementConfig,
) -> tuple[Float[np.ndarray, " 7"], float]:
    """One robust step: rotation vector (about the head's centre), shift, brightness offset; and the residual."""
    dx, dy = (cv2.Sobel(image, cv2.CV_32F, *axis, ksize=3) / 8 for axis in ((1, 0), (0, 1)))
    residual = wanted - image
    spread = 1.48 * float(np.median(np.abs(residual[used]))) + 1e-4
    normal, right, squares = _normal_equations(dx, dy, depth, residual, used, intrinsics, centre, spread)
    angle, shift, far = config.prior_angle_rad, config.prior_shift_m, config.prior_depth_m
    prior = np.array([angle, angle, angle, shift, shift, far, 1.0])
    delta = np.linalg.solve(normal + np.diag((spread / prior) ** 2), right)
    return delta, float(np.sqrt(squares / used.sum()))


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check  # the type checker of the tests would hand numba a wrapped function
def _normal_equations(slope_x, slope_y, depth, residual, used, intrinsics, centre, spread):
    """Jᵀ W J [7, 7], Jᵀ W r [7] and rᵀ W r over the used pixels, with weights 1 / (1 + (r / 2 spread)²)."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    normal, right, row, squares = np.zeros((7, 7)), np.zeros(7), np.ones(7), 0.0
    for i in range(used.shape[0]):
        for j in range(used.shape[1]):
            if not used[i, j]:
                continue
            z = np.float64(depth[i, j])
            x, y = (j + 0.5 - cx) / fx * z, (i + 0.5 - cy) / fy * z
            # Change of the image when the surface point moves by one metre. A surface that moves by d carries its
            # brightness along: the image changes by minus their product.
            gx, gy = slope_x[i, j] * fx / z, slope_y[i, j] * fy / z
            gz = -(gx * x + gy * y) / z
            ax, ay, az = x - centre[0], y - centre[1], z - centre[2]
            row[0], row[1], row[2] = az * gy - ay * gz, ax * gz - az * gx, ay * gx - ax * gy
            row[3], row[4], row[5] = -gx, -gy, -gz
            r = np.float64(residual[i, j])
            weight = 1 / (1 + (r / (2 * spread)) ** 2)
            squares += weight * r * r
            for a in range(7):
                right[a] += weight * r * row[a]
                for b in range(a + 1):
                    normal[a, b] += weight * row[a] * row[b]
    for a in range(7):
        for b in range(a):
            normal[b, a] = normal[a, b]
    return normal, right, squares
