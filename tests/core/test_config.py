"""Configurations survive a trip through JSON, and what does not fit is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from ua3dtalk.core.config import from_plain, to_plain
from ua3dtalk.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 1e-3
    steps: int = 10


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str = "quick"
    on: bool = True
    limit: int | None = None
    levels: tuple[int, ...] = (64, 128)
    box: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    inners: tuple[Inner, ...] = ()
    optional: Inner | None = None
    weights: dict[str, float] = field(default_factory=dict)


FULL = Outer(
    name="paper",
    on=False,
    limit=3,
    levels=(1,),
    box=(-1.5, 2.5),
    inner=Inner(rate=0.1, steps=2),
    inners=(Inner(steps=1), Inner(steps=2)),
    optional=Inner(steps=7),
    weights={"l1": 1.0},
)


@pytest.mark.parametrize("config", [Outer(), FULL])
def test_round_trip_through_json(config: Outer) -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(config)))) == config


def test_missing_fields_take_their_defaults() -> None:
    assert from_plain(Outer, {"inner": {"steps": 3}}) == Outer(inner=Inner(steps=3))


def test_whole_numbers_serve_as_floats_and_stay_floats() -> None:
    assert isinstance(from_plain(Inner, {"rate": 1}).rate, float)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"nmae": "x"}, "unknown fields"),
        ({"name": 3}, "name must be str"),
        ({"on": 1}, "on must be bool"),
        ({"limit": "many"}, "limit must be int"),
        ({"inner": {"steps": True}}, r"inner\.steps must be int"),
        ({"inner": {"stpes": 1}}, "inner has unknown fields"),
        ({"inner": 3}, "inner must be an object"),
        ({"inners": [{"steps": "x"}]}, r"inners\[0\]\.steps must be int"),
        ({"levels": 64}, "levels must be a list"),
        ({"box": [1.0]}, "box must have 2 values"),
        ({"weights": {"l1": "much"}}, r"weights\.l1 must be float"),
        ({"weights": []}, "weights must be an object"),
        ([], "Outer must be an object"),
    ],
)
def test_what_does_not_fit_is_named(plain: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_plain(Outer, plain)


def test_required_fields_are_asked_for() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Strict:
        path: str

    with pytest.raises(UserError, match=r"incomplete.*path"):
        from_plain(Strict, {})


def test_rules_across_fields_become_user_errors() -> None:
    with pytest.raises(UserError, match="steps must be positive, got 0"):
        from_plain(Ruled, {"steps": 0})


@dataclass(frozen=True, kw_only=True)
class Ruled:
    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be positive, got {self.steps}.")
