"""Build the mean face of the package from tracked clips.

Generalised Procrustes analysis of MediaPipe's 3D landmarks: frames with closed lips of every clip are aligned and
averaged, then the clips, then the face is mirrored onto itself, put into the head frame (DESIGN §3) and scaled to a
pupil distance of 63 mm. Triangles are the 3-cliques of the landmark graph's edges that bound a face of the surface,
with the eyes closed by a fan; the mouth stays open.

    python scripts/build_mean_face.py ../shared/data/clips --compare ../shared/data/canonical_face.npz
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from ua3dtalk.media.video import VideoReader
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks, import_mediapipe

CLIPS = (
    "lieu_60s_256",
    "obama_20s_450",
    "hdtf_aoc_8s_512",
    "andrew1_25s_256",
    "feifei2_15s_256",
    "mead_m030_sad_4s_1080p",
    "mead_disgusted_8s_256",
    "mead_fear_9s_256_noaudio",
    "mead_happy_6s_256_noaudio",
    "mead_contempt_3s_256_noaudio",
    "actor_happy_8s_256_noaudio",
    "emotional_15s_512",
    "hd_portrait1_10s_1080x1920",
    "hd_portrait2_20s_1080x1920",
    "hd_portrait3_20s_1080x1920",
    "speaker_5s_844",
    "grid/grid_brbk7n",
    "grid/grid_swiz3n",
    "grid/grid_lbbc2a",
    "grid/grid_pwij3p",
    "grid/grid_sbwe5n",
    "grid/grid_lwbsza",
)
PUPIL_DISTANCE_M = 0.063
RIGHT_PUPIL, LEFT_PUPIL = 468, 473


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``source`` moved, turned and scaled onto ``target`` (least squares, Umeyama)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return (s * flip).sum() / (a**2).sum() * a @ (u * flip) @ vt + target.mean(0)


def procrustes_mean(shapes: np.ndarray, rounds: int = 10) -> np.ndarray:
    """Median of aligned shapes; the scale is that of the first one."""
    mean = shapes[0]
    for _ in range(rounds):
        mean = np.median([similarity(shape, mean) for shape in shapes], axis=0)
    return mean


def clip_shape(path: Path, count: int) -> np.ndarray | None:
    """Mean face of one clip: up to ``count`` frames with the lips most closed and the head most frontal."""
    found = []
    with FaceMeshLandmarks() as model:
        for i, frame in enumerate(VideoReader(path, max_seconds=12)):
            points = model.detect(frame)
            if points is not None and i > 4:
                found.append(points.astype(np.float64) * [1, -1, -1])
    if not found:
        return None
    shapes = np.array(found)
    eye_distance = np.linalg.norm(shapes[:, 33] - shapes[:, 263], axis=-1)
    opening = np.linalg.norm(shapes[:, 13] - shapes[:, 14], axis=-1) / eye_distance
    sideways = np.abs(shapes[:, 454, 2] - shapes[:, 234, 2]) / eye_distance
    lids = np.linalg.norm(shapes[:, 159] - shapes[:, 145], axis=-1) / eye_distance
    score = opening + 0.5 * sideways - lids
    return procrustes_mean(shapes[np.argsort(score)[:count]])


def mirror_pairs(face: np.ndarray) -> np.ndarray:
    """For each vertex the one that its mirror image is."""
    side = face[263] - face[33]
    side = side / np.linalg.norm(side)
    centre = (face[33] + face[263]) / 2
    mirrored = face - 2 * ((face - centre) @ side)[:, None] * side
    cost = np.linalg.norm(mirrored[:, None] - similarity_points(face, mirrored)[None], axis=-1)
    return linear_sum_assignment(cost)[1]


def similarity_points(face: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """``face`` in the place where its mirror image would lie; rigid, fitted on the whole cloud's axes."""
    return face - face.mean(0) + mirrored.mean(0)


def symmetrise(face: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Average with the mirror image."""
    mirrored = face[pairs] * [-1, 1, 1]
    return (face + similarity(mirrored, face)) / 2


def to_head_frame(face: np.ndarray) -> np.ndarray:
    """x from the right to the left eye corner, y from chin to the top of the forehead, pupils 63 mm apart, metres.

    The origin lies in the middle plane, half way between chin and top of the forehead, at the depth of the points in
    front of the ears.
    """
    x = face[263] - face[33]
    x = x / np.linalg.norm(x)
    y = face[10] - face[152]
    y = y - (y @ x) * x
    y = y / np.linalg.norm(y)
    turned = face @ np.stack([x, y, np.cross(x, y)], 1)
    turned *= PUPIL_DISTANCE_M / np.linalg.norm(turned[RIGHT_PUPIL] - turned[LEFT_PUPIL])
    origin = np.array(
        [turned[[33, 263], 0].mean(), turned[[10, 152], 1].mean(), turned[[234, 454], 2].mean()],
    )
    return turned - origin


def triangles(face: np.ndarray) -> np.ndarray:
    """Triangles of the landmark graph, counter-clockwise seen from outside."""
    connections = import_mediapipe().solutions.face_mesh
    edges = {tuple(sorted(edge)) for edge in connections.FACEMESH_TESSELATION}
    beside: dict[int, set[int]] = {}
    for a, b in edges:
        beside.setdefault(a, set()).add(b)
        beside.setdefault(b, set()).add(a)
    faces = {tuple(sorted((a, b, c))) for a, b in edges for c in beside[a] & beside[b]}
    # A clique that is no face of the surface shares each of its edges with two that are.
    owners = Counter(edge for t in faces for edge in ((t[0], t[1]), (t[1], t[2]), (t[0], t[2])))
    faces = {t for t in faces if min(owners[t[0], t[1]], owners[t[1], t[2]], owners[t[0], t[2]]) < 3}
    for ring in (connections.FACEMESH_LEFT_EYE, connections.FACEMESH_RIGHT_EYE):
        faces |= fill_eye(ring)
    outward = []
    for a, b, c in sorted(faces):
        normal = np.cross(face[b] - face[a], face[c] - face[a])
        middle = face[[a, b, c]].mean(0) - [0, 0, -0.05]
        outward.append((a, b, c) if normal @ middle > 0 else (a, c, b))
    return np.array(outward, np.int32)


def fill_eye(ring: frozenset[tuple[int, int]]) -> set[tuple[int, ...]]:
    """A strip of triangles between the upper and the lower lid."""
    follow: dict[int, list[int]] = {}
    for a, b in ring:
        follow.setdefault(a, []).append(b)
        follow.setdefault(b, []).append(a)
    start = 33 if 33 in follow else 263
    order, previous = [start], -1
    while True:
        nxt = next(q for q in sorted(follow[order[-1]]) if q != previous)
        if nxt == start:
            break
        previous = order[-1]
        order.append(nxt)
    strip: set[tuple[int, ...]] = set()
    low, high = 0, len(order) - 1
    while high - low > 1:
        strip.add(tuple(sorted((order[low], order[low + 1], order[high]))))
        low += 1
        if high - low > 1:
            strip.add(tuple(sorted((order[low], order[high], order[high - 1]))))
            high -= 1
    return strip


def main() -> None:
    """Build, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parents[1] / "src" / "ua3dtalk" / "tracking" / "data" / "mean_face.npz",
    )
    arguments = parser.parse_args()
    shapes = []
    for name in CLIPS:
        path = next(arguments.clips.glob(f"{name}.*"), None)
        shape = clip_shape(path, 40) if path else None
        if shape is not None:
            shapes.append(shape)
    mean = procrustes_mean(np.array(shapes))
    frontal = to_head_frame(mean)
    pairs = mirror_pairs(frontal)
    assert (pairs[pairs] == np.arange(len(pairs))).all(), "mirror pairs are not mutual"
    face = frontal
    for _ in range(3):
        face = to_head_frame(symmetrise(face, pairs))
    faces = triangles(face[:468])
    np.savez(
        arguments.out, vertices=face[:468].astype(np.float32), triangles=faces, mirror=pairs[:468].astype(np.int32)
    )
    spread = np.mean([np.linalg.norm(similarity(s, face) - face, axis=-1).mean() for s in shapes])
    report = [f"{len(shapes)} clips, {len(faces)} triangles, mean distance of a clip's face {spread * 1000:.2f} mm"]
    if arguments.compare:
        other = np.load(arguments.compare)["verts"].astype(np.float64)
        distance = np.linalg.norm(similarity(other, face[:468]) - face[:468], axis=-1) * 1000
        report.append(f"to the canonical face: mean {distance.mean():.2f} mm, max {distance.max():.2f} mm")
        raw = np.linalg.norm(similarity(other, frontal[:468]) - frontal[:468], axis=-1) * 1000
        report.append(f"before mirroring: mean {raw.mean():.2f} mm")
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
