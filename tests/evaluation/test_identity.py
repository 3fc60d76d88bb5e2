"""Identity similarity with a tiny ONNX model written by hand, so that every number can be told beforehand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.identity import (
    CROP_PX,
    TEMPLATE,
    FaceEmbedder,
    IdentityScorer,
    align_face,
    five_points,
    make_identity_meter,
    similarity_to_template,
)
from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.measure import Meter, Moment
from ua3dtalk.evaluation.regions import frame_regions
from ua3dtalk.media.video import VideoReader
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks

CELL = 8  # the model embeds a crop by eight random projections of every 8×8 cell


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protobuf message: a varint or a length and its bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def value_info(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(field(1, field(1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def initializer(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(field(1, d) for d in value.shape)
    return field(5, dims + field(2, 1) + field(8, name) + field(9, value.astype("<f4").tobytes()))


def bias_of(kernel: np.ndarray) -> np.ndarray:
    """Without a bias the embedding's direction would not tell how its input is scaled."""
    return 2 * kernel[:, 0, 0, 0]


def onnx_model(kernel: np.ndarray, flatten: bool = True) -> bytes:
    """Convolution with stride = size, then (unless a wrong shape is wanted) Flatten."""
    out, _, size, _ = kernel.shape
    ints = {"kernel_shape": (size, size), "strides": (size, size)}
    attributes = b"".join(
        field(5, field(1, k) + b"".join(field(8, i) for i in v) + field(20, 7)) for k, v in ints.items()
    )
    conv = field(1, "face") + field(1, "kernel") + field(1, "bias") + field(2, "cells") + field(4, "Conv") + attributes
    flat = field(1, "cells") + field(2, "embedding") + field(4, "Flatten")
    constants = initializer("kernel", kernel) + initializer("bias", bias_of(kernel))
    side = CROP_PX // size
    result = value_info("embedding", (1, out * side**2)) if flatten else value_info("cells", (1, out, side, side))
    graph = field(1, conv) + (field(1, flat) if flatten else b"") + field(2, "g") + constants
    graph += field(11, value_info("face", (1, 3, CROP_PX, CROP_PX))) + field(12, result)
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


@pytest.fixture(scope="module")
def kernel() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(8, 3, CELL, CELL)).astype(np.float32)


@pytest.fixture(scope="module")
def model(kernel, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(onnx_model(kernel))
    return path


@pytest.fixture(scope="module")
def scorer(model) -> IdentityScorer:
    return IdentityScorer(FaceEmbedder(model))


def reference_embedding(kernel: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """ArcFace's input convention and the model, in numpy."""
    x = (crop.astype(np.float64) - 127.5) / 127.5
    cells = x.reshape(CROP_PX // CELL, CELL, CROP_PX // CELL, CELL, 3)
    found = np.einsum("yaxbc,kcab->kyx", cells, kernel.astype(np.float64))
    found = (found + bias_of(kernel)[:, None, None]).reshape(-1)
    return found / np.linalg.norm(found)


def landmarks_at(points: np.ndarray) -> np.ndarray:
    """A face whose eye centres, nose tip and mouth corners lie at five points (first pixel centre at 0.5)."""
    face = np.zeros((478, 3), np.float32)
    face[[33, 133], :2] = points[0] + np.array([[-6.0, 1.0], [6.0, -1.0]])
    face[[362, 263], :2] = points[1] + np.array([[-6.0, 1.0], [6.0, -1.0]])
    face[1, :2], face[61, :2], face[291, :2] = points[2:]
    return face


def turned(points: np.ndarray, scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + np.array(shift)


def smooth_picture(seed: int, size: int = 160) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(size, size, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4)
    return (127 + 50 * blurred / blurred.std()).clip(0, 255).astype(np.uint8)


POINTS = np.array(TEMPLATE) + 20  # the face of `smooth_picture`


def moment(position: int, picture: np.ndarray, real: np.ndarray, found: bool = True) -> Moment:
    landmarks = landmarks_at(POINTS)
    return Moment(
        position=position,
        picture=picture,
        real=real,
        landmarks=landmarks if found else None,
        real_landmarks=landmarks,
        regions=frame_regions(np.zeros(real.shape[:2], np.uint8), None),
    )


def test_the_five_points_are_eyes_nose_and_mouth_in_the_templates_order() -> None:
    points = np.array([[10.0, 20], [30, 21], [20, 30], [12, 40], [28, 41]])
    np.testing.assert_allclose(five_points(landmarks_at(points)), points, atol=1e-6)


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (2.5, 0.3), (0.7, -0.8), (1.2, 3.0)])
def test_a_turned_template_is_turned_back(scale, angle) -> None:
    points = turned(np.array(TEMPLATE), scale, angle, (40, -7))
    matrix = similarity_to_template(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-9)


def test_the_fit_is_umeyamas(rng) -> None:
    """For points that no similarity fits: the closed form of Umeyama 1991."""
    points = np.array(TEMPLATE) * 1.7 + rng.normal(0, 4, (5, 2))
    a, b = points - points.mean(0), np.array(TEMPLATE) - np.mean(TEMPLATE, 0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * sign) @ vt * (s * sign).sum() / (a**2).sum()
    np.testing.assert_allclose(similarity_to_template(points)[:, :2], turn, atol=1e-9)


def test_a_face_in_template_position_is_cropped_without_change() -> None:
    """Landmarks count from the pixel's corner, the template from its centre."""
    picture = smooth_picture(0)
    crop = align_face(picture, landmarks_at(POINTS + 0.5))
    np.testing.assert_array_equal(crop, picture[20 : 20 + CROP_PX, 20 : 20 + CROP_PX])


def test_embeddings_are_those_of_the_reference(model, kernel) -> None:
    crop = smooth_picture(1)[:CROP_PX, :CROP_PX]
    found = FaceEmbedder(model).embed(crop)
    expected = reference_embedding(kernel, crop)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)  # measured 1e-7: RGB, (x − 127.5) / 127.5, NCHW
    assert np.abs(found - reference_embedding(kernel, crop[..., ::-1])).max() > 0.01


def test_the_score_is_the_cosine(scorer, kernel) -> None:
    a, b = smooth_picture(1), smooth_picture(2)
    face = landmarks_at(POINTS + 0.5)
    crops = [p[20 : 20 + CROP_PX, 20 : 20 + CROP_PX] for p in (a, b)]
    expected = float(reference_embedding(kernel, crops[0]) @ reference_embedding(kernel, crops[1]))
    assert scorer.score(a, face, b, face) == pytest.approx(expected, abs=1e-5)
    assert scorer.score(a, face, a, face) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("scale", "angle", "shift"), [(1.0, 0.0, (1, 0)), (1.0, 0.0, (0, -9)), (1.3, 0.4, (70, 10))])
def test_a_head_that_moves_stays_the_same_person(scorer, scale, angle, shift) -> None:
    picture = smooth_picture(1)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]) * scale
    matrix[:, 2] = shift
    moved = cv2.warpAffine(picture, matrix, (320, 320))
    where = turned(POINTS, scale, angle, shift)
    found = scorer.score(moved, landmarks_at(where + 0.5), picture, landmarks_at(POINTS + 0.5))
    assert found > 0.99
    assert scorer.score(moved, landmarks_at(POINTS + 0.5), picture, landmarks_at(POINTS + 0.5)) < found - 0.01


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f[..., ::-1],  # channels swapped
        lambda f: np.roll(f, 1, 1),  # one pixel off, seen with the landmarks of before
        lambda f: np.roll(f, 1, 0),
        lambda f: cv2.resize(f[1:-1, 1:-1], f.shape[1::-1]),  # cropped by a pixel
        lambda f: f[:, ::-1],
    ],
)
def test_subtle_wrongs_cost(scorer, spoil) -> None:
    real, face = smooth_picture(1), landmarks_at(POINTS)
    good = through_jpeg(real)
    bad = np.ascontiguousarray(spoil(good))
    assert scorer.score(bad, face, real, face) < scorer.score(good, face, real, face) - 0.002


def test_frames_one_late_or_swapped_cost(model) -> None:
    make = make_identity_meter(model, every=1)
    waves = [0.5 + 0.5 * np.sin(i / 2) for i in range(10)]
    one, other = smooth_picture(1).astype(np.float32), smooth_picture(2).astype(np.float32)
    frames = [(w * one + (1 - w) * other).round().astype(np.uint8) for w in waves]

    def score(rendered: list[np.ndarray]) -> float:
        meter = make()
        assert isinstance(meter, Meter)
        for i, (a, b) in enumerate(zip(rendered, frames, strict=True)):
            meter.see(moment(i, through_jpeg(a), b))
        measure = meter.results()["identity"]
        assert measure.value is not None and measure.details["frames"] == 10
        return measure.value

    right = score(frames)
    assert right > 0.99
    assert score([frames[0], *frames[:-1]]) < right - 0.01
    assert score([frames[i ^ 1] for i in range(10)]) < right - 0.01


def test_every_fifth_frame_counts_and_faces_not_found_are_told(model) -> None:
    make = make_identity_meter(model)
    meter = make()
    real, stranger = smooth_picture(1), smooth_picture(2)
    for i in range(12):
        picture = real if i % 5 == 0 else stranger
        meter.see(moment(i, picture, real, found=i != 5))
    measure = meter.results()["identity"]
    assert measure.value == pytest.approx(1.0, abs=1e-6)
    assert (measure.details["frames"], measure.details["missed"], measure.details["every"]) == (2, 1, 5)
    assert measure.details["model"] == "tiny.onnx" and len(measure.details["sha256"]) == 64
    assert "every 5th frame" in meter.definitions[0].meaning
    unseen = make()
    unseen.see(moment(0, stranger, real, found=False))
    assert unseen.results()["identity"].value is None


def test_rows_share_the_model_and_not_their_numbers(model) -> None:
    make = make_identity_meter(model, every=1)
    reals = [smooth_picture(i) for i in (1, 2)]
    rows = {"same": make(), "other": make()}
    for i, real in enumerate(reals):
        rows["same"].see(moment(i, real.copy(), real))
        rows["other"].see(moment(i, reals[1 - i], real))
    assert rows["same"].results()["identity"].value == pytest.approx(1.0, abs=1e-6)
    assert rows["other"].results()["identity"].value < 0.5


def test_without_a_model_it_is_missing(monkeypatch, model, tmp_path) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path))
    measure = make_identity_meter()().results()["identity"]
    assert measure.value is None
    assert "arcface.onnx" in measure.unavailable and "$UA3DTALK_WEIGHTS" in measure.unavailable
    (tmp_path / "arcface.onnx").write_bytes(model.read_bytes())
    meter = make_identity_meter()()
    meter.see(moment(0, smooth_picture(1), smooth_picture(1)))
    assert meter.results()["identity"].value == pytest.approx(1.0, abs=1e-6)


def test_a_file_that_is_no_such_model_is_told(kernel, model, tmp_path) -> None:
    path = tmp_path / "wrong.onnx"
    for content, message in (
        (b"no ONNX at all", r"wrong\.onnx cannot be read as ONNX \(Failed to parse"),
        (model.read_bytes()[:-200], r"wrong\.onnx cannot be read as ONNX \("),
        (b"", r"wrong\.onnx cannot be read as ONNX \("),
        (onnx_model(kernel, flatten=False), r"wrong\.onnx gives \[1, 8, 14, 14\] for one face"),
        (onnx_model(kernel * 0), "no finite embedding other than zero"),
        (onnx_model(kernel * np.nan), "no finite embedding other than zero"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            make_identity_meter(path)
    with pytest.raises(UserError, match="is not a file"):
        make_identity_meter(tmp_path / "absent.onnx")


def test_real_faces_fall_onto_the_template(shared) -> None:
    """MediaPipe's points name the same places as ArcFace's: a frontal face fits within a few pixels of 112."""
    pytest.importorskip("mediapipe")
    frame = next(iter(VideoReader(shared / "data" / "clips" / "lieu_60s_256.mp4", max_seconds=0.04)))
    with FaceMeshLandmarks() as detector:
        landmarks = detector.detect(frame)
    assert landmarks is not None
    points = five_points(landmarks) - 0.5
    matrix = similarity_to_template(points)
    error = np.linalg.norm(points @ matrix[:, :2].T + matrix[:, 2] - np.array(TEMPLATE), axis=1)
    assert error.max() < 4  # measured 2.7, at the nose
