"""LPIPS against a reference written out here, and against frames that are subtly wrong.

The backbones' weights are not ours to ship: they are random here, which pins the arithmetic but not the meaning. The
linear layers are the real ones where torchmetrics brings them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchmetrics
from safetensors.torch import save_file
from torch import Tensor

from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.image import through_jpeg
from ua3dtalk.evaluation.lpips import LpipsScorer, make_lpips_meter
from ua3dtalk.evaluation.lpips_net import Lpips, load_lpips, to_lpips
from ua3dtalk.evaluation.measure import Meter, Moment
from ua3dtalk.evaluation.regions import frame_regions

# (index in torchvision's `features`, channels in, out, size, stride, pad), and "M" for pooling by `POOL`
ALEX = [
    (0, 3, 64, 11, 4, 2), "tap", "M", (3, 64, 192, 5, 1, 2), "tap", "M", (6, 192, 384, 3, 1, 1), "tap",
    (8, 384, 256, 3, 1, 1), "tap", (10, 256, 256, 3, 1, 1), "tap",
]  # fmt: skip
VGG = [
    (0, 3, 64, 3, 1, 1), (2, 64, 64, 3, 1, 1), "tap", "M", (5, 64, 128, 3, 1, 1), (7, 128, 128, 3, 1, 1), "tap", "M",
    (10, 128, 256, 3, 1, 1), (12, 256, 256, 3, 1, 1), (14, 256, 256, 3, 1, 1), "tap", "M",
    (17, 256, 512, 3, 1, 1), (19, 512, 512, 3, 1, 1), (21, 512, 512, 3, 1, 1), "tap", "M",
    (24, 512, 512, 3, 1, 1), (26, 512, 512, 3, 1, 1), (28, 512, 512, 3, 1, 1), "tap",
]  # fmt: skip
PLAN = {"alex": ALEX, "vgg": VGG}
POOL = {"alex": 3, "vgg": 2}


def linear_layers(net: str, channels: list[int], generator: torch.Generator) -> dict[str, Tensor]:
    path = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"
    if path.is_file():
        return torch.load(path, map_location="cpu", weights_only=True)
    return {f"lin{i}.model.1.weight": torch.rand((1, c, 1, 1), generator=generator) for i, c in enumerate(channels)}


def random_weights(net: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    weights, channels = {}, []
    for step in PLAN[net]:
        if isinstance(step, tuple):
            index, before, after, size, *_ = step
            deviation = (2 / (before * size**2)) ** 0.5
            weights[f"features.{index}.weight"] = (
                torch.randn((after, before, size, size), generator=generator) * deviation
            )
            weights[f"features.{index}.bias"] = torch.randn(after, generator=generator) * 0.1
        elif step == "tap":
            channels.append(after)
    return weights | linear_layers(net, channels, generator)


def dense_reference(net: str, weights: dict[str, Tensor], a: np.ndarray, b: np.ndarray) -> float:
    """LPIPS as the paper's equation 1 and the package's constants have it, in float64."""
    w = {name: value.double() for name, value in weights.items()}
    mean = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).reshape(1, 3, 1, 1)
    deviation = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).reshape(1, 3, 1, 1)
    x, y = ((torch.from_numpy(p / 127.5 - 1).permute(2, 0, 1)[None] - mean) / deviation for p in (a, b))
    distance, tap = 0.0, 0
    for step in PLAN[net]:
        if isinstance(step, tuple):
            index, *_, stride, pad = step
            kernel, bias = w[f"features.{index}.weight"], w[f"features.{index}.bias"]
            x, y = (F.conv2d(p, kernel, bias, stride, pad).clamp(min=0) for p in (x, y))
        elif step == "M":
            x, y = (F.max_pool2d(p, POOL[net], 2) for p in (x, y))
        else:
            u, v = (p / (p.norm(dim=1, keepdim=True) + 1e-10) for p in (x, y))
            per_place = torch.einsum("c,bchw->bhw", w[f"lin{tap}.model.1.weight"].flatten(), (u - v) ** 2)
            distance += float(per_place.mean())
            tap += 1
    assert tap == 5
    return distance


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    for net in PLAN:
        save_file(random_weights(net), folder / f"lpips_{net}.safetensors")
    return {net: folder / f"lpips_{net}.safetensors" for net in PLAN}


@pytest.fixture(scope="module")
def models(files) -> dict[str, Lpips]:
    return {net: load_lpips(net, path) for net, path in files.items()}


def moment(position: int, picture: np.ndarray, real: np.ndarray) -> Moment:
    regions = frame_regions(np.zeros(real.shape[:2], np.uint8), None)
    return Moment(
        position=position, picture=picture, real=real, landmarks=None, real_landmarks=None, regions=regions
    )  # fmt: skip


@pytest.mark.parametrize(("net", "size"), [("alex", (48, 48)), ("alex", (39, 50)), ("vgg", (33, 36))])
def test_values_are_those_of_the_reference(models, rng, face, net, size) -> None:
    noise = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    drawn = cv2.resize(face.draw(5.0), size[::-1])
    for a, b in ((noise[0], noise[1]), (drawn, noise[0]), (drawn, through_jpeg(drawn, 40))):
        expected = dense_reference(net, random_weights(net), a, b)
        assert expected > 1e-4
        # measured 7e-8 (float32 against float64), relative 3e-6
        assert LpipsScorer(models[net]).score(a, b) == pytest.approx(expected, rel=5e-5, abs=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_identical_is_zero_and_blur_rises(models, face, net) -> None:
    real = face.draw(5.0)
    scorer = LpipsScorer(models[net])
    assert scorer.score(real.copy(), real) == 0
    scores = [scorer.score(cv2.GaussianBlur(real, (0, 0), s), real) for s in (0.5, 1.0, 2.0, 4.0)]
    assert all(later > 1.2 * earlier for earlier, later in pairwise(scores))


def test_it_is_symmetric_and_batched(models, rng) -> None:
    a, b = (torch.from_numpy(rng.uniform(-1, 1, (3, 3, 40, 48)).astype(np.float32)) for _ in range(2))
    together = models["alex"](a, b)
    assert together.shape == (3,)
    torch.testing.assert_close(models["alex"](b, a), together)
    torch.testing.assert_close(models["alex"](a[1:2], b[1:2]), together[1:2])


@pytest.mark.parametrize("net", ["alex", "vgg"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f[..., ::-1],  # channels swapped
        lambda f: np.roll(f, 1, 1),  # one pixel off
        lambda f: np.roll(f, 1, 0),
        lambda f: cv2.resize(f[1:-1, 1:-1], f.shape[1::-1]),  # cropped by a pixel
    ],
)
def test_subtle_wrongs_cost(models, face, net, spoil) -> None:
    real = face.draw(5.0)
    good = through_jpeg(real)
    scorer = LpipsScorer(models[net])
    assert scorer.score(np.ascontiguousarray(spoil(good)), real) > 1.2 * scorer.score(good, real)


def test_a_sequence_that_comes_late_or_in_another_order_costs(files, face, openings_px) -> None:
    make = make_lpips_meter("alex", files["alex"])
    frames = [face.draw(float(o)) for o in openings_px[:12]]

    def score(rendered: list[np.ndarray]) -> float:
        meter = make()
        assert isinstance(meter, Meter)
        for i, (a, b) in enumerate(zip(rendered, frames, strict=True)):
            meter.see(moment(i, through_jpeg(a), b))
        measure = meter.results()["lpips_alex"]
        assert measure.value is not None and measure.details["frames"] == 12
        return measure.value

    right = score(frames)
    assert score([frames[0], *frames[:-1]]) > 1.1 * right
    assert score([frames[i ^ 1] for i in range(12)]) > 1.1 * right


def test_rows_share_the_network_and_not_their_numbers(files, face) -> None:
    """Rows see each real frame in turn; the remembered description must be that frame's."""
    make = make_lpips_meter("alex", files["alex"])
    reals = [face.draw(o) for o in (2.0, 8.0)]
    rows = {"same": make(), "other": make()}
    for i, real in enumerate(reals):
        rows["same"].see(moment(i, real.copy(), real))
        rows["other"].see(moment(i, reals[1 - i], real))
    expected = LpipsScorer(load_lpips("alex", files["alex"])).score(reals[0], reals[1])
    assert rows["same"].results()["lpips_alex"].value == 0
    assert rows["other"].results()["lpips_alex"].value == pytest.approx(expected, rel=1e-4)


def test_every_fifth_frame_with_vgg_and_it_says_so(files, face) -> None:
    meter = make_lpips_meter("vgg", files["vgg"])()
    real, wrong = face.draw(5.0), face.draw(9.0)
    for i in range(7):
        meter.see(moment(i, real.copy() if i in (0, 5) else wrong, real))
    measure = meter.results()["lpips_vgg"]
    assert measure.value == 0 and measure.details["frames"] == 2
    assert measure.details["every"] == 5 and len(measure.details["sha256"]) == 64
    assert "every 5th frame" in meter.definitions[0].meaning


def test_without_weights_it_is_missing(monkeypatch, tmp_path, face) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path))
    meter = make_lpips_meter("vgg")()
    meter.see(moment(0, face.draw(5.0), face.draw(5.0)))
    measure = meter.results()["lpips_vgg"]
    assert measure.value is None
    assert "lpips_vgg.safetensors" in measure.unavailable
    assert "scripts/convert_weights.py" in measure.unavailable


def test_weights_in_the_folder_are_found(monkeypatch, files, face) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(files["alex"].parent))
    meter = make_lpips_meter("alex")()
    meter.see(moment(0, face.draw(5.0), face.draw(6.0)))
    assert meter.results()["lpips_alex"].value > 0


def test_tensors_that_do_not_fit_are_named(tmp_path) -> None:
    whole = random_weights("alex")
    path = tmp_path / "w.safetensors"
    wrong = {
        r"missing \['features.3.bias'\]": {k: v for k, v in whole.items() if k != "features.3.bias"},
        r"unexpected \['classifier.1.weight'\]": whole | {"classifier.1.weight": torch.zeros(2)},
        r"lin2.model.1.weight is \(1, 12": whole | {"lin2.model.1.weight": torch.zeros(1, 12, 1, 1)},
        r"features.0.bias is \(64,\) torch.float16": whole | {"features.0.bias": torch.zeros(64).half()},
    }
    for message, tensors in wrong.items():
        save_file(tensors, path)
        with pytest.raises(UserError, match=message):
            make_lpips_meter("alex", path)


def test_small_frames_are_unavailable(files) -> None:
    meter = make_lpips_meter("alex", files["alex"])()
    small = np.zeros((30, 80, 3), np.uint8)
    meter.see(moment(0, small, small))
    measure = meter.results()["lpips_alex"]
    assert measure.value is None and "31 px" in measure.unavailable and "80×30" in measure.unavailable


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_smallest_frame_is_the_stated_one(models, net) -> None:
    model = models[net]
    side = model.min_side
    model.describe(torch.zeros(1, 3, side, side))
    with pytest.raises(ValueError, match=f"must be {side} px"):
        model.describe(torch.zeros(1, 3, side - 1, side))
    with pytest.raises(RuntimeError):  # and the network itself cannot do with less
        model.features(torch.zeros(1, 3, side - 1, side))


def test_frames_become_pictures_from_minus_one_to_one() -> None:
    frame = np.zeros((2, 3, 3), np.uint8)
    frame[0, 2] = (255, 0, 51)
    picture = to_lpips(frame)
    assert picture.shape == (1, 3, 2, 3)
    assert picture[0, :, 0, 2].tolist() == pytest.approx([1.0, -1.0, -0.6], abs=1e-6)


def test_making_a_network_draws_nothing() -> None:
    state = torch.get_rng_state()
    Lpips("alex")
    assert torch.equal(torch.get_rng_state(), state)
