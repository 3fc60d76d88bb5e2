"""Configurations are nested frozen dataclasses; here they go to and from plain JSON values."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ua3dtalk.core.errors import UserError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A configuration as JSON-serialisable values (dict, list, str, int, float, bool, None)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    return str(value) if isinstance(value, Path) else value


def from_plain(cls: type[T], plain: Any, where: str = "") -> T:
    """The dataclass ``cls`` from what ``to_plain`` made of it.

    Raises:
        UserError: a field is unknown, missing, of another type or refused by the class; the message names its path.
    """
    if not isinstance(plain, Mapping):
        raise UserError(f"{where or cls.__name__} must be an object of named fields, got {type(plain).__name__}.")
    hints = typing.get_type_hints(cls)
    names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(plain) - names)
    if unknown:
        raise UserError(f"{where or cls.__name__} has unknown fields {unknown}.", "It was written by another version.")
    kwargs = {name: _value(hints[name], plain[name], f"{where}.{name}".lstrip(".")) for name in plain}
    try:
        return cls(**kwargs)
    except TypeError as error:
        raise UserError(f"{where or cls.__name__} is incomplete: {error}.") from error
    except ValueError as error:
        raise UserError(f"{where or cls.__name__}: {error}") from error


def _value(hint: Any, plain: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in args if a is not type(None)]
        if plain is None and len(options) < len(args):
            return None
        return _value(options[0], plain, where) if len(options) == 1 else plain
    if origin is typing.Literal:
        if plain not in args:
            raise UserError(f"{where} must be one of {', '.join(map(str, args))}, got {plain!r}.")
        return plain
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, plain, where)
    if origin is tuple:
        return _tuple(args, plain, where)
    if origin is dict:
        if not isinstance(plain, Mapping):
            raise UserError(f"{where} must be an object, got {plain!r}.")
        return {key: _value(args[1], value, f"{where}.{key}") for key, value in plain.items()}
    if hint is Path and isinstance(plain, str):
        return Path(plain)
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool):
        if abs(plain) > sys.float_info.max:
            raise UserError(f"{where} is too large for a number with a point.")
        return float(plain)
    if hint in (int, float, str, bool) and (not isinstance(plain, hint) or (hint is int and isinstance(plain, bool))):
        raise UserError(f"{where} must be {hint.__name__}, got {plain!r}.")
    return plain


def _tuple(args: tuple[Any, ...], plain: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(plain, (list, tuple)):
        raise UserError(f"{where} must be a list, got {plain!r}.")
    hints = args[:1] * len(plain) if len(args) == 2 and args[1] is Ellipsis else args
    if len(hints) != len(plain):
        raise UserError(f"{where} must have {len(hints)} values, got {len(plain)}.")
    return tuple(_value(hint, v, f"{where}[{i}]") for i, (hint, v) in enumerate(zip(hints, plain, strict=True)))
