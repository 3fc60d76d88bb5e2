"""What cannot work, with the reason and the way out."""

from __future__ import annotations

from collections.abc import Iterator

from ua3dtalk.priors.pipeline import MIN_TRAIN_FRAMES
from ua3dtalk.recipes.data_report.finding import Finding, moments, total_s
from ua3dtalk.recipes.data_report.measure import DataFacts, VideoFacts

STILL_SHARE = 0.5
"""A video that stands still for longer than this teaches a photo. Planted: a still image .99; real clips up to .01."""
STIFF_OPENING, STIFF_LIDS = 0.03, 0.95
"""A photo that is zoomed and moved has lips that keep their opening (5th to 95th percentile .016, the detector's noise)
and lids that stay above .97 of theirs. Every real clip has one of the two: opening .06 to .36, or lids below .65."""
WORTH_S = 8.0
"""A stretch between two cuts that is worth preparing by itself, seconds: 150 training frames and the rest."""
MUTE_OPENING = 0.035
"""95th percentile of the mouth's opening below which nobody speaks on the picture. Speaking people: .13 to .37."""
MIN_VOICED_S = 3.0
"""Less speech than this is an accident."""


def refusals(facts: DataFacts) -> Iterator[Finding]:
    """Reasons why no avatar can be made, the plainest first."""
    yield from _pictures(facts)
    yield from _speech(facts)
    if facts.tracking.train_frames < MIN_TRAIN_FRAMES:
        yield Finding(
            level="refuse",
            topic="pictures",
            what=f"The video is too short to learn from: {facts.tracking.train_frames} training frames show the face, "
            f"{MIN_TRAIN_FRAMES} are needed.",
            cure="Film at least ten seconds; a minute or more is good.",
            stops="train",
        )


def frozen_share(video: VideoFacts) -> float:
    """Share of the time in which the picture stands still, 0..1."""
    return total_s(video.frozen) / video.seconds


def _pictures(facts: DataFacts) -> Iterator[Finding]:
    video, frozen = facts.video, frozen_share(facts.video)
    stiff = facts.mouth.opening[2] - facts.mouth.opening[0] < STIFF_OPENING and facts.expression.lids_least > STIFF_LIDS
    if frozen >= STILL_SHARE or stiff:
        share = f"for {frozen:.0%} of the time" if frozen >= STILL_SHARE else "in the face: neither lips nor lids move"
        yield Finding(
            level="refuse",
            topic="pictures",
            what=f"The picture stands still {share}. A photo holds no motion to learn from.",
            cure="Film a person who speaks and moves.",
            stops="prepare",
        )
    if video.scene_cuts:
        start, end = video.longest_scene
        one = f"--start-s {start:g} --max-seconds {end - start:g} uses the longest scene"
        yield Finding(
            level="refuse",
            topic="pictures",
            what=f"The picture cuts to another scene or view at {moments(video.scene_cuts)}. An avatar has one head, "
            "one torso and one background.",
            cure=f"{one}; or film in one go." if end - start >= WORTH_S else "Film in one go, without cuts.",
            stops="prepare",
        )


def _speech(facts: DataFacts) -> Iterator[Finding]:
    speech = facts.speech
    spoken = "Film with sound, and let the person speak."
    if not speech.present or speech.silent:
        reason = f"the sound is silent ({speech.level_db:.0f} dB)" if speech.present else "it has no sound"
        yield Finding(
            level="refuse",
            topic="sound",
            what=f"The video has no speech to learn from: {reason}. What the lips do to a voice can only be learnt "
            "from both.",
            cure=spoken,
            stops="train",
        )
    elif speech.voiced_s < MIN_VOICED_S:
        yield Finding(
            level="refuse",
            topic="sound",
            what=f"The video has no speech to learn from: a voice is heard for {speech.voiced_s:.1f} s.",
            cure=spoken,
            stops="train",
        )
    elif facts.mouth.opening[2] < MUTE_OPENING:
        yield Finding(
            level="refuse",
            topic="sound",
            what="Somebody speaks, but the mouth in the picture stays shut: the voice is not this person's.",
            cure="Film the person who speaks.",
            stops="train",
        )
