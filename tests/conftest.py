"""What all tests share: one thread per process for torch, the optional shared data, seeded generators."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

# Before torch and numba are imported anywhere, for this process and those that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import soundfile
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def program() -> Callable[[str], ModuleType]:
    """Loads a benchmark or a script as a module, by its path from the project's root."""

    def load(path: str) -> ModuleType:
        name = path.removesuffix(".py").replace("/", "_")
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the project; its users are skipped where there is none."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no ../shared/data beside the project")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No certificate that a test makes goes into the user's own folder."""
    os.environ["UA3DTALK_CONFIG"] = str(tmp_path_factory.mktemp("settings"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded numpy generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def small_avatar(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with an actor of ten seconds, ``subject``, ``avatar`` of a few steps and ``speech.wav``; read-only.

    Worker processes share it: the first one makes it.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "small-avatar"
    with FileLock(f"{root}.lock"):
        if not (root / "speech.wav").exists():
            _make_small_avatar(root)
    return root


def _make_small_avatar(root: Path) -> None:
    from ua3dtalk.cli.main import main
    from ua3dtalk.subject.actor.config import ActorConfig, Cue
    from ua3dtalk.subject.actor.generate import EMOTION_NAME, VIDEO_NAME, generate_actor, synthesize_voice

    plan = (Cue(label="neutral", intensity=0.0, seconds=5.0), Cue(label="happy", intensity=1.0, seconds=5.0))
    generate_actor(root / "actor", ActorConfig(size=128, plan=plan))
    labels = str(root / "actor" / EMOTION_NAME)
    prepare = ["prepare", str(root / "actor" / VIDEO_NAME), "--out", str(root / "subject"), "--i-have-consent"]
    assert main([*prepare, "--labels", labels]) == 0
    assert main(["train", str(root / "subject"), "--out", str(root / "avatar"), "--max-steps", "40"]) == 0
    soundfile.write(root / "speech.wav", synthesize_voice("happy", 1.0, 2.0).audio, 16000)
