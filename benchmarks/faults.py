"""Every stage, killed, starved of disk and memory, denied its files, and run again: is anything lost or spoilt?

    python benchmarks/faults.py [--kills 200] [--starved 24] [--seed 0] [--json]

A small embedded actor goes through every command undisturbed, twice: what differs between the two runs (speeds) is not
compared. Then each command is killed (SIGKILL, SIGTERM) at random moments, begun again, killed again, until it ends by
itself. And it is starved, in four ways: files may not grow beyond a size; memory is limited; from a random moment on
the system answers every write with "no space left", or every read with "input/output error" (a filter of system calls:
Linux). After each fault every file that counts as finished must equal the undisturbed one, and so must all at the end;
and nothing but the stage's own output may have changed.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import hashlib
import importlib
import json
import os
import pkgutil
import platform
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
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
from ua3dtalk.cli.main import main as command
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import VIDEO_NAME, generate_actor, synthesize_voice
from ua3dtalk.training.loop import STATE_FILE

SMALL = ("--max-steps", "12", "--set", "init.face_count=800", "--set", "init.mouth_count=150")
SMALL += ("--set", "face.members=2", "--set", "mouth.members=2", "--set", "modes.queries=12")
"""An avatar that takes seconds: how it looks does not matter here."""
FITTED = ("subject.json", "priors.safetensors")
"""What fitting the priors writes into the subject: a stage of its own (DESIGN §2)."""
MOVING = {"subject.json", STATE_FILE}
"""Files that say how far a stage has come: they differ until it ends."""
DONE, UNEXPECTED, REFUSED = 0, 1, 2
ENDS = {DONE: "not noticed", UNEXPECTED: "unexpected", REFUSED: "a sentence"}
STARVED = ("file size", "memory", "full disk", "read error")


@dataclass(frozen=True)
class Stage:
    """One command: what it reads is in the same folder."""

    name: str
    arguments: Callable[[Path], list[str]]
    out: str
    reads: tuple[str, ...]
    marker: str
    """The file that says that the output counts; files of ``prepare`` count stage by stage."""
    fitted: bool = False
    """It finds priors that are fitted to the subject; else ``train`` fits them first, which takes longest of all."""
    at_most: int = 10
    """Kills before it may run to its end."""

    def run(self, work: Path) -> int:
        """Its exit code."""
        return command([*self.arguments(work), "--quiet"])


def _train(work: Path) -> list[str]:
    return ["train", f"{work}/subject", "--out", f"{work}/avatar", "--resume", *SMALL]


FIT = "fit priors and train"
STAGES = (
    Stage(
        "prepare",
        lambda w: ["prepare", f"{w}/actor/{VIDEO_NAME}", "--out", f"{w}/subject", "--i-have-consent"],
        "subject",
        ("actor",),
        "",
    ),
    Stage(
        "priors",
        lambda w: [
            *("priors", "train-content", f"a={w}/subject", f"b={w}/subject", f"c={w}/subject"),
            *("--out", f"{w}/prior/content.safetensors"),
        ],
        "prior",
        ("subject",),
        "content.safetensors",
    ),
    Stage(FIT, _train, "avatar", ("subject",), "avatar.json", at_most=2),
    Stage("train", _train, "avatar", ("subject",), "avatar.json", fitted=True),
    Stage(
        "synthesize",
        # A signature holds random numbers: bytes can be compared only without.
        lambda w: [
            *("synthesize", f"{w}/avatar", "--audio", f"{w}/speech.wav", "--out", f"{w}/talk/out.mp4"),
            "--no-provenance",
        ],
        "talk",
        ("avatar", "speech.wav"),
        "out.mp4",
    ),
    Stage(
        "evaluate",
        lambda w: ["evaluate", f"{w}/avatar", "--out", f"{w}/report"],
        "report",
        ("avatar", "subject"),
        "never",
    ),
    Stage(
        "export",
        lambda w: ["export", f"{w}/avatar", "--out", f"{w}/ply/head.ply"],
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
    """Of the processor, undisturbed."""
    spent: float = 0.0
    not_compared: list[str] = field(default_factory=list)


def make_world(work: Path) -> int:
    """The actor and new speech."""
    plan = (Cue(label="neutral", intensity=0.0, seconds=4.0), Cue(label="happy", intensity=1.0, seconds=4.0))
    generate_actor(work / "actor", ActorConfig(size=128, plan=plan))
    soundfile.write(work / "speech.wav", synthesize_voice("happy", 1.0, 1.2).audio, 16000)
    return DONE


# --- a system that refuses -------------------------------------------------------------------------------------------

CALLS = {
    "x86_64": {"seccomp": 317, "read error": (0, 17, 19, 295), "full disk": (1, 18, 20, 40, 285, 326)},
    "aarch64": {"seccomp": 277, "read error": (63, 67, 65, 69), "full disk": (64, 68, 66, 71, 47, 285)},
}
"""Numbers of read, pread64, readv, preadv; and of write, pwrite64, writev, sendfile, fallocate, copy_file_range."""
REASONS = {"read error": errno.EIO, "full disk": errno.ENOSPC}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def break_system(kind: str) -> None:
    """From now on, until this process ends, such system calls fail, except on standard input, output and errors.

    A filter of system calls (seccomp, man 2 seccomp) for all threads; it reaches what libraries in C and Rust read and
    write, which no wrapper of ``open`` does. ``sendfile`` and its like have their target first, as writes do.

    Raises:
        OSError: the system has no such filters.
    """
    calls = CALLS[platform.machine()]
    load, equal, at_least, answer, allow = 0x20, 0x15, 0x35, 0x06, 0x7FFF0000
    numbers = calls[kind]
    code = [(load, 0, 0, 0)]
    code += [(equal, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    code += [(answer, 0, 0, allow), (load, 0, 0, 16), (at_least, 0, 1, 3)]
    code += [(answer, 0, 0, 0x00050000 | REASONS[kind]), (answer, 0, 0, allow)]
    program = _Program(len(code), (_Instruction * len(code))(*(_Instruction(*line) for line in code)))
    system = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_filter, all_threads = 38, 1, 1
    if system.prctl(no_new_privileges, 1, 0, 0, 0) or system.syscall(
        calls["seccomp"], set_filter, all_threads, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


def break_later(kind: str, moment_s: float) -> None:
    """``break_system`` when this process has used so much of the processor."""
    while time.process_time() < moment_s:
        time.sleep(0.005)
    break_system(kind)


def start(task: Callable[[], int], log: Path, before: Callable[[], object] = lambda: None) -> int:
    """Run in a child; its number. The child leaves with the exit code of the command, 1 where it raises."""
    child = os.fork()
    if child:
        return child
    code = UNEXPECTED
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (1, 2):
        os.dup2(out, standard)
    try:
        before()
        code = task()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:  # also where nothing can be written: a child that went on would tidy up its parent's folders
        os._exit(code)


def wait(child: int, at_most_s: float | None = None) -> int | None:
    """Its exit code; None when it has used so much of the processor. On a busy machine the clock says little."""
    if at_most_s is None:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    while used_s(child) < at_most_s:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def used_s(child: int) -> float:
    """Processor time that a child has used."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
        if stage.fitted:
            for file in FITTED:
                shutil.copyfile(reference / "fitted" / file, work / "subject" / file)
        before |= digests(work / name)
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
        self.temporary = root / "temporary"
        self.temporary.mkdir(exist_ok=True)
        tempfile.tempdir = str(self.temporary)  # of all children, so that what they leave there is counted
        self.random = random.Random(seed)
        self.counts = {stage.name: Count() for stage in STAGES}
        self.want: dict[str, dict[str, str]] = {}
        self.surprises: Counter[str] = Counter()

    def undisturbed(self) -> None:
        """Every stage twice: the reference, and what differs by itself. Taken from a folder where it is known."""
        known = self.root / "undisturbed.json"
        if known.exists():
            for name, (seconds, differ) in json.loads(known.read_text()).items():
                self.counts[name].seconds, self.counts[name].not_compared = seconds, differ
            self.want = {stage.name: digests(self.reference / stage.out) for stage in STAGES}
            return
        self.reference.mkdir()
        if wait(start(lambda: make_world(self.reference), self.log)) != DONE:
            sys.exit(self.log.read_text())
        for stage in STAGES:
            runs = []
            for _ in range(2):
                lay_out(stage, self.reference, self.work)
                _, status, usage = os.wait4(start(lambda: stage.run(self.work), self.log), 0)  # noqa: B023
                if status != DONE:
                    sys.exit(f"{stage.name} fails undisturbed:\n{self.log.read_text()}")
                self.counts[stage.name].seconds = usage.ru_utime + usage.ru_stime
                runs.append(digests(self.work / stage.out))
            differ = sorted(name for name in runs[0] | runs[1] if runs[0].get(name) != runs[1].get(name))
            self.counts[stage.name].not_compared = differ
            self.want[stage.name] = runs[1]
            shutil.copytree(self.work / stage.out, self.reference / stage.out, dirs_exist_ok=True)
            if stage.name == FIT:
                (self.reference / "fitted").mkdir()
                for file in FITTED:
                    shutil.copyfile(self.work / "subject" / file, self.reference / "fitted" / file)
            sys.stderr.write(f"{stage.name}: {self.counts[stage.name].seconds:.1f} s, not compared: {differ}\n")
        known.write_text(json.dumps({n: [c.seconds, c.not_compared] for n, c in self.counts.items()}))

    def run(self, chosen: list[Stage], kills: int, starved: int) -> None:
        """Kill so often, starve so often."""
        while self.kills < kills:
            self.kill_chain(self.next_stage(chosen, kills))
            sys.stderr.write(f"kills so far: {self.kills}, faults: {self.result()['faults']}\n")
        quick = [stage for stage in chosen if stage.name != FIT] or chosen
        for turn in range(starved):
            self.starve(quick[turn % len(quick)], STARVED[turn // len(quick) % len(STARVED)])
            sys.stderr.write(f"starved so far: {turn + 1}, faults: {self.result()['faults']}\n")

    def next_stage(self, chosen: list[Stage], kills: int) -> Stage:
        """A fifth of the kills is shared evenly; the others go to who has had the least time: cheap stages get more."""
        share = kills / 5 / len(chosen)
        poor = [s for s in chosen if sum(self.counts[s.name].kills.values()) < min(share, s.at_most)]
        return min(poor or chosen, key=lambda stage: self.counts[stage.name].spent)

    def kill_chain(self, stage: Stage) -> None:
        """Begin a stage, kill it, begin again, until it ends; then look."""
        count = self.counts[stage.name]
        before = lay_out(stage, self.reference, self.work)
        killed, began = 0, time.monotonic()
        while True:
            child = start(lambda: stage.run(self.work), self.log)
            limit = self.random.uniform(0.02, 0.9) * count.seconds
            status = wait(child, limit if killed < stage.at_most else None)
            if status is not None:
                break
            how = self.random.choice((signal.SIGKILL, signal.SIGTERM))
            os.kill(child, how)
            wait(child)
            killed += 1
            count.kills[how.name] += 1
            self.look(stage, f"after {how.name}")
        count.chains += 1
        self.finish(stage, status, before, "killed")
        count.spent += time.monotonic() - began

    def starve(self, stage: Stage, kind: str) -> None:
        """Run with too little of something, or from a random moment on without it; then again with enough."""
        count = self.counts[stage.name]
        before = lay_out(stage, self.reference, self.work)
        status = wait(start(lambda: stage.run(self.work), self.log, self.trouble(stage, kind)))
        count.ends[f"{kind}: {ENDS.get(status or 0, f'died ({status})')}"] += 1
        if status != DONE:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or [""]
            self.surprises[f"{kind}, {ENDS.get(status or 0, status)}: {stage.name}: {last[0][:240]}"] += 1
        self.look(stage, f"after trouble with {kind}")
        self.finish(stage, wait(start(lambda: stage.run(self.work), self.log)), before, f"in trouble with {kind}")

    def trouble(self, stage: Stage, kind: str) -> Callable[[], object]:
        """What a child does to itself before it runs the stage."""
        if kind in REASONS:
            moment = self.random.uniform(0, 0.9) * self.counts[stage.name].seconds
            return threading.Thread(target=break_later, args=(kind, moment), daemon=True).start
        if kind == "file size":
            largest = max(p.stat().st_size for p in (self.reference / stage.out).rglob("*") if p.is_file())
            what, limit = resource.RLIMIT_FSIZE, int(self.random.uniform(0, 1) ** 3 * largest)
        else:
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            what, limit = resource.RLIMIT_AS, held + int(self.random.uniform(10, 400) * 2**20)
        return lambda: resource.setrlimit(what, (limit, limit))

    def look(self, stage: Stage, when: str) -> None:
        """What counts as finished must be as undisturbed."""
        count = self.counts[stage.name]
        bad = compare(stage, self.work, self.want[stage.name], counted(stage, self.work), count.not_compared)
        self.note(stage, [f"counts as finished but differs {when}: {name}" for name in bad])

    def finish(self, stage: Stage, status: int | None, before: dict[str, str], what: str) -> None:
        """The stage has ended by itself: all must be as undisturbed, and what it read untouched."""
        count = self.counts[stage.name]
        if status != DONE:
            self.note(stage, [f"ends with {status} after being {what}: {self.log.read_text()[-300:]}"])
            return
        want = self.want[stage.name]
        bad = compare(stage, self.work, want, sorted(want), count.not_compared)
        self.note(stage, [f"differs at the end, {what}: {name}" for name in bad])
        extra = sorted(set(digests(self.work / stage.out)) - set(want))
        self.note(stage, [f"is more at the end, {what}: {name}" for name in extra])
        after = {name: value for read in stage.reads for name, value in digests(self.work / read).items()}
        mine = {f"subject/{file}" for file in FITTED} if stage.name == FIT else set()
        touched = sorted(n for n in before | after if before.get(n) != after.get(n) and n not in mine)
        self.note(stage, [f"touched, {what}: {name}" for name in touched])
        count.ends["left-over temporary files"] += sum(1 for p in self.work.rglob(".*") if p.is_file())
        strangers = {p.name for p in self.work.iterdir()} - {stage.out, *stage.reads}
        self.note(stage, [f"new beside the output, {what}: {name}" for name in sorted(strangers)])

    def note(self, stage: Stage, faults: list[str]) -> None:
        """Keep and say them."""
        for fault in faults:
            sys.stderr.write(f"FAULT {stage.name}: {fault}\n")
        self.counts[stage.name].faults += faults

    @property
    def kills(self) -> int:
        """Over all stages."""
        return sum(sum(count.kills.values()) for count in self.counts.values())

    def result(self) -> dict[str, Any]:
        """Sums, and each stage by itself."""
        by_kind: Counter[str] = Counter()
        for count in self.counts.values():
            by_kind.update({name: found for name, found in count.ends.items() if ":" in name})
        return {
            "kills": self.kills,
            "faults": sum(len(count.faults) for count in self.counts.values()),
            "starved": dict(sorted(by_kind.items())),
            "stages": {
                name: {
                    "processor_s_undisturbed": round(count.seconds, 1),
                    "kills": dict(count.kills),
                    "runs_to_the_end_after_kills": count.chains,
                    "starved": dict(count.ends),
                    "not_compared": count.not_compared,
                    "faults": count.faults,
                }
                for name, count in self.counts.items()
            },
            "left_in_the_temporary_folder": sum(1 for _ in self.temporary.iterdir()),
            "last_words": dict(self.surprises.most_common()),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--starved", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="work here; what was undisturbed is kept for another run")
    parser.add_argument("--stages", nargs="+", default=[stage.name for stage in STAGES])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for module in pkgutil.walk_packages(ua3dtalk.__path__, "ua3dtalk."):  # children begin with everything loaded
        if not module.name.startswith(("ua3dtalk.viewer", "ua3dtalk.cli")):
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory(prefix="ua3dtalk-faults-") as folder:
        trial = Trial(options.folder or Path(folder), options.seed)
        trial.undisturbed()
        chosen = [stage for stage in STAGES if stage.name in options.stages]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):  # stopped early, it says what it has found
            trial.run(chosen, options.kills, options.starved)
        result = trial.result()
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    sys.exit(1 if result["faults"] else 0)


if __name__ == "__main__":
    main()
