"""Where a result comes from: software versions, commit and hardware, and the mark that generated media carry."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from ua3dtalk.core.parallel import usable_cores
from ua3dtalk.core.version import VERSION

AI_GENERATED = f"AI-generated: synthesized speech video, made with UA-3DTalk {VERSION}"
"""The text that every synthesized video carries in its metadata."""

_NAMED = ("torch", "numpy", "numba", "mediapipe", "opencv-contrib-python-headless", "pocketsphinx", "gsplat", "av")


def provenance() -> dict[str, Any]:
    """What a result file records about its making: ``software`` (versions and commit) and ``hardware``."""
    return {"software": software(), "hardware": hardware()}


def software() -> dict[str, str | None]:
    """Versions by name: ours, its commit, Python, and what computes; None where unknown or not installed."""
    found: dict[str, str | None] = {
        "ua3dtalk": VERSION,
        "commit": git_commit(),
        "python": platform.python_version(),
    }
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_commit(root: Path | None = None) -> str | None:
    """The commit that a source checkout stands on, read from its ``.git`` folder; None for an installed package."""
    git = (root or Path(__file__).resolve().parents[3]) / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text().strip()
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    except OSError:
        return None
    return None


def hardware() -> str:
    """The processor, the cores this process may use, and the memory, in one line."""
    cores = usable_cores()
    return f"{_processor()}, {cores} cores, {memory_bytes() / 2**30:.1f} GiB"


def memory_bytes() -> int:
    """Physical memory of the machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
