"""``ua3dtalk``: reads the command line, runs one command, and turns what happens into a sentence and an exit code."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Union

import tyro
from rich.console import Console
from tyro.conf import FlagCreatePairsOff, subcommand

import ua3dtalk
from ua3dtalk.cli.ablate import Ablate
from ua3dtalk.cli.command import Command
from ua3dtalk.cli.console import logging_to, make_progress
from ua3dtalk.cli.demo import Demo
from ua3dtalk.cli.doctor import Doctor
from ua3dtalk.cli.evaluate import Evaluate
from ua3dtalk.cli.evaluate_video import EvaluateVideo
from ua3dtalk.cli.export import Export
from ua3dtalk.cli.import_dataset import Import
from ua3dtalk.cli.prepare import Prepare
from ua3dtalk.cli.priors import Show, TrainContent, TrainEmotion
from ua3dtalk.cli.synthesize import Synthesize
from ua3dtalk.cli.train import Train
from ua3dtalk.cli.verify import Verify
from ua3dtalk.cli.view import View
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.parallel import usable_cores

DONE, OURS, USAGE, STOPPED = 0, 1, 2, 130

PriorsCommands = Union[  # noqa: UP007
    Annotated[TrainContent, subcommand("train-content")],
    Annotated[TrainEmotion, subcommand("train-emotion")],
    Annotated[Show, subcommand("show")],
]

Commands = Union[  # noqa: UP007 - built at run time, where `|` does not take Annotated
    Annotated[Demo, subcommand("demo")],
    Annotated[Prepare, subcommand("prepare")],
    Annotated[Import, subcommand("import")],
    Annotated[Train, subcommand("train")],
    Annotated[Synthesize, subcommand("synthesize")],
    Annotated[Evaluate, subcommand("evaluate")],
    Annotated[EvaluateVideo, subcommand("evaluate-video")],
    Annotated[Ablate, subcommand("ablate")],
    Annotated[Export, subcommand("export")],
    Annotated[View, subcommand("view")],
    Annotated[Verify, subcommand("verify")],
    Annotated[
        PriorsCommands,
        subcommand("priors", description="Train what is learnt from many speakers; show what a prior was trained on."),
    ],
    Annotated[Doctor, subcommand("doctor")],
]

_NO_MEMORY = ("there is not enough memory", "Close other programs, choose a smaller size, or a shorter piece.")
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "Insufficient memory", "can't start new thread")
"""What PyTorch, OpenCV and Python's threads say in errors of other types."""
_SYSTEM_ERRORS = {
    errno.ENOSPC: ("the disk is full", "Make room and run the same command again."),
    errno.EFBIG: ("the file may not grow any larger", "Raise the limit on the size of files, or choose another disk."),
    errno.EIO: ("the disk cannot be read or written", "Check the disk; what was written whole is kept."),
    errno.ENOMEM: _NO_MEMORY,
    errno.EDQUOT: ("the disk quota is used up", "Make room and run the same command again."),
    errno.EACCES: ("permission denied", "Choose another place or change the permissions."),
    errno.EPERM: ("permission denied", "Choose another place or change the permissions."),
    errno.EROFS: ("the file system is read-only", "Choose another place to write to."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: The arguments after the program's name; None takes them from the process.

    Returns:
        The exit code: 0 done, 2 bad usage or input, 1 a fault of ours, 130 stopped by the user.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if arguments == ["--version"]:
        sys.stdout.write(f"ua3dtalk {ua3dtalk.__version__}\n")
        return DONE
    command: Command = tyro.cli(
        Commands,  # type: ignore[arg-type]
        prog="ua3dtalk",
        description="A portrait video in, a talking 3D Gaussian avatar out. Begin with `ua3dtalk demo`.",
        args=arguments,
        config=(FlagCreatePairsOff,),
    )
    return run(command)


def run(command: Command) -> int:
    """Run a parsed command and print its report; errors become one sentence on stderr."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # MediaPipe's C++ chatter
    # Threads that wait should sleep: spinning ones made two threads ten times slower than one on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if command.overlaps:
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ.setdefault(name, str(max(usable_cores() // 2, 1)))
    console = Console(stderr=True)
    silent = command.quiet or command.json
    try:
        with logging_to(console, silent=silent):
            report = command.run(make_progress(console, silent=silent))
    except UserError as error:
        return _fail(console, str(error), USAGE)
    except KeyboardInterrupt:
        return _fail(console, f"stopped. {command.when_stopped}", STOPPED)
    except OSError as error:
        if error.errno in _SYSTEM_ERRORS:
            what, cure = _SYSTEM_ERRORS[error.errno]
            return _fail(console, f"{what}{f' ({error.filename})' if error.filename else ''}. {cure}", USAGE)
        return _unexpected(console, command, error)
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
            return _fail(console, ". ".join(_NO_MEMORY), USAGE)
        return _unexpected(console, command, error)
    sys.stdout.write((json.dumps(dict(report.values)) if command.json else report.text) + "\n")
    return DONE if report.ready else OURS


def _fail(console: Console, sentence: str, code: int) -> int:
    console.print(f"ua3dtalk: {sentence}", markup=False, highlight=False, soft_wrap=True)
    return code


def _unexpected(console: Console, command: Command, error: Exception) -> int:
    if command.debug:
        console.print_exception()
    return _fail(
        console,
        f"unexpected {type(error).__name__}: {error}. This is a fault of ours; --debug shows where it happened.",
        OURS,
    )


if __name__ == "__main__":
    sys.exit(main())
