"""Registration on the synthetic actor, whose poses are known: what landmarks get wrong, material points put right."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor
from ua3dtalk.subject.labels import HEAD_LABELS
from ua3dtalk.tracking.bundle import Bundle
from ua3dtalk.tracking.head_surface import HeadSurface, sample, unwrap
from ua3dtalk.tracking.pose import Observations, PoseConfig, TrackedPoints, refine_poses
from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.registration import Registration, Tracks, rigid_region
from ua3dtalk.tracking.structure import fit_structure
from ua3dtalk.tracking.topology import mean_face, rigid_vertices

FRAMES = 24


@dataclass(frozen=True)
class Filmed:
    """Some frames of an actor who turns the head, and their poses."""

    grey: list[np.ndarray]
    person: list[np.ndarray]
    poses: Poses
    focal: float
    centre: np.ndarray


@pytest.fixture(scope="module")
def filmed() -> Filmed:
    config = ActorConfig(size=256, head_range_deg=18.0, plan=(Cue(label="neutral", intensity=0.0, seconds=6.0),))
    actor = Actor(config)
    chosen = np.linspace(0, actor.num_frames - 1, FRAMES).astype(int)
    grey = [cv2.cvtColor(actor.render(int(t)), cv2.COLOR_RGB2GRAY) for t in chosen]
    person = [np.isin(actor.render_labels(int(t)), HEAD_LABELS).astype(np.float32) for t in chosen]
    viewmats = actor.body.viewmats[chosen]
    return Filmed(grey, person, Poses(viewmats[:, :3, :3], viewmats[:, :3, 3]), actor.K[0, 0], actor.K[:2, 2])


@pytest.fixture(scope="module")
def surface(filmed: Filmed) -> HeadSurface:
    return HeadSurface(mean_face().vertices, float(filmed.focal / filmed.poses.translations[:, 2].mean()))


def degrees_off(found: Poses, true: Poses) -> np.ndarray:
    """After one constant rotation of the head frame, which no picture can tell."""
    relative = Rotation.from_matrix(true.rotations.transpose(0, 2, 1) @ found.rotations)
    return np.degrees((relative.mean().inv() * relative).magnitude())


def test_the_surface_maps_there_and_back(surface: HeadSurface, filmed: Filmed) -> None:
    points = mean_face().vertices[[4, 151, 50, 280]]
    pixels = surface.pixels(points)
    np.testing.assert_allclose(surface.points(pixels), points, atol=2e-3)  # measured 1.1 mm, at the nose tip
    where = surface.in_frame(filmed.poses.rotations[3], filmed.poses.translations[3], filmed.focal, filmed.centre)
    expected = pixels_of(filmed.poses[3:4], surface.points(pixels), filmed.focal, filmed.centre)[0] - 0.5
    np.testing.assert_allclose(sample(where, pixels), expected, atol=0.15)  # measured 0.06 px: a coarse grid


def test_unwrapping_shows_the_same_face_in_every_pose(surface: HeadSurface, filmed: Filmed) -> None:
    order = np.argsort(filmed.poses.rotations[:, 0, 2])
    first, last = int(order[0]), int(order[-1])
    pictures = [
        unwrap(
            filmed.grey[t],
            surface.in_frame(filmed.poses.rotations[t], filmed.poses.translations[t], filmed.focal, filmed.centre),
        )
        for t in (first, last)
    ]
    centre = surface.pixels(mean_face().vertices[[6]])[0].round().astype(int)
    patch = np.s_[centre[1] - 25 : centre[1] + 25, centre[0] - 35 : centre[0] + 35]
    unwrapped = np.corrcoef(pictures[0][patch].ravel(), pictures[1][patch].ravel())[0, 1]
    assert unwrapped > 0.85, "measured 0.93 for eyes and brows, turned by 30 degrees"


def test_material_points_put_poses_right(surface: HeadSurface, filmed: Filmed, rng: np.random.Generator) -> None:
    noise = np.column_stack([rng.normal(size=(FRAMES, 3)) * np.radians(1.5), rng.normal(size=(FRAMES, 3)) * 1e-3])
    start = filmed.poses.moved(noise)
    registration = Registration(surface, lambda t: filmed.grey[t], filmed.focal, filmed.centre)
    masks = [unwrap(filmed.person[t], registration.in_frame(start, t)) for t in range(FRAMES)]
    allowed = rigid_region(surface, mean_face().vertices, np.mean(masks, axis=0).astype(np.float32))
    mean = registration.mean_picture(start, range(FRAMES))
    features = registration.features(mean, allowed)
    assert len(features) > 60
    pixels = np.full((FRAMES, len(features), 2), np.nan, np.float32)
    for t, where in registration.follow(start, mean, features, range(FRAMES)):
        pixels[t] = where
    on_mesh = surface.on_mesh[tuple(features.round().astype(int).T[::-1])]
    tracks = Tracks(pixels, surface.points(features), on_mesh)
    structure = fit_structure(tracks, start, filmed.focal, filmed.centre, 2.0)
    assert np.abs(structure.points - tracks.surface)[on_mesh].mean() < 2e-3
    assert (structure.weights >= 0).all() and (structure.weights <= 1).all()
    shape = mean_face().vertices[rigid_vertices()]
    seen = Observations(
        pixels_of(start, shape, filmed.focal, filmed.centre),
        np.ones(FRAMES, bool),
        np.full((FRAMES - 1, len(shape), 2), np.nan, np.float32),
        filmed.centre,
        2.0,
        TrackedPoints(pixels, structure.points, structure.weights),
    )
    found = refine_poses(start, Bundle(shape, filmed.focal), seen, PoseConfig())
    before, after = degrees_off(start, filmed.poses).mean(), degrees_off(found, filmed.poses).mean()
    assert before > 2
    assert after < 0.45 * before, f"{before:.2f} -> {after:.2f}"


def test_the_rigid_region_leaves_out_what_moves(surface: HeadSurface) -> None:
    vertices = mean_face().vertices
    region = rigid_region(surface, vertices, np.ones((surface.height, surface.width), np.float32))
    at = lambda i: region[tuple(surface.pixels(vertices[[i]])[0].round().astype(int)[::-1])]  # noqa: E731
    assert at(6) and at(151), "between the eyes, forehead"
    assert not at(159) and not at(105) and not at(13), "lid, brow, lip"
    assert not rigid_region(surface, vertices, np.zeros_like(region, np.float32)).any()
