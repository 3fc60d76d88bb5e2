"""Curves and bars as SVG inside the page: they follow its colours and width, and cost nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Float

WIDTH, HEIGHT = 480, 120
LEFT, BOTTOM, TOP = 44, 18, 6
MOST_POINTS = 300
"""Longer curves keep the least and the greatest value of each of so many stretches."""

STYLE = """
svg{width:100%;max-width:44rem;height:auto;display:block;margin-bottom:.8rem}
svg text{font:11px system-ui,sans-serif;fill:currentColor}
.c0,.k0{--c:#1f6fc4}.c1,.k1{--c:#d0622a}.c2,.k2{--c:#2b8a3e}polyline{fill:none;stroke:var(--c);stroke-width:1.2}
.axis{stroke:currentColor;opacity:.35}.lost{fill:#d33;opacity:.25}.bar{fill:#1f6fc4}
.key{font-size:.85rem}.key b{color:var(--c);margin-right:.2rem}
@media(prefers-color-scheme:dark){.c0,.k0{--c:#6db3ff}.c1,.k1{--c:#ffa06b}.c2,.k2{--c:#7fd88f}.bar{fill:#6db3ff}}
"""


def curves(
    series: Mapping[str, Float[np.ndarray, " t"]],
    fps: float,
    start_s: float,
    unit: str,
    lost: Sequence[tuple[float, float]] = (),
) -> str:
    """Values over time in one frame.

    Args:
        series: By name, three at most.
        fps: Values per second.
        start_s: Time of the first.
        unit: Of the values.
        lost: Stretches to shade, seconds.
    """
    seconds = len(next(iter(series.values()))) / fps
    low = min(float(values.min()) for values in series.values())
    high = max(float(values.max()) for values in series.values())
    high = high if high - low > 1e-6 else low + 1.0
    x_of, y_of = _Axis(start_s, start_s + seconds, LEFT, WIDTH - 4), _Axis(low, high, HEIGHT - BOTTOM, TOP)
    tall = HEIGHT - BOTTOM - TOP
    shades = [
        f"<rect class=lost x={x_of(a):.1f} y={TOP} width={max(x_of(b) - x_of(a), 1):.1f} height={tall} />"
        for a, b in lost
    ]
    lines = [
        f"<polyline class=c{k} points='{_points(values, fps, start_s, x_of, y_of)}'/>"
        for k, values in enumerate(series.values())
    ]
    marks = [f"<text x={LEFT - 4} y={y_of(value) + 4:.1f} text-anchor=end>{value:.2g}</text>" for value in (low, high)]
    for time in np.linspace(start_s, start_s + seconds, 5):
        anchor = "start" if time == start_s else "end" if time >= start_s + seconds else "middle"
        marks.append(f"<text x={x_of(float(time)):.1f} y={HEIGHT - 4} text-anchor={anchor}>{time:.1f}</text>")
    floor = HEIGHT - BOTTOM
    axis = f"<line class=axis x1={LEFT} x2={WIDTH - 4} y1={floor} y2={floor} />"
    keys = " ".join(f"<span class=k{k}><b>—</b>{escape(name)}</span>" for k, name in enumerate(series))
    caption = f"<div class=key>{keys} ({escape(unit)}, over seconds)</div>"
    return f"{caption}<svg viewBox='0 0 {WIDTH} {HEIGHT}'>{''.join([*shades, axis, *lines, *marks])}</svg>"


def bars(names: Sequence[str], seconds: Sequence[float], description: str) -> str:
    """Seconds by bin."""
    most = max(*seconds, 1e-6)
    step = (WIDTH - LEFT - 4) / len(names)
    parts = []
    for k, (name, value) in enumerate(zip(names, seconds, strict=True)):
        height = (HEIGHT - BOTTOM - TOP - 14) * value / most
        x, y = LEFT + k * step, HEIGHT - BOTTOM - height
        parts.append(f"<rect class=bar x={x + 2:.1f} y={y:.1f} width={step - 4:.1f} height={max(height, 0.5):.1f} />")
        middle = x + step / 2
        parts.append(f"<text x={middle:.1f} y={HEIGHT - 4} text-anchor=middle>{escape(name)}</text>")
        parts.append(f"<text x={middle:.1f} y={y - 3:.1f} text-anchor=middle>{value:.1f}</text>")
    caption = f"<div class=key>{escape(description)}</div>"
    return f"{caption}<svg viewBox='0 0 {WIDTH} {HEIGHT}'>{''.join(parts)}</svg>"


class _Axis:
    """From values to pixels."""

    def __init__(self, low: float, high: float, first_px: int, last_px: int) -> None:
        self._low, self._scale, self._first = low, (last_px - first_px) / max(high - low, 1e-9), first_px

    def __call__(self, value: float) -> float:
        return self._first + (value - self._low) * self._scale


def _points(values: Float[np.ndarray, " t"], fps: float, start_s: float, x_of: _Axis, y_of: _Axis) -> str:
    index = np.arange(len(values))
    if len(values) > 2 * MOST_POINTS:
        parts = np.array_split(index, MOST_POINTS)
        index = np.concatenate([np.sort([p[values[p].argmin()], p[values[p].argmax()]]) for p in parts])
    return " ".join(f"{x_of(start_s + i / fps):.1f},{y_of(float(values[i])):.1f}" for i in index)
