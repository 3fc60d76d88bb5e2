"""What all commands share: the common switches, the report they hand back, and how a finished report reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ua3dtalk.core.progress import Progress


@dataclass(frozen=True)
class Report:
    """What a command has to say when it is done.

    Args:
        text: For people: where the result is and what to look at.
        values: For scripts: JSON-serialisable facts.
        ready: False when the command ran but found something wanting (doctor); the exit code is 1 then.
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    ready: bool = True


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: its fields are its arguments, ``run`` does the work by calling one function of the library."""

    quiet: bool = False
    """Say nothing but errors and the result."""
    json: bool = False
    """Print the result as one JSON object; no bars."""
    debug: bool = False
    """Show the full traceback of an unexpected error."""

    overlaps: ClassVar[bool] = False
    """Whether parts of the work run at the same time, each with its share of the cores."""
    when_stopped: ClassVar[str] = "Nothing half-written was left; run the same command again."

    def run(self, progress: Progress) -> Report:
        """Do it.

        Raises:
            UserError: the input or the usage is wrong.
        """
        raise AssertionError(f"{type(self).__name__} does not say what it does")
