"""The videos that a subject was joined of, and where one ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ua3dtalk.core.config import from_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.split import Split, make_split
from ua3dtalk.subject.store import AGAIN, FPS, Subject


@dataclass(frozen=True, kw_only=True)
class VideoPart:
    """One of several videos that follow each other in a subject."""

    name: str
    """File name."""
    sha256: str
    """Of the file, hex."""
    first: int
    """Its first frame in the subject, at 25 fps; but for the first video, a joint."""
    num_frames: int
    """How many frames it has there."""


def videos_of(subject: Subject) -> tuple[VideoPart, ...]:
    """The videos of a subject that was joined of several; empty for one that was made of a single video.

    Raises:
        UserError: ``subject.json`` is damaged: they do not follow each other.
    """
    try:
        plain = subject.facts("frames").get("videos", [])
    except UserError:  # the frames are not written yet
        return ()
    where = f"{subject.folder / 'subject.json'}: videos"
    if not isinstance(plain, list):
        raise UserError(f"{where} are no list.", AGAIN)
    found = tuple(from_plain(VideoPart, one, f"{where}[{k}]") for k, one in enumerate(plain))
    stops = [one.first + one.num_frames for one in found]
    ends_meet = all(stop == after.first for stop, (_, after) in zip(stops, pairwise(found), strict=False))
    if found and not (ends_meet and found[0].first == 0 and stops[-1] == subject.num_frames):
        raise UserError(f"{where} do not follow each other.", AGAIN)
    if any(one.num_frames < 1 for one in found):
        raise UserError(f"{where} are empty.", AGAIN)
    return found


def joints_of(subject: Subject) -> tuple[int, ...]:
    """The first frame of every video but the first: nothing may smooth, track or look across."""
    return tuple(one.first for one in videos_of(subject)[1:])


def split_of(subject: Subject) -> Split:
    """Which frames of a subject train and which test."""
    return make_split(subject.num_frames, joints_of(subject))


def name_at(subject: Subject, frame: int) -> str:
    """File name of the video that a frame comes from."""
    return next((one.name for one in reversed(videos_of(subject)) if one.first <= frame), subject.source.name)


def sound_offset_frames(subject: Subject, frame: int) -> float:
    """By how many frames the sound around a frame was recorded late; 0 where nobody knows."""
    facts = subject.facts("speech")
    for one, heard in zip(videos_of(subject), facts.get("videos", []), strict=False):
        if one.first <= frame < one.first + one.num_frames:
            return float(heard["offset_frames"])
    return float(facts.get("offset_frames", 0.0))


def spans_of(videos: Sequence[VideoPart], labels: Sequence[str]) -> tuple[EmotionSpan, ...]:
    """One label for the whole of each video, whose strength nobody gave."""
    return tuple(
        EmotionSpan(
            start_s=one.first / FPS,
            end_s=(one.first + one.num_frames) / FPS,
            label=label.strip().lower(),
            varies=True,
        )
        for one, label in zip(videos, labels, strict=True)
    )
