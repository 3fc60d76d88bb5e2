"""SyncNet without its weights: cepstra, layers, crops, and the arithmetic of shifts on embeddings that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.measure import Missing, Moment
from ua3dtalk.evaluation.mfcc import mfcc
from ua3dtalk.evaluation.regions import FrameRegions
from ua3dtalk.evaluation.syncnet import SyncNet, load_syncnet
from ua3dtalk.evaluation.syncnet_meter import (
    WEIGHTS_NAME,
    SteadyCrops,
    SyncNetMeter,
    embed_sound,
    face_box,
    face_crop,
    make_syncnet_meter,
    shift_distances,
    sync_score,
)

FRAMES = 60


# --- cepstra ---------------------------------------------------------------------------------------------------------

# python_speech_features 0.6, mfcc(int16 samples, 16000), windows 0, 20 and 49 (the last one is padded).
# fmt: off
EXPECTED = np.array([
    [20.0282, 8.6135, 7.3094, 43.0901, -23.2427, -14.3905, 17.8178, -44.7129, -24.8931, 3.7442,
     -42.6169, -10.9863, 7.7366],
    [21.4816, 6.9171, -19.5335, -12.9227, -41.7225, 1.2183, 52.8649, 0.9171, 1.6671, 2.8298,
     -45.7600, -3.0376, 26.8156],
    [22.3004, -13.4784, -37.9453, 1.9823, 19.8024, 7.2089, -18.2864, -21.4962, 29.5993, 15.4958,
     -38.5225, -0.4084, 24.1593],
])
# fmt: on


def chirp() -> np.ndarray:
    t = np.arange(8100) / 16000
    return (0.4 * np.sin(2 * np.pi * (200 + 1500 * t) * t) + 0.05 * np.cos(2 * np.pi * 3100 * t)).astype(np.float32)


def test_cepstra_are_those_of_python_speech_features() -> None:
    got = mfcc(chirp())
    assert got.shape == (50, 13)
    np.testing.assert_allclose(got[[0, 20, 49]], EXPECTED, atol=1e-4)  # the expected numbers are rounded to 4 digits


def test_cepstra_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mfcc(chirp())
    monkeypatch.setattr("ua3dtalk.evaluation.mfcc._BLOCK", 7)
    np.testing.assert_array_equal(mfcc(chirp()), whole)


def test_cepstra_of_nothing_and_of_silence() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        mfcc(np.zeros(0, np.float32))
    assert np.isfinite(mfcc(np.zeros(3, np.float32))).all()


# --- network ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> SyncNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SyncNet()


def test_layers_are_those_of_the_public_weights(net: SyncNet) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    # Names and shapes of syncnet_v2.model, from github.com/joonson/syncnet_python, SyncNetModel.py.
    public = {
        "netcnnaud.0.weight": (64, 1, 3, 3),
        "netcnnaud.4.weight": (192, 64, 3, 3),
        "netcnnaud.8.weight": (384, 192, 3, 3),
        "netcnnaud.11.weight": (256, 384, 3, 3),
        "netcnnaud.14.weight": (256, 256, 3, 3),
        "netcnnaud.18.weight": (512, 256, 5, 4),
        "netcnnaud.19.running_var": (512,),
        "netfcaud.0.weight": (512, 512),
        "netfcaud.3.weight": (1024, 512),
        "netcnnlip.0.weight": (96, 3, 5, 7, 7),
        "netcnnlip.4.weight": (256, 96, 1, 5, 5),
        "netcnnlip.8.weight": (256, 256, 1, 3, 3),
        "netcnnlip.11.weight": (256, 256, 1, 3, 3),
        "netcnnlip.14.weight": (256, 256, 1, 3, 3),
        "netcnnlip.18.weight": (512, 256, 1, 6, 6),
        "netfclip.1.running_mean": (512,),
        "netfclip.3.bias": (1024,),
    }
    assert {name: shapes.get(name) for name in public} == public
    assert len(shapes) == 2 * (6 * 7 + 9)


def test_shapes(net: SyncNet) -> None:
    generator = torch.Generator().manual_seed(1)
    crops = 255 * torch.rand(1, 3, 5, 224, 224, generator=generator)
    assert net.embed_lips(crops).shape == (1, 1024)
    assert embed_sound(net, np.zeros(16000, np.float32)).shape == (20, 1024)
    assert not net.training, "batch statistics must not enter"


def test_weights_are_read_and_checked(net: SyncNet, tmp_path: Path) -> None:
    good = tmp_path / "syncnet.safetensors"
    save_file(net.state_dict(), good)
    cepstra = torch.ones(1, 1, 13, 20)
    torch.testing.assert_close(load_syncnet(good).embed_sound(cepstra), net.embed_sound(cepstra))
    old = {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(old, tmp_path / "old.safetensors")
    torch.testing.assert_close(
        load_syncnet(tmp_path / "old.safetensors").embed_sound(cepstra), net.embed_sound(cepstra)
    )
    with pytest.raises(UserError, match="cannot be read"):
        load_syncnet(tmp_path / "absent.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(good.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read"):
        load_syncnet(damaged)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("netfclip.3.bias", None, "missing ['netfclip.3.bias']"),
        ("netfclip.3.bias", torch.zeros(7), "netfclip.3.bias is (7,) torch.float32, expected (1024,)"),
        ("netfclip.3.bias", torch.full((1024,), torch.nan), "netfclip.3.bias holds values that are not finite"),
        ("extra", torch.zeros(1), "unexpected ['extra']"),
    ],
)
def test_other_tensors_are_refused(
    net: SyncNet, monkeypatch: pytest.MonkeyPatch, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    tensors = {key: value for key, value in net.state_dict().items() if key != name}
    tensors = tensors if tensor is None else tensors | {name: tensor}
    monkeypatch.setattr("ua3dtalk.evaluation.syncnet.load_weights", lambda path: tensors)
    with pytest.raises(UserError) as caught:
        load_syncnet(Path("syncnet.safetensors"))
    assert message in str(caught.value)


def test_old_files_lack_counts_of_batches(net: SyncNet, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    monkeypatch.setattr("ua3dtalk.evaluation.syncnet.load_weights", lambda path: old)
    cepstra = torch.ones(1, 1, 13, 20)
    read = load_syncnet(Path("syncnet.safetensors"))
    torch.testing.assert_close(read.embed_sound(cepstra), net.embed_sound(cepstra))


# --- crops -----------------------------------------------------------------------------------------------------------


def landmarks(x: float = 64.0, y: float = 60.0, half: float = 20.0) -> np.ndarray:
    points = np.full((478, 3), (x, y, 0), np.float32)
    points[0, :2], points[1, :2] = (x - half, y - half / 2), (x + half, y + half / 2)
    return points


def test_crop_reaches_below_the_face_and_turns_red_and_blue() -> None:
    np.testing.assert_allclose(face_box(landmarks()), [64, 60, 20])
    picture = np.zeros((160, 128, 3), np.uint8)
    picture[40:76, 36:92] = (200, 100, 50)  # 60 − 20 … 60 + 36, 64 ± 28: 56 by 56 pixels
    picture[76:96, 36:92] = (200, 100, 50)
    crop = face_crop(picture, face_box(landmarks()))
    assert crop.shape == (224, 224, 3) and (crop[2:-2, 2:-2] == (50, 100, 200)).all()


def test_beyond_the_picture_is_grey() -> None:
    crop = face_crop(np.zeros((128, 128, 3), np.uint8), face_box(landmarks(x=0.0)))
    assert (crop[:, :100] == 110).all() and (crop[:, 124:] == 0).all()


def test_one_wrong_box_does_not_shake_the_crop() -> None:
    y, x = np.mgrid[:160, :128]
    picture = np.stack([x, y, x], -1).astype(np.uint8)
    crops = SteadyCrops()
    ready = []
    for i in range(20):
        ready += crops.add(picture, landmarks(half=35.0 if i == 10 else 20.0 if i < 16 else 21.0))
        assert len(ready) == max(0, i + 1 - 6), "six pictures are held back"
    ready += crops.finish()
    assert len(ready) == 20 and crops.finish() == []
    np.testing.assert_array_equal(ready[10], ready[0])
    # Frame 13 sees frames 7 to 19: nine boxes of 20 and four of 21; frame 19 sees three of 20 and four of 21.
    np.testing.assert_array_equal(ready[13], ready[0])
    np.testing.assert_array_equal(ready[19], face_crop(picture, face_box(landmarks(half=21.0))))


# --- shifts ----------------------------------------------------------------------------------------------------------


class LoudAndBright(SyncNet):
    """Embeds brightness and loudness, which the test ties together."""

    def embed_lips(self, crops: torch.Tensor) -> torch.Tensor:
        return crops[:, 0].mean(dim=(2, 3)) / 10

    def embed_sound(self, cepstra: torch.Tensor) -> torch.Tensor:
        return cepstra[:, 0, 0].reshape(-1, 5, 4).mean(2) - 12


def levels() -> np.ndarray:
    """One number per frame, 4 to 10; never repeating."""
    return 7 + 3 * np.sin(0.9 * np.arange(FRAMES) + 3 * np.sin(0.37 * np.arange(FRAMES)))


def sound() -> np.ndarray:
    """Noise whose log energy in every frame is 12 + level."""
    noise = np.random.default_rng(0).normal(size=(FRAMES, 640))
    typical = mfcc((0.01 * noise.ravel()).astype(np.float32))[:, 0].mean()
    return (0.01 * noise * np.exp((12 + levels() - typical) / 2)[:, None]).ravel().astype(np.float32)


def moments(brightness: np.ndarray, missing: tuple[int, ...] = ()) -> list[Moment]:
    empty = np.zeros((160, 128), bool)
    regions = FrameRegions(full=empty, head=empty, head_eroded=empty, mouth=None)
    return [
        Moment(
            position=i,
            picture=np.full((160, 128, 3), round(10 * value), np.uint8),
            real=np.zeros((160, 128, 3), np.uint8),
            landmarks=None if i in missing else landmarks(),
            real_landmarks=landmarks(),
            regions=regions,
        )
        for i, value in enumerate(brightness)
    ]


def measured(brightness: np.ndarray, missing: tuple[int, ...] = ()) -> dict:
    net = LoudAndBright()
    meter = SyncNetMeter(net, embed_sound(net, sound()), {})
    for moment in moments(brightness, missing):
        meter.see(moment)
    return meter.results()


def late(frames: int) -> np.ndarray:
    """The levels, seen so many frames after they are heard."""
    return np.interp(np.arange(FRAMES) - frames, np.arange(FRAMES), levels())


@pytest.mark.parametrize("delay", [-8, -1, 0, 1, 5])
def test_planted_delay_is_found_and_positive_means_late_lips(delay: int) -> None:
    assert measured(late(delay))["sync_offset"].value == delay


def test_confidence_and_distance_do_not_see_a_constant_delay_but_the_offset_does() -> None:
    right, wrong = measured(late(0)), measured(late(3))
    # 0.83 of it are the ends: beyond them the public script compares with zeros.
    assert right["sync_d"].value == pytest.approx(wrong["sync_d"].value, abs=1.0)
    assert abs(wrong["sync_offset"].value) == 3


def test_swapped_frames_are_worse() -> None:
    order = np.random.default_rng(1).permutation(FRAMES)
    right, shuffled = measured(late(0)), measured(late(0)[order])
    assert shuffled["sync_d"].value > right["sync_d"].value + 1
    assert shuffled["sync_c"].value < right["sync_c"].value - 1


def test_frames_without_a_face_are_left_out_and_counted() -> None:
    found = measured(late(2), missing=(10, 11, 30))
    assert found["sync_offset"].value == 2
    assert found["sync_offset"].details["frames_without_face"] == 3
    assert found["sync_offset"].details["windows"] == FRAMES - 4 - 6 - 5
    nothing = measured(late(0), missing=tuple(range(FRAMES)))
    assert nothing["sync_c"].value is None and nothing["sync_c"].unavailable


def test_distances_against_a_slow_reference() -> None:
    generator = torch.Generator().manual_seed(2)
    lips, heard = torch.randn(20, 8, generator=generator), torch.randn(24, 8, generator=generator)
    got = shift_distances([None if i == 4 else lips[i] for i in range(20)], heard, max_shift=3)
    assert got is not None
    for k, shift in enumerate(range(-3, 4)):
        each = []  # of 20 windows the last one is left out, and the sound is cut to as many
        for i in (i for i in range(19) if i != 4):
            other = heard[i + shift] if 0 <= i + shift < 19 else torch.zeros(8)
            each.append(float((lips[i] - other).norm()))
        assert got[k] == pytest.approx(np.mean(each), rel=1e-4)
    score = sync_score(got)
    assert score is not None and score.distance == got.min()
    assert score.confidence == pytest.approx(np.median(got) - got.min())


def test_without_weights_or_sound_it_says_so(net: SyncNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path))
    without_weights = make_syncnet_meter(sound())()
    save_file(net.state_dict(), tmp_path / WEIGHTS_NAME)
    without_sound, short = make_syncnet_meter(None)(), make_syncnet_meter(np.zeros(3840, np.float32))()
    for meter, why in ((without_weights, "syncnet_v2"), (without_sound, "no sound"), (short, "no sound")):
        assert isinstance(meter, Missing)
        assert set(meter.results()) == {"sync_c", "sync_d", "sync_offset"}
        assert all(m.value is None and why in m.unavailable for m in meter.results().values())


def test_with_weights_and_sound_it_measures(net: SyncNet, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / WEIGHTS_NAME)
    meter = make_syncnet_meter(sound()[: 7 * 640], tmp_path / WEIGHTS_NAME)()
    for moment in moments(late(0)[:7]):
        meter.see(moment)
    found = meter.results()
    assert all(np.isfinite(m.value) and len(m.details["sha256"]) == 64 for m in found.values())
    assert found == meter.results(), "asking twice changes nothing"
