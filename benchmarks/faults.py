"""Every stage, killed, starved of disk and memory, and run again: is anything lost, or taken for good that is not?

    python benchmarks/faults.py [--kills 200] [--starved 60] [--seed 0] [--json]

A small embedded actor goes through every stage undisturbed, twice: what differs between the two runs (speeds) is not
compared. Then each stage is killed (SIGKILL, SIGTERM) at random moments, begun again, killed again, until it ends by
itself; and it is run with a limit on the size of files (the system refuses to write on, as a full disk does) or on
memory. After each fault every file that counts as finished must equal the undisturbed one, and so must all at the end;
and nothing but the stage's own output may have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GLOG_minloglevel": "3"}

import soundfile

import ua3dtalk
from ua3dtalk.core.errors import UserError
from ua3dtalk.recipes.evaluate import evaluate_avatar
from ua3dtalk.recipes.export import export_ply
from ua3dtalk.recipes.prepare import prepare_subject
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.synthesize import synthesize_video
from ua3dtalk.recipes.train import train_avatar
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import VIDEO_NAME, generate_actor, synthesize_voice
from ua3dtalk.training.loop import STATE_FILE

STEPS = 12
MOVING = {"subject.json", STATE_FILE}
"""Files that say how far a stage has come: they differ until it ends."""
DONE, REFUSED, CRASHED = 0, 2, 1


@dataclass(frozen=True)
class Stage:
    """One stage: what it reads is in the same folder."""

    name: str
    run: Callable[[Path], object]
    out: str
    reads: tuple[str, ...]
    marker: str
    """The file that says that the output counts; files of ``prepare`` count stage by stage."""


STAGES = (
    Stage("prepare", lambda w: prepare_subject(w / "actor" / VIDEO_NAME, w / "subject"), "subject", ("actor",), ""),
    Stage(
        "train",
        lambda w: train_avatar(w / "subject", w / "avatar", preset("quick", max_steps=STEPS), resume=True),
        "avatar",
        ("subject",),
        "avatar.json",
    ),
    Stage(
        "synthesize",
        lambda w: synthesize_video(w / "avatar", w / "speech.wav", w / "talk" / "out.mp4"),
        "talk",
        ("avatar", "speech.wav"),
        "out.mp4",
    ),
    Stage("evaluate", lambda w: evaluate_avatar(w / "avatar", w / "report"), "report", ("avatar", "subject"), "never"),
    Stage(
        "export",
        lambda w: export_ply(w / "avatar", w / "ply" / "head.ply"),
        "ply",
        ("avatar", "subject"),
        "head.ply",
    ),
)


@dataclass
class Count:
    """What happened to one stage."""

    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    chains: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    not_compared: list[str] = field(default_factory=list)


def make_world(work: Path) -> None:
    """The actor and new speech."""
    plan = (Cue(label="neutral", intensity=0.0, seconds=4.0), Cue(label="happy", intensity=1.0, seconds=4.0))
    generate_actor(work / "actor", ActorConfig(size=128, plan=plan))
    soundfile.write(work / "speech.wav", synthesize_voice("happy", 1.0, 1.2).audio, 16000)


def start(task: Callable[[], object], log: Path, limits: dict[int, int] | None = None) -> int:
    """Run in a child; its number. The child leaves with 0 done, 2 refused with a sentence, 1 anything else."""
    child = os.fork()
    if child:
        return child
    code = CRASHED
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        try:
            for kind, limit in (limits or {}).items():
                resource.setrlimit(kind, (limit, limit))
            task()
            code = DONE
        except UserError as error:
            out.write(f"refused: {error}\n")
            code = REFUSED
        except BaseException:
            out.write(traceback.format_exc())
        out.flush()
        os._exit(code)


def wait(child: int, until: float | None = None) -> int | None:
    """Its status; None when time ran out."""
    if until is None:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def digests(folder: Path) -> dict[str, str]:
    """Hash of every file that is not hidden, by its path below the folder (or the file itself)."""
    files = [folder] if folder.is_file() else [p for p in folder.rglob("*") if p.is_file()]
    shown = [p for p in files if not any(part.startswith(".") for part in p.relative_to(folder.parent).parts)]
    return {str(p.relative_to(folder.parent)): hashlib.sha256(p.read_bytes()).hexdigest() for p in shown}


def lay_out(stage: Stage, reference: Path, work: Path) -> dict[str, str]:
    """A fresh folder with what the stage reads; the hashes of it."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    before: dict[str, str] = {}
    for name in stage.reads:
        if (reference / name).is_dir():
            shutil.copytree(reference / name, work / name)
        else:
            shutil.copyfile(reference / name, work / name)
        before |= digests(work / name)
    if stage.name == "train":  # it fits the priors of the subject first
        (work / "subject" / "priors.safetensors").unlink()
    return before


def counted(stage: Stage, work: Path) -> list[str]:
    """Files of an interrupted output that say of themselves that they are finished."""
    out = work / stage.out
    if stage.name == "prepare":
        index = out / "subject.json"
        stages = json.loads(index.read_text())["stages"] if index.exists() else {}
        names = {name for record in stages.values() for name in (*record["files"], *record["folders"])}
        found = [name for name in digests(out) if name.split("/")[1] in names] if out.exists() else []
        return found
    return [name for name in digests(out) if Path(name).name not in MOVING] if (out / stage.marker).exists() else []


def compare(stage: Stage, work: Path, want: dict[str, str], names: list[str], skip: list[str]) -> list[str]:
    """Files among ``names`` that are not as undisturbed."""
    found = digests(work / stage.out)
    return [name for name in names if name not in skip and found.get(name) != want.get(name)]


class Trial:
    """One run of the benchmark."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.work, self.reference = root, root / "work", root / "reference"
        self.log = root / "log.txt"
        self.random = random.Random(seed)
        self.counts = {stage.name: Count() for stage in STAGES}
        self.want: dict[str, dict[str, str]] = {}

    def undisturbed(self) -> None:
        """Every stage twice: the reference, and what differs by itself."""
        self.reference.mkdir()
        if wait(start(lambda: make_world(self.reference), self.log)) != DONE:
            sys.exit(self.log.read_text())
        for stage in STAGES:
            runs = []
            for _ in range(2):
                lay_out(stage, self.reference, self.work) if stage.name != "train" else self._lay_train(stage)
                began = time.monotonic()
                if wait(start(lambda: stage.run(self.work), self.log)) != DONE:  # noqa: B023
                    sys.exit(f"{stage.name} fails undisturbed:\n{self.log.read_text()}")
                self.counts[stage.name].seconds = time.monotonic() - began
                runs.append(digests(self.work / stage.out))
            differ = sorted(name for name in runs[0] | runs[1] if runs[0].get(name) != runs[1].get(name))
            self.counts[stage.name].not_compared = differ
            self.want[stage.name] = runs[1]
            shutil.copytree(self.work / stage.out, self.reference / stage.out)
            if stage.name == "train":
                shutil.copyfile(
                    self.work / "subject" / "priors.safetensors", self.reference / "subject" / "priors.safetensors"
                )
            sys.stderr.write(f"{stage.name}: {self.counts[stage.name].seconds:.1f} s, not compared: {differ}\n")

    def _lay_train(self, stage: Stage) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        shutil.copytree(self.reference / "subject", self.work / "subject")

    def kill_chain(self, stage: Stage, at_most: int) -> None:
        """Begin a stage, kill it, begin again, until it ends; then look."""
        count = self.counts[stage.name]
        before = lay_out(stage, self.reference, self.work)
        killed = 0
        while True:
            child = start(lambda: stage.run(self.work), self.log)
            limit = self.random.uniform(0.02, 0.8) * count.seconds
            status = wait(child, time.monotonic() + limit if killed < at_most else None)
            if status is None:
                how = self.random.choice((signal.SIGKILL, signal.SIGTERM))
                os.kill(child, how)
                wait(child)
                killed += 1
                count.kills[how.name] += 1
                bad = compare(stage, self.work, self.want[stage.name], counted(stage, self.work), count.not_compared)
                self.note(count, stage, [f"counts as finished but differs after {how.name}: {name}" for name in bad])
                continue
            break
        count.chains += 1
        self.finish(stage, status, before, "killed")

    def starve(self, stage: Stage, kind: str) -> None:
        """Run with too little disk or memory, then again with enough."""
        count = self.counts[stage.name]
        before = lay_out(stage, self.reference, self.work)
        if kind == "disk":
            largest = max(p.stat().st_size for p in (self.reference / stage.out).rglob("*") if p.is_file())
            limits = {resource.RLIMIT_FSIZE: int(self.random.uniform(0, 1) ** 3 * largest)}
        else:
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            limits = {resource.RLIMIT_AS: held + int(self.random.uniform(10, 400) * 2**20)}
        status = wait(start(lambda: stage.run(self.work), self.log, limits))
        count.ends[f"{kind}: {status}"] += 1
        if status == CRASHED:
            last = self.log.read_text().strip().splitlines()[-1:] or [""]
            count.ends[f"{kind}: {last[0][:110]}"] += 1
        bad = compare(stage, self.work, self.want[stage.name], counted(stage, self.work), count.not_compared)
        self.note(count, stage, [f"counts as finished but differs, starved of {kind}: {name}" for name in bad])
        self.finish(stage, wait(start(lambda: stage.run(self.work), self.log)), before, f"starved of {kind}")

    def finish(self, stage: Stage, status: int | None, before: dict[str, str], what: str) -> None:
        """The stage has ended by itself: all must be as undisturbed, and what it read untouched."""
        count = self.counts[stage.name]
        if status != DONE:
            self.note(count, stage, [f"ends with {status} after being {what}: {self.log.read_text()[-300:]}"])
            return
        want = self.want[stage.name]
        bad = compare(stage, self.work, want, sorted(want), count.not_compared)
        self.note(count, stage, [f"differs at the end, {what}: {name}" for name in bad])
        extra = sorted(set(digests(self.work / stage.out)) - set(want))
        self.note(count, stage, [f"is more at the end, {what}: {name}" for name in extra])
        after = {name: value for read in stage.reads for name, value in digests(self.work / read).items()}
        touched = sorted(n for n in before | after if before.get(n) != after.get(n) and n not in PRIORS_OF_TRAIN)
        self.note(count, stage, [f"touched, {what}: {name}" for name in touched])
        hidden = [p for p in self.work.rglob(".*") if p.exists()]
        count.ends["left-over temporary files"] += len(hidden)
        strangers = {p.name for p in self.work.iterdir()} - {stage.out, *stage.reads}
        self.note(count, stage, [f"new beside the output, {what}: {name}" for name in sorted(strangers)])

    def note(self, count: Count, stage: Stage, faults: list[str]) -> None:
        for fault in faults:
            sys.stderr.write(f"FAULT {stage.name}: {fault}\n")
        count.faults += faults

    def result(self) -> dict[str, Any]:
        """Sums, and each stage by itself."""
        kills = sum(sum(count.kills.values()) for count in self.counts.values())
        return {
            "kills": kills,
            "faults": sum(len(count.faults) for count in self.counts.values()),
            "stages": {
                name: {
                    "seconds_undisturbed": round(count.seconds, 1),
                    "kills": dict(count.kills),
                    "runs_to_the_end_after_kills": count.chains,
                    "starved": dict(count.ends),
                    "not_compared": count.not_compared,
                    "faults": count.faults,
                }
                for name, count in self.counts.items()
            },
        }


PRIORS_OF_TRAIN = {"subject/subject.json", "subject/priors.safetensors"}
"""``train`` writes them into the subject: a stage of its own (DESIGN §2)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--starved", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=[stage.name for stage in STAGES])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for module in pkgutil.walk_packages(ua3dtalk.__path__, "ua3dtalk."):  # children begin with everything loaded
        if not module.name.startswith(("ua3dtalk.viewer", "ua3dtalk.cli.main")):
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-faults-") as folder:
        trial = Trial(Path(folder), options.seed)
        trial.undisturbed()
        chosen = [stage for stage in STAGES if stage.name in options.stages]
        turn = 0
        while trial.result()["kills"] < options.kills:
            trial.kill_chain(chosen[turn % len(chosen)], at_most=5)
            turn += 1
            sys.stderr.write(f"kills so far: {trial.result()['kills']}, faults: {trial.result()['faults']}\n")
        for turn in range(options.starved):
            trial.starve(chosen[turn % len(chosen)], ("disk", "memory")[turn // len(chosen) % 2])
        result = trial.result()
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
