"""``ua3dtalk doctor``: what is installed, which back-end computes, what is missing and how to get it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from ua3dtalk.cli.command import Command, Report
from ua3dtalk.core.progress import Progress

SETUP = "run `make setup`"
FREE_GIB = 5.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    name: str
    """What was looked at."""
    found: str
    """What is there: a version, a number, or the error."""
    ok: bool = True
    """Whether it is as it should be."""
    required: bool = True
    """Whether anything needs it; without an optional one only a named feature is missing."""
    cure: str = ""
    """How to get it, when it is not there."""

    def line(self) -> str:
        """The finding as text."""
        mark = "ok     " if self.ok else "MISSING" if self.required else "absent "
        return f"{mark}  {self.name:<16} {self.found}" + ("" if self.ok or not self.cure else f"\n{'':27}{self.cure}")


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Say what is installed, which back-end computes, what is missing and how to get it."""

    def run(self, progress: Progress) -> Report:
        findings = [finding for look in LOOKS for finding in examine(look)]
        missing = [finding.name for finding in findings if finding.required and not finding.ok]
        verdict = f"Missing: {', '.join(missing)}." if missing else "Everything that is needed is here."
        text = "\n".join([*(finding.line() for finding in findings), "", verdict])
        values = {"ready": not missing, "findings": [asdict(finding) for finding in findings]}
        return Report(text, values, ready=not missing)


def examine(look: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings of one look; what it raises becomes a finding, so that one broken part hides no other."""
    try:
        return look()
    except Exception as error:
        name = look.__name__.removeprefix("look_at_").replace("_", " ")
        return [Finding(name=name, found=f"{type(error).__name__}: {error}", ok=False, cure=SETUP)]


def look_at_machine() -> list[Finding]:
    """Our version, Python, processor, memory and room on the disk."""
    from ua3dtalk.core.provenance import hardware, software

    ours = software()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return [
        Finding(name="ua3dtalk", found=f"{ours['ua3dtalk']}, commit {(ours['commit'] or 'unknown')[:12]}"),
        Finding(
            name="python",
            found=f"{platform.python_version()} ({sys.executable})",
            ok=(3, 10) <= sys.version_info[:2] <= (3, 12),
            cure="MediaPipe's model-carrying release has wheels for Python 3.10 to 3.12: make PYTHON=python3.12 setup",
        ),
        Finding(name="machine", found=f"{hardware()}, {platform.system()} {platform.machine()}"),
        Finding(
            name="disk",
            found=f"{free:.1f} GiB free here",
            ok=free >= FREE_GIB,
            required=False,
            cure=f"a ten-minute subject at 512 pixels takes up to {FREE_GIB:.0f} GiB",
        ),
    ]


def look_at_torch() -> list[Finding]:
    """PyTorch, its threads, CUDA, and the rasterizer that will be used."""
    torch = importlib.import_module("torch")
    has_gpu = torch.cuda.is_available()
    gpu = torch.cuda.get_device_name(0) if has_gpu else "none usable"
    return [
        Finding(name="torch", found=f"{torch.__version__}, {torch.get_num_threads()} threads"),
        Finding(
            name="CUDA", found=gpu, ok=has_gpu, required=False, cure="not needed: everything runs on the processor"
        ),
        Finding(
            name="rasterizer",
            found=f"gsplat {metadata.version('gsplat')}" if has_gpu else f"numba {metadata.version('numba')}",
        ),
    ]


def look_at_face_tracker() -> list[Finding]:
    """MediaPipe with the models inside its wheel, and the one OpenCV build."""
    package = importlib.util.find_spec("mediapipe")
    if package is None or package.origin is None:
        return [Finding(name="mediapipe", found="not installed", ok=False, cure=SETUP)]
    model = Path(package.origin).parent / "modules" / "face_landmark" / "face_landmark_with_attention.tflite"
    importlib.import_module("mediapipe.python.solutions.face_mesh")
    builds = [d.metadata["Name"] for d in metadata.distributions() if (d.metadata["Name"] or "").startswith("opencv")]
    return [
        Finding(
            name="mediapipe",
            found=metadata.version("mediapipe") if model.is_file() else f"without {model.name}",
            ok=model.is_file(),
            cure=SETUP,
        ),
        Finding(
            name="opencv",
            found=", ".join(f"{name} {metadata.version(name)}" for name in builds) or "not installed",
            ok=len(builds) == 1,
            cure=SETUP if not builds else "only one build works at a time: remove all, then " + SETUP,
        ),
    ]


def look_at_phone_recognizer() -> list[Finding]:
    """PocketSphinx and its US-English acoustic model."""
    sphinx = importlib.import_module("pocketsphinx")
    model = Path(sphinx.get_model_path("en-us/en-us"))
    found = f"{metadata.version('pocketsphinx')}, US-English model"
    return [Finding(name="pocketsphinx", found=found if model.is_dir() else f"no model in {model}", ok=model.is_dir())]


def look_at_media() -> list[Finding]:
    """PyAV with the encoders of the videos that we write."""
    av = importlib.import_module("av")
    absent = []
    for name in ("libx264", "aac"):
        try:
            av.codec.Codec(name, "w")
        except ValueError:
            absent.append(name)
    found = f"av {av.__version__}" + (f" without {', '.join(absent)}" if absent else ", H.264 and AAC")
    return [Finding(name="video and audio", found=found, ok=not absent, cure=SETUP)]


def look_at_kernel_cache() -> list[Finding]:
    """Whether compiled kernels can be kept; without it every run compiles them again."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR", Path(__file__).resolve().parents[1] / "render"))
    ok = os.access(folder if folder.exists() else folder.parent, os.W_OK)
    cure = "set NUMBA_CACHE_DIR to a folder that can be written, or every run compiles for about 30 s"
    return [Finding(name="kernel cache", found=str(folder), ok=ok, required=False, cure=cure)]


def look_at_extras() -> list[Finding]:
    """Optional packages and what each is for."""
    extras = {
        "viser": ("viewer", "the live viewer in the browser"),
        "torchmetrics": ("metrics", "reference values of the metrics in the tests"),
        "transformers": ("speech", "HuBERT or wav2vec 2.0 as the speech encoder"),
    }
    findings = []
    for name, (extra, purpose) in extras.items():
        here = importlib.util.find_spec(name) is not None
        found = f"{metadata.version(name)}, {purpose}" if here else purpose
        cure = f"pip install 'ua3dtalk[{extra}]'"
        findings.append(Finding(name=name, found=found, ok=here, required=False, cure=cure))
    return findings


LOOKS = (
    look_at_machine,
    look_at_torch,
    look_at_face_tracker,
    look_at_phone_recognizer,
    look_at_media,
    look_at_kernel_cache,
    look_at_extras,
)
