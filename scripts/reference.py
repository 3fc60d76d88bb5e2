"""Writes docs/commands.md and docs/python.md from the code: the commands' fields and the API's docstrings.

Run: python scripts/reference.py            (a test says when the pages are no longer current)
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ua3dtalk import api
from ua3dtalk.cli.command import Command
from ua3dtalk.cli.main import DONE, OURS, STOPPED, USAGE, Commands

DOCS = Path(__file__).resolve().parents[1] / "docs"
WRITTEN = "<!-- Written by scripts/reference.py from the code; change the code, not this page. -->\n"


def main() -> None:
    """Write both pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text)


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    return {"commands.md": commands_page(), "python.md": python_page()}


def commands_page() -> str:
    """Every command with its arguments and options."""
    shared = [_option(field, Command) for field in dataclasses.fields(Command)]
    head = f"""{WRITTEN}
# Commands

`ua3dtalk COMMAND --help` says the same. Results go to standard output; progress and messages go to standard error, with
colours only on a terminal. Exit codes: {DONE} done, {USAGE} bad usage or input (one sentence says what and what to do),
{OURS} a fault of ours (`doctor`: something needed is missing; `verify`: no mark), {STOPPED} stopped with Ctrl-C (the
sentence says how to go on).

Every command takes:

{_table(shared)}
"""
    return head + "".join(_command(name, command) for name, command in commands(Commands))


def commands(union: Any, prefix: str = "") -> Iterator[tuple[str, type[Command]]]:
    """Name and class of every command, in the order of ``--help``."""
    for member in get_args(union):
        inner, *notes = get_args(member)
        name = prefix + next(note.name for note in notes if hasattr(note, "name"))
        if get_origin(inner) in (Union, types.UnionType):
            yield from commands(inner, f"{name} ")
        else:
            yield name, inner


def _command(name: str, command: type[Command]) -> str:
    shared = {field.name for field in dataclasses.fields(Command)}
    fields = [field for field in dataclasses.fields(command) if field.name not in shared]
    rows = [_option(field, command) for field in fields]
    required = [_usage(field, command) for field in fields if field.default is dataclasses.MISSING]
    usage = " ".join(["ua3dtalk", name, *required, "[options]" if len(required) < len(rows) else ""]).strip()
    text = f"\n## {name}\n\n{inspect.getdoc(command)}\n\n```text\n{usage}\n```\n"
    text += f"\n{_table(rows)}\n" if rows else ""
    stopped = command.when_stopped
    return text + (f"\nAfter Ctrl-C: {stopped[0].lower()}{stopped[1:]}\n" if stopped != Command.when_stopped else "")


def _option(field: dataclasses.Field[Any], command: type) -> tuple[str, str, str]:
    """Option, default and description of one field."""
    default = field.default
    if default is dataclasses.MISSING:
        shown = "required"
    elif default is None or default is False or default == ():
        shown = ""
    else:
        shown = f"`{default}`"
    return f"`{_usage(field, command)}`", shown, documented(command)[field.name]


def _usage(field: dataclasses.Field[Any], command: type) -> str:
    hint = get_type_hints(command, include_extras=True)[field.name]
    notes = list(_notes(hint))
    metavar = next((note.metavar for note in notes if getattr(note, "metavar", None)), None)
    value = metavar or _value(_plain(hint))
    if any("positional" in str(note).lower() for note in notes):
        return value if field.default is dataclasses.MISSING else f"[{value}]"
    return f"--{field.name.replace('_', '-')} {value}".strip()


def _notes(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        yield from notes
        yield from _notes(inner)


def _plain(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        return next(_plain(member) for member in get_args(hint) if member is not type(None))
    return hint


def _value(hint: Any) -> str:
    """What stands for the value of an option of this type; nothing for a switch."""
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    return {bool: "", int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}.get(hint, "VALUE")


def documented(command: type) -> dict[str, str]:
    """The text below each field, of the class and those it inherits from."""
    texts: dict[str, str] = {}
    for base in reversed(command.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                texts[field.target.id] = re.sub(r"\s+", " ", text.value.value)  # type: ignore[union-attr]
    return texts


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = ["| option | default | |", "|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def python_page() -> str:
    """The API module's docstring, and every function with its own."""
    text = f"{WRITTEN}\n# Python\n\n{inspect.getdoc(api)}\n"
    for name in ("prepare", "train", "synthesize", "evaluate"):
        text += _function(name, getattr(api, name))
    text += "\n## UserError\n\n" + (inspect.getdoc(api.UserError) or "").split("\n\n")[0] + "\n"
    return text + "Its `what` says what is wrong, its `cure` what to do about it.\n"


def _function(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    parts = [_parameter(p) for p in signature.parameters.values()]
    first_named = next(i for i, p in enumerate(signature.parameters.values()) if p.kind is p.KEYWORD_ONLY)
    parts.insert(first_named, "*")
    shown = f"ua3dtalk.{name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {signature.return_annotation}"
    doc = inspect.cleandoc(function.__doc__).replace("``", "`")
    summary, *sections = re.split(r"\n\n(?=Args:|Returns:|Raises:)", doc)
    text = f"\n## {name}\n\n{summary}\n\n```text\n{shown}\n```\n"
    for section in sections:
        title, body = section.split(":\n", 1)
        entries = re.split(r"\n(?=\S)", textwrap.dedent(body))
        joined = [re.sub(r"\s+", " ", entry) for entry in entries]
        if title == "Returns":
            text += f"\nReturns: {' '.join(joined)}\n"
        else:
            items = "\n".join(f"- `{e.split(': ', 1)[0]}`: {e.split(': ', 1)[1]}" for e in joined)
            text += f"\n{items}\n" if title == "Args" else f"\nRaises:\n\n{items}\n"
    return text


def _parameter(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


if __name__ == "__main__":
    main()
