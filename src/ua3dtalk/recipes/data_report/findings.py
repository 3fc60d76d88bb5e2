"""From numbers to plain words: what cannot work, what will look bad, and what is as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ua3dtalk.recipes.data_report.cautions import (
    GOOD_FLOW_PX,
    GOOD_REPROJECTION_PX,
    cautions,
)
from ua3dtalk.recipes.data_report.finding import Finding
from ua3dtalk.recipes.data_report.measure import DataFacts
from ua3dtalk.recipes.data_report.refusals import refusals


def find(facts: DataFacts) -> list[Finding]:
    """All there is to say: refusals, then warnings with the worst first, then what is good."""
    bad = [*refusals(facts), *cautions(facts)]
    troubled = {finding.topic for finding in bad}
    return [*bad, *(finding for finding in _praises(facts) if finding.topic not in troubled)]


def most_important(findings: Sequence[Finding], count: int = 3) -> list[Finding]:
    """The first refusals and warnings; what is good where there are none."""
    return [finding for finding in findings if finding.level != "ok"][:count] or list(findings[:count])


def verdict(findings: Sequence[Finding]) -> str:
    """The whole report in one sentence."""
    refused = {finding.stops for finding in findings if finding.level == "refuse"}
    warned = sum(finding.level == "warn" for finding in findings)
    if "prepare" in refused:
        return "No avatar can be made of this video."
    if refused:
        return "The face can be used, but no avatar can be trained."
    if warned:
        return f"An avatar can be made; {warned} {'thing' if warned == 1 else 'things'} will limit it."
    return "An avatar can be made, and nothing stands in its way."


def _praises(facts: DataFacts) -> Iterator[Finding]:
    """What could be good about each topic; it is said where nothing is wrong with it."""
    tracking, speech, light = facts.tracking, facts.speech, facts.light
    flow, reprojection = tracking.flow_error_px, tracking.reprojection_px
    if flow is not None and reprojection is not None:
        good = "good" if flow <= GOOD_FLOW_PX and reprojection <= GOOD_REPROJECTION_PX else "fair"
        pose = f"the head pose is {good} ({flow:.2f} px in motion, {reprojection:.1f} px in place)"
        what = f"The face was found in {tracking.tracked} of {facts.video.num_frames} frames; {pose}."
        yield Finding(level="ok", topic="tracking", what=what)
    if tracking.faces_seen > 1 and not tracking.other_faces:
        what = f"{tracking.faces_seen} faces were seen in the video; the picture is cut to the main one."
        yield Finding(level="ok", topic="person", what=what)
    if speech.offset_ms is not None:
        when = "late" if speech.offset_ms > 0 else "early"
        moved = (
            f"; the sound came {abs(speech.offset_ms):.0f} ms {when}, which is corrected" if speech.offset_ms else ""
        )
        yield Finding(level="ok", topic="sound", what=f"{speech.voiced_s:.0f} s of speech agree with the lips{moved}.")
    if light.skin_brightness is not None:
        what = f"The light is steady and falls well on the face (brightness {light.skin_brightness:.0f} of 255)."
        yield Finding(level="ok", topic="light", what=what)
    if facts.emotion.seconds:
        listed = ", ".join(f"{sum(s.values()):.0f} s {label}" for label, s in facts.emotion.seconds.items())
        yield Finding(level="ok", topic="emotion", what=f"Emotions are labelled: {listed}.")
    yield Finding(
        level="ok",
        topic="face",
        what=f"Mouth, lids and brows move, and the head turns by {facts.pose.yaw[1] - facts.pose.yaw[0]:.0f}°.",
    )
