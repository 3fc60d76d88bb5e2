"""The actor as one mesh: assembled once, posed and rendered frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from ua3dtalk.subject.actor import parts
from ua3dtalk.subject.actor.appearance import bake_light, brow_polygon, skin_colours, soft_inside
from ua3dtalk.subject.actor.expressions import EXPRESSIONS, JAW_ANGLE_RAD, smoothstep
from ua3dtalk.subject.actor.face import FaceSurface, build_face
from ua3dtalk.subject.actor.facial_hair import brows, lashes
from ua3dtalk.subject.actor.hair import scalp_hair
from ua3dtalk.subject.actor.landmark_rings import LEFT_BROW, LOWER_LIP_MIDDLE, RIGHT_BROW, UPPER_LIP_MIDDLE
from ua3dtalk.subject.actor.looks import looks_of
from ua3dtalk.subject.actor.mesh import Material, Mover, Piece
from ua3dtalk.subject.actor.raster import add_shapes, project, rasterize, vertex_normals
from ua3dtalk.subject.actor.shading import FILL, KEY, RIM, develop, shade
from ua3dtalk.subject.actor.skin import Skin, build_skin
from ua3dtalk.subject.labels import Label

SUPERSAMPLING = 2


@dataclass(frozen=True, kw_only=True)
class FramePose:
    """Everything that moves in one frame."""

    weights: Float[np.ndarray, " b"]
    """Expression weights in the order of ``EXPRESSIONS``, 0..1."""
    gaze_rad: Float[np.ndarray, 2]
    """Turn of the eyes to the subject's left and up."""
    tongue: float
    """Lift of the tongue's tip, 0..1."""
    viewmat: Float[np.ndarray, "4 4"]
    """Head frame to camera (OpenCV axes)."""
    torso: Float[np.ndarray, "4 4"]
    """Torso's rest position in the head frame to where it is in the head frame."""


def _skin_piece(skin: Skin, colours: np.ndarray, face_labels: np.ndarray) -> Piece:
    return Piece(
        vertices=skin.vertices,
        triangles=skin.triangles,
        colours=colours,
        material=Material.SKIN,
        labels=face_labels,
        mover=Mover.FACE,
    )


class Scene:
    """The actor of a seed. Building takes about two seconds; ``render`` is then cheap.

    Args:
        mean_face: 468 landmarks at rest, head frame, metres.
        seed: Looks and details.
    """

    def __init__(self, mean_face: Float[np.ndarray, "468 3"], seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.looks = looks = looks_of(seed)
        face = build_face(mean_face)
        self.skin = skin = build_skin(face)
        colours, gloss = skin_colours(face, skin, looks.skin, looks.lips, looks.hair, generator)
        brow_piece, brow_basis = brows(face, skin, looks.hair * 0.8, generator)
        lash_piece, lash_basis = lashes(face, skin, looks.hair)
        pieces = [_skin_piece(skin, colours, _skin_labels(face, skin)), brow_piece, lash_piece]
        basis = np.concatenate([skin.basis, brow_basis, lash_basis], axis=1)
        self._basis = np.ascontiguousarray(basis, dtype=np.float32)
        pieces += parts.eyeballs(skin, looks.iris) + parts.teeth(skin) + [parts.tongue(skin)]
        pieces += [*parts.ears(skin, looks.skin), parts.neck(skin, looks.skin * [0.97, 0.93, 0.92])]
        pieces += parts.torso(skin, looks.cloth) + scalp_hair(face, looks.hair, generator)
        self._buffers: dict[str, np.ndarray] = {}
        self._wall = np.empty((0, 0, 3), np.float32)
        self._assemble(pieces, gloss)
        self._encoding = (255 * np.linspace(0, 1, 4096) ** (2 / 2.2) + 0.5).astype(np.uint8)
        self._bake()

    def _assemble(self, pieces: list[Piece], skin_gloss: np.ndarray) -> None:
        offsets = np.cumsum([0] + [len(p.vertices) for p in pieces])
        count = int(offsets[-1])
        self._rest = np.concatenate([p.vertices for p in pieces]).astype(np.float32)
        self._triangles = np.concatenate([p.triangles + o for p, o in zip(pieces, offsets[:-1], strict=True)]).astype(
            np.int32
        )
        self._colours = np.concatenate([p.colours for p in pieces]).astype(np.float32)
        self._mover = np.concatenate([np.full(len(p.vertices), int(p.mover)) for p in pieces])
        self._material = np.concatenate([np.full(len(p.triangles), int(p.material)) for p in pieces]).astype(np.int32)
        self._labels = np.concatenate([p.labels for p in pieces]).astype(np.uint8)
        none = [np.full(len(p.triangles), -1) if p.cutout is None else p.cutout for p in pieces]
        self._cutout = np.concatenate(none).astype(np.int32)
        self._uv, self._tangents = np.zeros((count, 2), np.float32), np.zeros((count, 3), np.float32)
        self._normals, fixed = np.zeros((count, 3), np.float32), np.zeros(count, bool)
        gloss = {Material.TEETH: 0.35, Material.MOUTH: 0.25, Material.CLOTH: 0.02, Material.HAIR: 1.0}
        self._extra = np.ones((count, 4), np.float32)
        for piece, start, end in zip(pieces, offsets[:-1], offsets[1:], strict=True):
            if piece.uv is not None:
                self._uv[start:end] = piece.uv
            if piece.tangents is not None:
                self._tangents[start:end] = piece.tangents
            if piece.normals is not None:
                self._normals[start:end], fixed[start:end] = piece.normals, True
            self._extra[start:end, 2] = gloss.get(piece.material, 0.10)
            self._extra[start:end, 3] = self._uv[start:end, 1]
        self._extra[: len(skin_gloss), 2] = skin_gloss
        self._fixed_normals = np.flatnonzero(fixed)
        self._kept_normals = self._normals[self._fixed_normals].copy()
        self._smooth = np.ascontiguousarray(self._triangles[~fixed[self._triangles[:, 0]]])
        self._face_count = self._basis.shape[1]
        self._groups = {mover: np.flatnonzero(self._mover == int(mover)) for mover in Mover}
        height = self._rest[self._groups[Mover.NECK], 1]
        self._neck_share = 1 - smoothstep((height - height.min()) / np.ptp(height) * 1.2)[:, None]

    def _bake(self) -> None:
        """Light is baked with the mouth a little open, so that teeth and lips are not in the dark for ever."""
        weights = np.zeros(len(EXPRESSIONS))
        weights[EXPRESSIONS.index("jaw_open")] = 0.3
        still = FramePose(weights=weights, gaze_rad=np.zeros(2), tongue=0.0, viewmat=np.eye(4), torso=np.eye(4))
        points = self._pose(still).astype(np.float64)
        bias = np.where(self._tangents.any(1), 0.005, 0.0025)
        cards = self._groups[Mover.FACE][len(self.skin.vertices) :]
        openness, key = bake_light(
            points, self._normals.astype(np.float64), (self._triangles, self._cutout, self._uv), KEY, bias
        )
        openness[cards], key[cards] = 0.8, 0.8
        inside = np.isin(self._mover, [Mover.JAW, Mover.TONGUE]) | np.isin(
            np.arange(len(points)), self._triangles[self._material == Material.TEETH]
        )
        ears = self._mover == int(Mover.HEAD)
        ears[self._triangles[self._material != int(Material.SKIN)]] = False
        # Thin parts hide themselves from depth maps, and light scatters through them.
        for thin, least in ((inside, 0.45), (ears, 0.5)):
            openness[thin] = least + (1 - least) * openness[thin]
            key[thin] = least + (1 - least) * key[thin]
        self._extra[:, 0], self._extra[:, 1] = openness, 0.06 + 0.94 * key
        self._inside = np.flatnonzero(inside)
        self._inside_light = self._extra[inside, :2].copy()

    def _pose(self, frame: FramePose) -> Float[np.ndarray, "v 3"]:
        """Vertices in the head frame; also refreshes the normals."""
        points = self._buffer("points", self._rest.shape, np.float32)
        points[:] = self._rest
        face = points[: self._face_count]
        add_shapes(face, self._basis, frame.weights.astype(np.float32))
        self.skin.push_lids(face)
        jaw = float(frame.weights[EXPRESSIONS.index("jaw_open")])
        for mover in (Mover.JAW, Mover.TONGUE):
            chosen = self._groups[mover]
            lever = points[chosen] - self.skin.jaw_hinge
            points[chosen, 1] -= JAW_ANGLE_RAD * jaw * lever[:, 2]
            points[chosen, 2] += JAW_ANGLE_RAD * jaw * 0.7 * lever[:, 1]
        tongue = self._groups[Mover.TONGUE]
        front = points[tongue, 2] - points[tongue, 2].min()
        points[tongue, 1] += frame.tongue * (0.004 + 0.16 * front * (0.4 + jaw))
        turn, shift = frame.torso[:3, :3], frame.torso[:3, 3]
        for mover, share in ((Mover.TORSO, 1.0), (Mover.NECK, self._neck_share)):
            chosen = self._groups[mover]
            moved = points[chosen] @ turn.T + shift
            points[chosen] += share * (moved - points[chosen])
        vertex_normals(points, self._smooth, self._normals)
        self._normals[self._fixed_normals] = self._kept_normals
        return points

    def _rasterize(self, frame: FramePose, K: np.ndarray, size: tuple[int, int], factor: int):
        points = self._pose(frame)
        screen = self._buffer("screen", points.shape, np.float32)
        scaled = np.diag([factor, factor, 1.0]) @ K
        project(points, frame.viewmat, scaled, screen)
        shape = (size[1] * factor, size[0] * factor)
        nearness, owner = self._buffer("nearness", shape, np.float32), self._buffer("owner", shape, np.int32)
        weights = self._buffer("weights", (*shape, 2), np.float32)
        rasterize(screen, self._triangles, self._cutout, self._uv, nearness, owner, weights)
        return points, owner, weights

    def landmarks(self, weights: Float[np.ndarray, "t b"]) -> Float[np.ndarray, "t 468 3"]:
        """Where the face's 468 points are for expression weights, head frame, metres."""
        points = self._rest[:468] + np.tensordot(weights.astype(np.float32), self._basis[:, :468], axes=1)
        for frame in points:
            self.skin.push_lids(frame)
        return points.astype(np.float64)

    def labels(self, frame: FramePose, K: np.ndarray, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
        """Parsing of a frame: one ``Label`` per pixel."""
        _, owner, _ = self._rasterize(frame, K, size, 1)
        return np.where(owner < 0, np.uint8(Label.BACKGROUND), self._labels[owner])

    def render(self, frame: FramePose, K: np.ndarray, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
        """Picture of a frame, sRGB.

        Args:
            frame: What moves.
            K: Intrinsics, pixels.
            size: Width and height, pixels.
        """
        points, owner, weights = self._rasterize(frame, K, size, SUPERSAMPLING)
        turn = frame.viewmat[:3, :3]
        # Lights stand still beside the camera: camera axes are (right, down, forward).
        flip = np.array([1.0, -1.0, -1.0])
        to_head = [turn.T @ (flip * light) for light in (KEY, FILL, RIM, np.array([0.0, 1.0, 0.0]))]
        lights = np.stack([*to_head, -turn.T @ frame.viewmat[:3, 3]])
        side, up = frame.gaze_rad
        gaze = np.array([np.sin(side) * np.cos(up), np.sin(up), np.cos(side) * np.cos(up)])
        eyes = np.stack([*self.skin.eye_centres, gaze, self.looks.iris])
        wall = self._backdrop(size)
        image = self._buffer("image", wall.shape, np.float32)
        image[:] = wall
        # Little light falls between lips that are hardly apart.
        gap = float(np.linalg.norm(points[UPPER_LIP_MIDDLE] - points[LOWER_LIP_MIDDLE]))
        self._extra[self._inside, :2] = self._inside_light * (0.35 + 0.65 * smoothstep(gap / 0.010))
        mesh = (self._triangles, self._material, self._cutout, points, self._normals, self._tangents, self._uv)
        shade(owner, weights, *mesh, self._colours, self._extra, lights, eyes, image)
        picture = np.empty((size[1], size[0], 3), np.uint8)
        develop(image, self._encoding, picture)
        return picture

    def _buffer(self, name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        """Memory that is used again for every frame: fresh pages cost more than the drawing."""
        if name not in self._buffers or self._buffers[name].shape != shape:
            self._buffers[name] = np.empty(shape, kind)
        return self._buffers[name]

    def _backdrop(self, size: tuple[int, int]) -> Float[np.ndarray, "h w 3"]:
        """A wall with a soft pool of light behind the head."""
        if self._wall.shape[:2] != (2 * size[1], 2 * size[0]):
            y, x = np.mgrid[0 : 2 * size[1], 0 : 2 * size[0]].astype(np.float32)
            radius = np.hypot(x / (2 * size[0]) - 0.58, y / (2 * size[1]) - 0.40)
            pool = 0.52 + 0.55 * np.exp(-((radius / 0.48) ** 2))
            self._wall = (pool[..., None] * self.looks.backdrop).astype(np.float32)
        return self._wall


def _skin_labels(face: FaceSurface, skin: Skin) -> np.ndarray:
    """Parsing label of each triangle of the skin."""
    count = len(face.vertices)
    lip, brow = np.zeros(len(skin.vertices)), np.zeros(len(skin.vertices))
    lip[:count] = soft_inside(face.plane, face.plane[face.lips_outer], 0.0005)
    for outline in (RIGHT_BROW, LEFT_BROW):
        brow[:count] += soft_inside(face.plane, brow_polygon(face, outline), 0.001)
    corners = skin.triangles
    labels = np.full(len(corners), int(Label.SKIN))
    labels[brow[corners].mean(1) > 0.5] = int(Label.BROWS)
    labels[lip[corners].mean(1) > 0.5] = int(Label.LIPS)
    depth = skin.depth[corners]
    labels[(depth.max(1) > 0) & (depth.max(1) < 0.3)] = int(Label.LIPS)
    labels[depth.max(1) > 0.3] = int(Label.INNER_MOUTH)
    labels[(depth.min(1) < -0.5) & (depth.min(1) > -1.5)] = int(Label.EYES)
    return labels
