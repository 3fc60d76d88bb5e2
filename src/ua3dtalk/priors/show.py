"""What priors are and what they were trained on, as rows for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.fitted import Priors


@dataclass(frozen=True, kw_only=True)
class PriorRow:
    """One prior."""

    name: str
    """Which prior."""
    trained_on: str
    """What it has seen."""
    figures: str
    """How good it is, on what it has not seen."""


def describe(priors: Priors | None = None) -> list[PriorRow]:
    """Rows for `ua3dtalk priors show`.

    Args:
        priors: A person's priors; None describes those that come with the package.
    """
    content = priors.content if priors else ContentPrior.load()
    teacher = priors.teacher if priors else EmotionTeacher.load()
    rows = [
        PriorRow(name="speech encoder", trained_on=content.encoder, figures=_sounds(content)),
        _content_row(content.facts),
        _emotion_row(teacher),
    ]
    return rows + (_person_rows(priors) if priors else [])


def _sounds(content: ContentPrior) -> str:
    hidden = "" if content.projection is None else f", {len(content.projection) - 1} hidden values"
    return f"42 phones and 80 mel bands{hidden} at 100 Hz"


def _content_row(facts: dict[str, Any]) -> PriorRow:
    return PriorRow(
        name="content (lip expert)",
        trained_on=f"{facts.get('speakers', '?')} speakers, {facts.get('seconds', '?')} s",
        figures=f"unseen speakers: opening r {facts.get('unseen_speaker_opening_r', '?')}, "
        f"width r {facts.get('unseen_speaker_width_r', '?')}",
    )


def _emotion_row(teacher: EmotionTeacher) -> PriorRow:
    facts = teacher.facts
    return PriorRow(
        name="emotion teacher",
        trained_on=f"{facts.get('utterances', '?')} utterances of {facts.get('speakers', '?')} speakers: "
        + ", ".join(teacher.labels),
        figures=f"unseen speakers: average recall {facts.get('uar_held_out_speakers', '?')} "
        f"({_range(facts.get('uar_interval'))}; chance {1 / len(teacher.labels):.2f}), "
        f"calibration error {facts.get('calibration_error', '?')}",
    )


def _range(interval: Any) -> str:
    return "95 % interval " + (f"{interval[0]} to {interval[1]}" if interval else "?")


def _person_rows(priors: Priors) -> list[PriorRow]:
    subject, figures = priors.facts["subject"], priors.facts["figures"]
    trained_on = f"{subject['frames']} frames of video {subject['source_sha256'][:12]}"
    return [
        PriorRow(
            name="person's lips",
            trained_on=trained_on,
            figures=f"test frames: opening r {figures['test_opening_r']}, "
            f"amplitude {figures['test_opening_std_ratio']}",
        ),
        PriorRow(
            name="style",
            trained_on=trained_on,
            figures=f"face error with style over without, out of fold: {figures['style_error_ratio']}",
        ),
        PriorRow(
            name="emotion to expression",
            trained_on=trained_on + (", labelled" if subject["labelled"] else ", no labels"),
            figures=f"variance explained: {figures['emotion_variance_explained']}",
        ),
    ]
