"""Writes .ci/lock-X.Y.txt: the version of everything that this environment's requirements, and theirs, brought in.

Run: make lock            (in an environment that passes the tests; X.Y is its Python)

Only what pyproject.toml asks for, directly or not, is listed: what else is installed here does not matter. Builds of
one version (+cpu) are not told apart, and packages for other machines (CUDA's) are not known here, so they stay open.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_ITS_OWN = {"mediapipe"}  # installed with --no-deps, see Makefile


def main() -> None:
    """Write the lock of this Python."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"# Python {python}. Written by `make lock`; .ci/run installs exactly this."]
    lines += [f"{name}=={version}" for name, version in sorted(closure(asked("dev", "tracking")).items())]
    (ROOT / ".ci" / f"lock-{python}.txt").write_text("\n".join(lines) + "\n")


def asked(*extras: str) -> Iterator[Requirement]:
    """What pyproject.toml asks for, with some of its extras and those that they name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for e in extras for text in project["optional-dependencies"][e])]
    for wanted in map(Requirement, texts):
        if wanted.name == project["name"]:
            yield from asked(*sorted(wanted.extras))
        else:
            yield wanted


def closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Name and installed version of all that is required, directly or not."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(wanted.name), extra) for wanted in requirements for extra in ("", *wanted.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            there = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another machine
        found[name] = there.version.partition("+")[0]
        if name in WITHOUT_ITS_OWN:
            continue
        for wanted in map(Requirement, there.requires or []):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(wanted.name), more) for more in ("", *wanted.extras)]
    return found


if __name__ == "__main__":
    main()
