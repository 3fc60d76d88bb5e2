"""A tensor file is what was written, or it is refused in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ua3dtalk.core.checkpoint import load_into, load_tensors, save_tensors
from ua3dtalk.core.errors import UserError

TENSORS = {
    "means": torch.arange(12, dtype=torch.float32).reshape(4, 3),
    "count": torch.tensor(3),
    "mask": torch.tensor([True, False]),
    "none": torch.zeros(0, 3),
    "half": torch.ones(2, dtype=torch.bfloat16),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "branch.safetensors"
    save_tensors(target, TENSORS, kind="avatar.branch", header={"steps": 5, "name": "ä"})
    return target


def test_round_trip(path: Path) -> None:
    tensors, header = load_tensors(path, kind="avatar.branch")
    assert header == {"steps": 5, "name": "ä"}
    assert tensors.keys() == TENSORS.keys()
    for name, want in TENSORS.items():
        assert tensors[name].dtype == want.dtype
        assert torch.equal(tensors[name], want)
    assert os.listdir(path.parent) == [path.name]


def test_same_tensors_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """The library orders metadata by a hash that changes with the process; we write them in order."""
    headers = []
    for i in range(4):
        save_tensors(tmp_path / f"{i}.safetensors", TENSORS, kind="k", header={"ä": [i]})
        data = (tmp_path / f"{i}.safetensors").read_bytes()
        headers.append(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"])
    assert all(list(found) == sorted(found) for found in headers)


def test_views_and_shared_memory_are_written(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "a.safetensors", {"a": base, "t": base.T}, kind="k", header={})
    tensors, _ = load_tensors(tmp_path / "a.safetensors", kind="k")
    assert torch.equal(tensors["t"], base.T)


def test_gradients_are_not_in_the_way(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"a": nn.Parameter(torch.ones(2))}, kind="k", header={})
    tensors, _ = load_tensors(tmp_path / "a.safetensors", kind="k")
    assert not tensors["a"].requires_grad


def test_another_kind_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match=r"holds 'avatar\.branch', expected 'priors'"):
        load_tensors(path, kind="priors")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.safetensors does not exist"):
        load_tensors(tmp_path / "gone.safetensors", kind="k")


def change(path: Path, edit: dict[str, str]) -> None:
    """Rewrite the metadata of a file, its tensors untouched."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + length])
    head["__metadata__"].update(edit)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"schema": "99"}, "has schema '99', this version reads '1'"),
        ({"header": '{"steps": 6}'}, "was altered after it was written"),
        ({"kind": "other"}, "was altered after it was written"),
        ({"sha256": "0"}, "was altered after it was written"),
    ],
)
def test_altered_metadata_is_refused(path: Path, edit: dict[str, str], message: str) -> None:
    change(path, edit)
    with pytest.raises(UserError, match=message):
        load_tensors(path, kind="avatar.branch")


def test_one_flipped_bit_is_found(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UserError, match="altered"):
        load_tensors(path, kind="avatar.branch")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_files_are_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        load_tensors(path, kind="avatar.branch")


def test_a_folder_and_a_foreign_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_tensors(tmp_path, kind="k")
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match="has schema None"):
        load_tensors(tmp_path / "foreign.safetensors", kind="k")


def test_load_into_copies_what_fits() -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    load_into(target, source.state_dict(), "x")
    assert torch.equal(source.weight, target.weight)


@pytest.mark.parametrize(
    ("change_to", "message"),
    [
        ({"weight": None}, r"missing \['weight'\]"),
        ({"extra": torch.ones(1)}, r"unexpected \['extra'\]"),
        ({"weight": torch.ones(2, 4)}, r"weight is \(2, 4\) .* expected \(2, 3\)"),
        ({"bias": torch.ones(2, dtype=torch.float64)}, "bias is .*float64, expected"),
    ],
)
def test_load_into_names_what_does_not_fit(change_to: dict[str, torch.Tensor | None], message: str) -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    tensors = {name: t for name, t in {**module.state_dict(), **change_to}.items() if t is not None}
    with pytest.raises(UserError, match=message):
        load_into(module, tensors, "face.safetensors")
    assert torch.equal(module.weight, before)
