"""Files of weights: where they are looked for, what damage says, and the script that makes them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.lpips_net import Lpips, load_lpips
from ua3dtalk.evaluation.weights import find_weights, load_weights, weights_folder


@pytest.fixture(scope="module")
def script(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("scripts/convert_weights.py")


def test_the_folder_is_the_users_or_the_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    monkeypatch.setenv("UA3DTALK_WEIGHTS", "~/here")
    assert weights_folder() == Path.home() / "here"
    monkeypatch.setenv("UA3DTALK_WEIGHTS", "")
    assert weights_folder() == Path.home() / ".cache" / "ua3dtalk" / "weights"


def test_a_named_file_goes_before_the_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path / "folder"))
    assert find_weights("a.safetensors") is None
    (tmp_path / "folder").mkdir()
    there, given = tmp_path / "folder" / "a.safetensors", tmp_path / "mine.safetensors"
    there.touch()
    given.touch()
    assert find_weights("a.safetensors") == there
    assert find_weights("a.safetensors", given) == given


def test_a_named_file_that_is_not_there_is_the_users_mistake(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path))
    (tmp_path / "a.safetensors").touch()
    for wrong in (tmp_path / "other.safetensors", tmp_path):
        with pytest.raises(UserError, match="is not a file"):
            find_weights("a.safetensors", wrong)


def test_plain_safetensors_are_read_as_they_are(tmp_path) -> None:
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2])}
    save_file(tensors, tmp_path / "x.safetensors")
    found = load_weights(tmp_path / "x.safetensors")
    assert set(found) == {"a", "b"}
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_damage_is_told(tmp_path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for content in (whole[:-8], whole[:20], b"", b"no safetensors at all, but long enough"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.safetensors cannot be read as safetensors"):
            load_weights(path)
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="convert it with scripts/convert_weights.py"):
        load_weights(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(tmp_path / "absent.safetensors")


def lpips_files(folder: Path) -> tuple[dict[str, torch.Tensor], Path, Path]:
    """AlexNet and linear layers as their authors publish them."""
    generator = torch.Generator().manual_seed(0)
    template = Lpips("alex").state_dict()
    tensors = {name: torch.rand(value.shape, generator=generator) for name, value in template.items()}
    features = {name: value for name, value in tensors.items() if name.startswith("features.")}
    linear = {name: value for name, value in tensors.items() if name.startswith("lin")}
    torch.save(OrderedDict({**features, "classifier.1.weight": torch.zeros(4, 4)}), folder / "alexnet.pth")
    torch.save(OrderedDict(linear), folder / "alex.pth", _use_new_zipfile_serialization=False)
    return tensors, folder / "alexnet.pth", folder / "alex.pth"


def test_the_script_makes_lpips_weights(script, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("UA3DTALK_WEIGHTS", str(tmp_path / "weights"))
    tensors, backbone, linear = lpips_files(tmp_path)
    script.main(["lpips", "alex", str(backbone), str(linear)])
    made = find_weights("lpips_alex.safetensors")
    assert made is not None
    assert str(made) in capsys.readouterr().out
    loaded = load_lpips("alex", made).state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_the_script_refuses_files_that_do_not_fit(script, tmp_path, capsys) -> None:
    _, backbone, linear = lpips_files(tmp_path)
    out = tmp_path / "out.safetensors"
    for arguments in (
        ["lpips", "vgg", str(backbone), str(linear)],
        ["lpips", "alex", str(linear), str(backbone)],
        ["lpips", "alex", str(backbone), str(tmp_path / "absent.pth")],
        ["syncnet", str(backbone)],
    ):
        with pytest.raises(SystemExit) as stop:
            script.main([*arguments, "--out", str(out)])
        assert stop.value.code == 2
        assert "error:" in capsys.readouterr().err
        assert not out.exists()


class Trap:
    """An object whose unpickling would make a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return (Path.touch, (self._path,))


def test_the_script_runs_nothing_from_a_file(script, tmp_path, capsys) -> None:
    evil = tmp_path / "syncnet_v2.model"
    torch.save({"netcnnaud.0.weight": Trap(tmp_path / "sprung")}, evil)
    with pytest.raises(SystemExit):
        script.main(["syncnet", str(evil), "--out", str(tmp_path / "out.safetensors")])
    assert "cannot be read as tensors" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


def test_the_script_makes_syncnet_weights(script, tmp_path) -> None:
    parts = ("netcnnaud.0.weight", "netfcaud.0.bias", "netcnnlip.0.weight", "netfclip.0.bias")
    tensors = OrderedDict({name: torch.full((2, 2), float(i)) for i, name in enumerate(parts)})
    torch.save(tensors, tmp_path / "syncnet_v2.model", _use_new_zipfile_serialization=False)
    out = tmp_path / "out.safetensors"
    script.main(["syncnet", str(tmp_path / "syncnet_v2.model"), "--out", str(out)])
    found = load_weights(out)
    assert set(found) == set(parts)
    assert all(torch.equal(found[name], tensors[name]) for name in parts)
