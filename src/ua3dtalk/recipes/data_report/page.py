"""The report's page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.page import data_url, document, facts_table, number, table
from ua3dtalk.recipes.data_report.cautions import GOOD_FLOW_PX, GOOD_JITTER_DEG, GOOD_REPROJECTION_PX, GOOD_VOICED_S
from ua3dtalk.recipes.data_report.coverage import ANGLE_BINS_DEG, OPENING_BINS
from ua3dtalk.recipes.data_report.curves import STYLE as CURVE_STYLE
from ua3dtalk.recipes.data_report.curves import bars, curves
from ua3dtalk.recipes.data_report.finding import Finding, moments, stretches
from ua3dtalk.recipes.data_report.findings import verdict
from ua3dtalk.recipes.data_report.measure import DataFacts, Measured
from ua3dtalk.recipes.data_report.pictures import MASK_COLOURS, Shown

WORDS = {"refuse": "Cannot work", "warn": "Will look bad", "ok": "Good"}
_STYLE = """
.finding{border-left:.4rem solid;padding:.1rem .8rem;margin:.6rem 0}.finding p{margin:.2rem 0}
.finding b{text-transform:uppercase;font-size:.75rem;letter-spacing:.04em}
.refuse{border-color:#c92a2a}.refuse b{color:#c92a2a}.warn{border-color:#b8860b}.warn b{color:#8a6500}
.ok{border-color:#2b8a3e}.ok b{color:#2b8a3e}
@media(prefers-color-scheme:dark){.refuse b{color:#ff8787}.warn b{color:#ffd43b}.ok b{color:#8ce99a}}
td{white-space:normal}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.5rem}
figure{margin:0}figure img{width:100%;display:block}figcaption{font-size:.8rem}
.swatch{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .8em;border:1px solid #888}
"""


def render_page(
    name: str,
    findings: Sequence[Finding],
    found: Measured,
    pictures: dict[str, list[Shown]],
    provenance: dict[str, Any],
) -> str:
    """The whole page.

    Args:
        name: The video's name.
        findings: All there is to say, the most important first.
        found: Numbers and curves.
        pictures: Captioned pictures by heading.
        provenance: What made the report.

    Returns:
        HTML.
    """
    facts = found.facts
    video = facts.video
    lead = (
        f"{name}, {video.seconds:.1f} s from {found.start_s:g} s on. {verdict(findings)} "
        "Findings come with what to record or change; pictures and numbers below say why."
    )
    parts = [f"<p>{escape(lead)}</p>", *(_finding(finding) for finding in findings)]
    for heading, shown in pictures.items():
        parts.append(f"<h2>{escape(heading)}</h2>{_tiles(shown)}")
    parts += [
        _mask_key(),
        "<h2>Tracking</h2>",
        _tracking_table(facts),
        "<h2>Mouth and expression</h2>",
        _expression(found),
        "<h2>Head pose</h2>",
        _pose(found),
        "<h2>Light</h2>",
        _light(found),
        "<h2>Speech</h2>",
        _speech(found),
        "<h2>Emotions</h2>",
        _emotions(facts),
        "<h2>All numbers</h2>",
        facts_table(_rounded(to_plain(facts) | {"made by": provenance})),
    ]
    return document("UA-3DTalk data report", "What is this video good for?", parts, _STYLE + CURVE_STYLE)


def _finding(finding: Finding) -> str:
    cure = f"<p><small>What to do:</small> {escape(finding.cure)}</p>" if finding.cure else ""
    return (
        f"<div class='finding {finding.level}'><b>{WORDS[finding.level]}</b><p>{escape(finding.what)}</p>{cure}</div>"
    )


def _tiles(shown: Sequence[Shown]) -> str:
    figures = "".join(
        f"<figure><img alt='{escape(caption)}' src='{data_url('image/jpeg', data)}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, data in shown
    )
    return f"<div class=tiles>{figures}</div>"


def _mask_key() -> str:
    swatches = "".join(
        f"<span class=swatch style='background:rgb{colour}'></span>{label.name.lower().replace('_', ' ')}"
        for label, colour in MASK_COLOURS.items()
    )
    axes = "Axes of the head: red to the subject's left, green up, blue out of the face."
    return f"<p><small>{swatches}<br>Yellow: every third point of the mesh. {axes}</small></p>"


def _tracking_table(facts: DataFacts) -> str:
    video, tracking = facts.video, facts.tracking
    lost = f"{tracking.interpolated}" + (f" ({stretches(tracking.lost)})" if tracking.lost else "")
    frozen = stretches(video.frozen) if video.frozen else "none"
    cuts = ", ".join(f"{time:.1f} s" for time in sorted((*video.scene_cuts, *video.jumps))) or "none"
    rows = [
        ["frames", str(video.num_frames), ""],
        ["of them tracked", str(tracking.tracked), "all"],
        ["lost and interpolated", lost, "none"],
        ["reprojection", number(tracking.reprojection_px, ".2f", " px at 512"), f"below {GOOD_REPROJECTION_PX:g}"],
        ["motion against the pixels'", number(tracking.flow_error_px, ".3f", " px at 512"), f"below {GOOD_FLOW_PX:g}"],
        ["trembling of the rotation", f"{facts.pose.jitter:.3f}°", f"below {GOOD_JITTER_DEG:g}°"],
        ["height of the face", f"{tracking.face_height_px:.0f} px", "150 and more"],
        ["new pictures per second", f"{video.new_pictures_per_s:.1f}", "25"],
        ["frozen pictures", escape(frozen), "none"],
        ["cuts and jumps", cuts, "none"],
        *([["videos joined at", moments(video.joints), ""]] if video.joints else []),
        ["training frames", str(tracking.train_frames), "1,000 and more"],
    ]
    return table(("", "found", "good"), rows)


def _expression(found: Measured) -> str:
    facts, fps = found.facts, found.fps
    signals = found.signals
    names = [f"{low:g}+" for low in OPENING_BINS]
    face = facts.expression
    rows = [
        ["opening, 5th / 50th / 95th percentile", " / ".join(f"{v:.3f}" for v in facts.mouth.opening), "0 / .1 / .2"],
        ["lips closed", f"{facts.mouth.closed_s:.1f} s", ""],
        ["blinks", f"{face.blinks} ({face.blinks_per_minute:.0f} a minute)", "10 to 40 a minute"],
        ["smile beside the usual look", f"{face.smile_s:.1f} s", "some"],
        ["brows raised", f"{face.brows_up_s:.1f} s", "some"],
    ]
    lost, start_s = facts.tracking.lost, found.start_s
    return "".join([
        table(("", "found", "good"), rows),
        bars(names, facts.mouth.seconds_by_opening, "Seconds by the mouth's opening, in eye distances"),
        curves({"opening": found.track.opening}, fps, start_s, "eye distances", lost),
        curves({"smile": signals["smile"], "brows": signals["brows"]}, fps, start_s, "eye distances from usual", lost),
        curves({"lids": signals["lids"]}, fps, start_s, "share of the usual opening", lost),
    ])  # fmt: skip


def _pose(found: Measured) -> str:
    pose = found.facts.pose
    middle = [f"{a}…{b}" for a, b in pairwise(ANGLE_BINS_DEG[1:-1])]
    names = [f"< {ANGLE_BINS_DEG[1]}", *middle, f"> {ANGLE_BINS_DEG[-2]}"]
    angles = {name: found.angles[:, k] for k, name in enumerate(("pitch (up)", "yaw (to the left)", "roll"))}
    return (
        bars(names, pose.seconds_by_yaw, "Seconds by yaw, degrees; to the subject's left is positive")
        + bars(names, pose.seconds_by_pitch, "Seconds by pitch, degrees; up is positive")
        + curves(angles, found.fps, found.start_s, "degrees", found.facts.tracking.lost)
    )


def _light(found: Measured) -> str:
    light = found.facts.light
    rows = [
        ["brightness of the skin", number(light.skin_brightness, ".0f", " of 255"), "90 to 190"],
        ["skin blown out", f"{light.blown:.1%}", "below 3 %"],
        ["skin black", f"{light.crushed:.1%}", "below 1 %"],
        ["slow change on the face", f"{light.drift:.1%}", "below 10 %"],
        ["flicker", f"{light.flicker:.2%}", "below 0.7 %"],
        ["background strays by", number(light.background_change, ".1f", " of 255"), "below 4"],
    ]
    brightness = {"face": found.watched.face_brightness, "picture": found.watched.brightness}
    return table(("", "found", "good"), rows) + curves(brightness, found.fps, found.start_s, "brightness of 255")


def _speech(found: Measured) -> str:
    speech = found.facts.speech
    if not speech.present:
        return "<p>The video has no sound.</p>"
    offset = "not found" if speech.offset_ms is None else f"{speech.offset_ms:+.0f} ms, corrected"
    rows = [
        ["speech", f"{speech.voiced_s:.1f} s", f"{GOOD_VOICED_S:g} s and more"],
        ["level", number(speech.level_db, ".0f", " dB"), "−30 to −15 dB"],
        ["voice over background", number(speech.speech_over_noise_db, ".0f", " dB"), "above 18 dB"],
        ["clipped", f"{speech.clipped:.2%}", "0"],
        ["sound late by", offset, "any, if found"],
        ["agreement with the lips", number(speech.lips_agreement, ".2f"), "above .35"],
    ]
    shown = table(("", "found", "good"), rows)
    if found.voiced is not None:
        shown += curves({"speech heard": found.voiced}, found.fps, found.start_s, "probability")
    return shown


def _emotions(facts: DataFacts) -> str:
    if not facts.emotion.seconds:
        return "<p>No emotions are labelled (<code>--labels</code>); they are guessed from the voice.</p>"
    rows = [
        [escape(label), strength, f"{seconds:.1f} s"]
        for label, by_strength in facts.emotion.seconds.items()
        for strength, seconds in sorted(by_strength.items(), key=lambda pair: float(pair[0]))
    ]
    rows.append(["without a label", "", f"{facts.emotion.unlabelled_s:.1f} s"])
    return table(("emotion", "intensity", "seconds"), rows)


def _rounded(value: Any) -> Any:
    """Numbers with four digits, for people."""
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return ", ".join(str(_rounded(inner)) for inner in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else value
