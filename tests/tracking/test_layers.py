"""Background, torso, crop box and masks on pictures made for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.sequence import stretches
from ua3dtalk.subject.labels import Label
from ua3dtalk.tracking.alignment import align_heads
from ua3dtalk.tracking.bundle import FLIP
from ua3dtalk.tracking.crop import Speaker, choose_box, find_speaker
from ua3dtalk.tracking.layers import fill_holes, masked_median, torso_layer
from ua3dtalk.tracking.parsing import Parser, ParsingConfig, position_priors, without_flicker
from ua3dtalk.tracking.projection import Poses, pixels_of
from ua3dtalk.tracking.regions import face_regions
from ua3dtalk.tracking.stage_face import bridge
from ua3dtalk.tracking.topology import mean_face, rigid_vertices

SIZE = 128
CENTRE = np.array([64.0, 56.0])


def face_pixels(rotation: np.ndarray = FLIP) -> np.ndarray:
    """The mean face in a picture of 128 px, 478 landmarks."""
    poses = Poses(rotation[None], np.array([[0.0, 0.0, 0.65]]))
    xy = pixels_of(poses, mean_face().vertices, 210.0, CENTRE)[0]
    return np.concatenate([np.concatenate([xy, np.zeros((468, 1))], 1), np.zeros((10, 3))]).astype(np.float32)


def test_holes_are_filled_smoothly_and_known_pixels_stay() -> None:
    ramp = np.repeat(np.linspace(0, 200, 64, dtype=np.float32)[None], 64, 0)[..., None].repeat(3, 2)
    known = np.ones((64, 64), np.float32)
    known[20:44, 20:44] = 0
    filled = fill_holes(np.where(known[..., None] > 0, ramp, 0), known)
    np.testing.assert_allclose(filled[known > 0], ramp[known > 0], atol=1e-3)
    # A smooth guess, not an exact one: measured 6.6 grey levels at worst over a hole of 24 px.
    assert np.abs(filled - ramp).max() < 15


def test_masked_median_looks_only_where_it_may(rng: np.random.Generator) -> None:
    stack = rng.integers(0, 256, (9, 5, 7, 3)).astype(np.uint8)
    known = rng.random((9, 5, 7)) < 0.6
    known[:, 0, 0] = False
    median, seen = masked_median(stack, known)
    assert not seen[0, 0] and seen.sum() == 34
    for y, x in ((1, 2), (4, 6), (2, 3)):
        values = np.sort(stack[known[:, y, x], y, x], axis=0)
        np.testing.assert_array_equal(median[y, x], values[(len(values) - 1) // 2])


def test_what_hardly_ever_shows_is_no_background() -> None:
    """In 1 of 30 frames a pixel shows beside the person: that is the blurred edge of hair, not the wall."""
    known = np.zeros((30, 4, 4), bool)
    known[:2, 0], known[:1, 1] = True, True
    seen = masked_median(np.zeros((30, 4, 4, 3), np.uint8), known)[1]
    assert seen[0].all() and not seen[1:].any()


def test_torso_goes_on_behind_the_chin() -> None:
    landmarks = face_pixels()
    labels = np.zeros((SIZE, SIZE), np.uint8)
    regions = face_regions((SIZE, SIZE), landmarks)
    chin = int(landmarks[152, 1])
    labels[chin - 2 :, 48:80] = Label.NECK
    labels[chin + 14 :] = Label.TORSO
    labels[regions.oval] = Label.SKIN
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame[labels == Label.NECK] = (180, 120, 100)
    frame[labels == Label.TORSO] = (20, 30, 90)
    layer = torso_layer(frame, labels, landmarks)
    assert layer[chin - 6, 64, 3] > 250, "opaque behind the chin"
    assert np.abs(layer[chin - 6, 64, :3].astype(int) - (180, 120, 100)).max() < 40, "of the neck's colour"
    assert layer[20, 64, 3] == 0, "nothing behind the forehead"
    inside = labels == Label.TORSO
    np.testing.assert_array_equal(layer[inside][:, :3], frame[inside])


def test_regions_follow_the_mouth() -> None:
    closed, opened = face_pixels(), face_pixels()
    closed[[13, 82, 81, 80, 312, 311, 310], 1] = closed[[14, 87, 178, 88, 317, 402, 318], 1]
    opened[[14, 87, 178, 317, 402, 88, 318], 1] += 5
    assert not face_regions((SIZE, SIZE), closed).inner_mouth.any()
    wide = face_regions((SIZE, SIZE), opened)
    assert wide.inner_mouth.sum() > 40
    assert (wide.lips >= wide.inner_mouth).all() and wide.eyes.any() and wide.brows.any()


def test_priors_know_where_things_are() -> None:
    poses = Poses(np.tile(FLIP, (3, 1, 1)), np.tile([0.0, 0.0, 0.65], (3, 1)))
    plane = align_heads(poses, mean_face().vertices[rigid_vertices()], 210.0, CENTRE, (SIZE, SIZE))
    face = pixels_of(poses[:1], mean_face().vertices, 210.0, CENTRE)[0] - 0.5 + [32, 32]
    best = position_priors(plane, face).argmax(-1)
    x, top, chin = round(face[4, 0]), round(face[10, 1]), round(face[152, 1])
    assert [best[top - 14, x], best[(top + chin) // 2, x], best[chin + 10, x], best[chin + 30, x]] == [0, 1, 2, 3]
    parser = Parser(plane, face, ParsingConfig())
    frame = np.full((SIZE, SIZE, 3), 128, np.uint8)
    labels = parser.label(0, frame, np.ones((SIZE, SIZE), np.float32), face_pixels())
    assert labels[56, 64] == Label.SKIN and labels[127, 64] == Label.TORSO
    labels = parser.label(0, frame, np.zeros((SIZE, SIZE), np.float32), face_pixels())
    assert labels[2, 2] == Label.BACKGROUND and labels[56, 64] == Label.SKIN, "the mesh is always face"


def test_plane_keeps_the_head_still() -> None:
    moves = np.array([[0.0, 0.0, 0.65], [0.03, -0.02, 0.65], [0.0, 0.0, 0.55]])
    poses = Poses(np.tile(FLIP, (3, 1, 1)), moves)
    shape = mean_face().vertices[rigid_vertices()]
    plane = align_heads(poses, shape, 210.0, CENTRE, (SIZE, SIZE))
    pixels = pixels_of(poses, shape, 210.0, CENTRE) - 0.5
    there = np.einsum("tij,tpj->tpi", plane.matrices[:, :, :2], pixels) + plane.matrices[:, None, :, 2]
    # Perspective bends the nearer head a little: measured 1.3 px.
    assert np.abs(there - there[0]).max() < 2.0


def test_the_largest_face_that_stays_is_followed() -> None:
    big, small, brief = (
        np.array([100, 100, 300, 350.0]),
        np.array([500, 100, 560, 170.0]),
        np.array([600, 0, 900, 400.0]),
    )
    samples = [[small, big] if i != 3 else [small, brief] for i in range(10)]
    speaker = find_speaker(samples)
    assert speaker is not None
    assert speaker.boxes.shape == (9, 4) and (speaker.boxes == big).all()
    assert speaker.num_faces == 2
    assert find_speaker([[], []]) is None


def test_box_is_square_inside_the_picture_and_holds_the_head() -> None:
    boxes = np.array([[300, 400, 500, 650.0], [330, 410, 530, 660.0]])
    box = choose_box(Speaker(boxes, 2, 1), 1080, 1920, 512)
    assert box.width == box.height and box.out_width == box.out_height == 512
    assert 0 <= box.left <= 300 - 140 and box.left + box.width <= 1080 and box.top <= 400 - 150
    assert box.apply(np.zeros((1920, 1080, 3), np.uint8)).shape == (512, 512, 3)
    middle = (np.array([540, 960]) - [box.left, box.top]) * box.scale
    np.testing.assert_allclose(box.principal_point, middle)
    whole = choose_box(Speaker(np.array([[80, 90, 180, 220.0]]), 1, 1), 256, 256, 512)
    assert (whole.left, whole.top, whole.width, whole.out_width) == (0, 0, 256, 256)
    with pytest.raises(UserError, match="20 pixels high"):
        choose_box(Speaker(np.array([[0, 0, 20, 20.0]]), 1, 1), 640, 480, 512)


def test_gaps_are_listed_and_bridged() -> None:
    valid = np.array([0, 1, 1, 0, 0, 1, 0], bool)
    assert stretches(~valid) == [(0, 1), (3, 5), (6, 7)]
    values = np.array([9, 1, 2, 9, 9, 5, 9], np.float32)[:, None]
    np.testing.assert_allclose(bridge(values, valid)[:, 0], [1, 1, 2, 3, 4, 5, 5])


def test_a_flicker_of_one_frame_is_taken_out() -> None:
    frames = [np.full((4, 4), Label.HAIR, np.uint8) for _ in range(5)]
    frames[2][1, 1] = Label.BACKGROUND
    frames[3][2, 2] = Label.EYES
    frames[4][3, 3] = Label.SKIN
    steady = list(without_flicker(iter(frames)))
    assert len(steady) == 5
    assert steady[2][1, 1] == Label.HAIR
    assert steady[3][2, 2] == Label.EYES, "parts of the face move fast"
    assert steady[4][3, 3] == Label.SKIN, "nothing is known of what comes after the last frame"
    assert [len(list(without_flicker(iter(frames[:n])))) for n in (0, 1, 2)] == [0, 1, 2]
