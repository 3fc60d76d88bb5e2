"""Tensors on disk: safetensors with a JSON header of our own. Nothing is unpickled."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path

SCHEMA_VERSION = 1


def _digest(tensors: Mapping[str, Tensor], kind: str, header: str) -> str:
    """SHA-256 of everything that a file says: its kind, its header and every tensor."""
    digest = hashlib.sha256(f"{kind};{header};".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], *, kind: str, header: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON header in one atomic step.

    Args:
        path: Target, ``*.safetensors``.
        tensors: Name to tensor, any device.
        kind: What the file holds, e.g. ``"avatar.branch"``; checked when it is read.
        header: JSON-serialisable facts (configuration, provenance).

    Raises:
        OSError: the disk is full or cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(header))
    meta = {
        "schema": str(SCHEMA_VERSION),
        "kind": kind,
        "header": text,
        "sha256": _digest(plain, kind, text),
    }
    with atomic_path(path) as partial:
        try:
            save_file(plain, partial, metadata=meta)
            _sort_metadata(partial)
        except SafetensorError as error:  # it wraps what the system said: a full disk must read as one
            raise _system_error(error, path) from error


def _sort_metadata(path: Path) -> None:
    """Same tensors, same bytes: the library writes the metadata in an order that changes from process to process."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        assert len(text) == length, "the library writes JSON in another way"
        file.seek(8)
        file.write(text)


def _system_error(error: SafetensorError, path: Path) -> OSError:
    found = re.search(r"os error (\d+)", str(error))
    code = int(found[1]) if found else errno.EIO
    return OSError(code, os.strerror(code), str(path))


def load_tensors(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_tensors`` wrote, verified.

    Returns:
        The tensors by name (CPU) and the header.

    Raises:
        UserError: missing, damaged, of another kind or schema, or altered since it was written.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist.", "Run the stage that writes it first.")
    try:
        with safe_open(path, framework="pt") as handle:
            meta = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}).", "It is damaged; make it again.") from error
    if meta.get("schema") != str(SCHEMA_VERSION):
        raise UserError(
            f"{path} has schema {meta.get('schema')!r}, this version reads {str(SCHEMA_VERSION)!r}.",
            "Make it again with this version.",
        )
    found, header = meta.get("kind", ""), meta.get("header", "{}")
    if meta.get("sha256") != _digest(tensors, found, header):
        raise UserError(f"{path} was altered after it was written (hash mismatch).", "Make it again.")
    if found != kind:
        raise UserError(f"{path} holds {found!r}, expected {kind!r}.", "Check the path.")
    return tensors, json.loads(header)


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a module built from the same configuration; every name, shape and dtype must agree.

    Raises:
        UserError: a tensor is missing, extra, or of another shape or dtype; the message names it.
    """
    template = module.state_dict()
    missing, extra = sorted(set(template) - set(tensors)), sorted(set(tensors) - set(template))
    if missing or extra:
        raise UserError(f"{where} does not fit: missing {missing[:3]}, unexpected {extra[:3]}.", "Make it again.")
    for name, want in template.items():
        got = tensors[name]
        if got.shape != want.shape or got.dtype != want.dtype:
            raise UserError(
                f"{where}: {name} is {tuple(got.shape)} {got.dtype}, expected {tuple(want.shape)} {want.dtype}.",
                "It was made with another configuration.",
            )
    module.load_state_dict(dict(tensors), strict=True)
