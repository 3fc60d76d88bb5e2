"""The page of an evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ua3dtalk.core.page import data_url, document, facts_table, number, picture, table
from ua3dtalk.evaluation.measure import Measure
from ua3dtalk.evaluation.regions import REGIONS
from ua3dtalk.evaluation.results import Evaluation, RowResult, Score

ROW_MEANINGS = {
    "real": "the held-out video itself after one more JPEG coding: the ceiling, and the noise of the measuring",
    "static": "the avatar with its motion off, in the true pose: the floor",
    "expression": "the avatar driven by the tracked expression of the held-out frames: what perfect speech could reach",
    "driven": "the avatar driven by the sound, with true head pose and true upper-face signals",
    "audio-only": "the avatar driven by the sound alone; of the held-out frames it gets only the head pose",
    "video": "the video that was given, as it is",
}
IDEALS = {"higher": "more", "lower": "less", "one": "1", "zero": "0", "real": "as the real row"}
MAX_EMBEDDED_VIDEO = 12_000_000
"""A longer video stays a file beside the page, bytes."""
TRUSTED_R = 0.3
"""Below this correlation the best lag is chance, and the page does not show it."""


def render_page(
    evaluation: Evaluation,
    pictures: Mapping[str, tuple[str, bytes]],
    video: Path,
    facts: Mapping[str, Any],
    regions: Mapping[str, str] = REGIONS,
    speed: Mapping[str, Any] | None = None,
) -> str:
    """The whole page.

    Args:
        evaluation: Results.
        pictures: By heading: media type (``image/png``) and the picture's bytes; they are put into the page.
        video: The side-by-side video, MP4, in the page's folder; put into the page too, or linked when it is long.
        facts: Settings and versions, nested, shown at the end.
        regions: Meaning of every region.
        speed: Times of synthesis by stage, or None.

    Returns:
        HTML.
    """
    frames = evaluation.frames
    lead = (
        f"{len(frames)} held-out frames ({frames[0]}–{frames[-1]}, {len(frames) / 25:.1f} s) of "
        f"{evaluation.size[0]}×{evaluation.size[1]} pixels, scored as rendered, before any video coding. "
        + (f"In {evaluation.missed_real} real frames no face was found." if evaluation.missed_real else "")
    )
    parts = [
        f"<p>{escape(lead)}</p>",
        f"<h2>Side by side</h2><video controls preload=metadata src='{_video_source(video)}'></video>",
        "<h2>Lips</h2>",
        _lip_table(evaluation),
        "<h2>Pictures</h2>",
        _picture_table(evaluation),
        _measure_table(evaluation),
        _risk_table(evaluation),
        _speed_table(speed),
    ]
    for heading, (kind, data) in pictures.items():
        parts.append(f"<h2>{escape(heading)}</h2>{picture(heading, kind, data)}")
    parts += [_definitions(evaluation, regions), "<h2>Settings</h2>" + facts_table(facts)]
    return document("UA-3DTalk report", "How good is this avatar?", parts)


def _lip_table(evaluation: Evaluation) -> str:
    head = ("row", "mouth over static", "opening r", "amplitude", "best lag", "r there", "width r", "LMD", "LMD / eyes")
    rows = []
    for row in evaluation.rows.values():
        opening = row.opening
        trusted = (opening.correlation_at_lag or 0.0) >= TRUSTED_R
        rows.append(
            [
                escape(row.name),
                number(row.mouth_gain_db, "+.2f", " dB"),
                number(opening.correlation, ".2f"),
                number(opening.amplitude, ".2f"),
                number(opening.lag_frames if trusted else None, "+d", " frames"),
                number(opening.correlation_at_lag, ".2f"),
                number(row.width.correlation, ".2f"),
                number(row.lmd_px.mean, ".2f", " px"),
                number(row.lmd.mean, ".4f"),
            ]
        )
    return table(head, rows)


def _picture_table(evaluation: Evaluation) -> str:
    head = ("row", *(f"{region.replace('_', ' ')}<br><small>PSNR dB / SSIM</small>" for region in REGIONS), "no face")
    rows = []
    for row in evaluation.rows.values():
        cells = [_region_cell(row, region) for region in REGIONS]
        rows.append([escape(row.name), *cells, f"{row.missed} of {len(evaluation.frames)}"])
    return table(head, rows)


def _region_cell(row: RowResult, region: str) -> str:
    found = row.regions[region]
    return f"{number(found.psnr_db.mean, '.2f')} / {number(found.ssim.mean, '.3f')}{_interval(found.psnr_db)}"


def _interval(score: Score) -> str:
    return "" if score.interval is None else f"<br><small>{score.interval[0]:.2f}–{score.interval[1]:.2f} dB</small>"


def _risk_table(evaluation: Evaluation) -> str:
    rows = [
        [escape(row.name), escape(kind.replace("_", " ")), number(risk.spearman, "+.2f"), str(risk.frames)]
        for row in evaluation.rows.values()
        for kind, risk in (row.risk or {}).items()
    ]
    if not rows:
        return ""
    return "<h2>Does the uncertainty know the error?</h2>" + table(
        ("row", "error of the frame by", "Spearman's ρ", "frames"), rows
    )


def _measure_table(evaluation: Evaluation) -> str:
    """Metrics downwards, rows of the evaluation across: there are more of those."""
    if not evaluation.definitions:
        return ""
    head = ("", *(escape(name) for name in evaluation.rows), "better")
    rows, missing = [], []
    for key, definition in evaluation.definitions.items():
        found = [row.measures.get(key) for row in evaluation.rows.values()]
        reasons = {m.unavailable for m in found if m is not None and m.unavailable is not None}
        title = escape(definition.title) + (f"<br><small>{escape(definition.unit)}</small>" if definition.unit else "")
        if found and all(m is not None and m.unavailable is not None for m in found):
            missing.append(f"<dt>{escape(definition.title)}</dt><dd>{escape('; '.join(sorted(reasons)))}</dd>")
            continue
        rows.append([title, *(_measure_cell(m) for m in found), IDEALS[definition.ideal]])
    gone = f"<h3>Unavailable</h3><dl>{''.join(missing)}</dl>" if missing else ""
    return "<h2>More measures</h2>" + (table(head, rows) if rows else "") + gone


def _speed_table(speed: Mapping[str, Any] | None) -> str:
    if speed is None:
        return ""
    rows = [
        [escape(name), *(f"{times[key]:.1f} ms" for key in ("p50_ms", "p95_ms", "first_ms"))]
        for name, times in speed["stages"].items()
    ]
    lead = (
        f"From sound to encoded video, one stage after the other: {speed['fps_p50']:.1f} frames/s at the median, "
        f"{speed['fps_p95']:.1f} at the slowest twentieth. The first frame is there after "
        f"{speed['first_frame_s']:.2f} s (hearing {speed['sound_s']:.1f} s of sound included). "
        f"Motion alone takes {speed['motion_p50_ms']:.1f} ms of render."
    )
    head = ("stage, per frame", "median", "95th percentile", "first")
    return f"<h2>Speed</h2><p>{escape(lead)}</p>{table(head, rows)}"


def _measure_cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return "–"
    low_high = measure.interval
    small = "" if low_high is None else f"<br><small>{low_high[0]:.3g}–{low_high[1]:.3g}</small>"
    return f"{measure.value:.3g}{small}"


def _video_source(video: Path) -> str:
    if video.stat().st_size > MAX_EMBEDDED_VIDEO:
        return video.name
    return data_url("video/mp4", video.read_bytes())


def _definitions(evaluation: Evaluation, regions: Mapping[str, str]) -> str:
    items = [(name, ROW_MEANINGS[name]) for name in evaluation.rows if name in ROW_MEANINGS]
    items += [(f"region {name.replace('_', ' ')}", meaning) for name, meaning in regions.items()]
    items += [
        (
            "PSNR, SSIM",
            "mean over frames of the frame's value in the region; SSIM with an 11×11 Gaussian window, σ 1.5",
        ),
        ("small numbers", "95 % interval of the mean, bootstrap over blocks of one second"),
        ("mouth over static", "PSNR of the mouth box minus that of the static row, mean over the same frames"),
        ("opening", "distance of inner-lip points 13 and 14 over the distance of the outer eye corners"),
        ("width", "distance of the mouth corners over the distance of the outer eye corners"),
        ("amplitude", "standard deviation of the rendered opening over that of the real one; 1 is right"),
        (
            "best lag",
            f"shift within ±10 frames that fits best; positive: rendered is late; not shown below r {TRUSTED_R}",
        ),
        ("LMD", "mean distance of 40 lip points, both outlines centred; in pixels, and over the eye-corner distance"),
        ("landmarks", f"{evaluation.detector}, the same detector on real and rendered frames"),
    ]
    items += [
        (d.title, d.meaning + (f" Source: {d.source}." if d.source else "")) for d in evaluation.definitions.values()
    ]
    return "<h2>What the numbers mean</h2><dl>" + "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in items
    ) + "</dl>"  # fmt: skip
