"""Findings: each fault is named once, in plain words and with a cure, and a good video has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ua3dtalk.recipes.data_report.coverage import EmotionFacts, ExpressionFacts, MouthFacts, PoseFacts
from ua3dtalk.recipes.data_report.finding import moments, stretches
from ua3dtalk.recipes.data_report.findings import find, most_important, verdict
from ua3dtalk.recipes.data_report.light_and_sound import LightFacts, SpeechFacts
from ua3dtalk.recipes.data_report.measure import DataFacts, TrackingFacts, VideoFacts

GOOD = DataFacts(
    video=VideoFacts(
        num_frames=1500,
        seconds=60.0,
        new_pictures_per_s=25.0,
        frozen=(),
        black=(),
        scene_cuts=(),
        jumps=(),
        longest_scene=(0.0, 60.0),
    ),
    tracking=TrackingFacts(
        tracked=1500,
        interpolated=0,
        train_frames=1348,
        lost=(),
        reprojection_px=1.2,
        flow_error_px=0.08,
        face_height_px=200.0,
        stored_side=512,
        shrunk=1.0,
        outside_share=0.0,
        cut_off_share=0.0,
        other_faces=(),
        faces_seen=1,
        face_size=1.73,
        outlines=11.0,
    ),
    mouth=MouthFacts(opening=(0.01, 0.1, 0.2), seconds_by_opening=(10.0,) * 7, closed_s=10.0),
    expression=ExpressionFacts(
        blinks=20,
        blinks_per_minute=20.0,
        eyes_shut_share=0.05,
        lids_least=0.2,
        smile_s=4.0,
        smile_most=0.2,
        brows_up_s=2.0,
        brows_range=0.08,
    ),
    pose=PoseFacts(
        pitch=(-8.0, 8.0),
        yaw=(-12.0, 12.0),
        roll=(-4.0, 4.0),
        seconds_by_yaw=(1.0,) * 9,
        seconds_by_pitch=(1.0,) * 9,
        jitter=0.08,
    ),
    light=LightFacts(skin_brightness=140.0, blown=0.0, crushed=0.0, drift=0.03, flicker=0.002, background_change=2.0),
    speech=SpeechFacts(
        present=True,
        silent=False,
        level_db=-22.0,
        voiced_s=50.0,
        speech_over_noise_db=35.0,
        clipped=0.0,
        offset_ms=120.0,
        lips_agreement=0.5,
    ),
    emotion=EmotionFacts(seconds={"happy": {"1": 20.0}}, unlabelled_s=40.0, outside_s=0.0),
)


def with_fault(part: str, **changed: Any) -> DataFacts:
    return replace(GOOD, **{part: replace(getattr(GOOD, part), **changed)})


def test_a_good_video_is_good() -> None:
    found = find(GOOD)
    assert {finding.level for finding in found} == {"ok"}
    assert {finding.topic for finding in found} == {"tracking", "sound", "light", "face", "emotion"}
    assert verdict(found) == "An avatar can be made, and nothing stands in its way."
    assert most_important(found) == found[:3]


REFUSED = [
    ("prepare", "stands still for 100%", "video", {"frozen": ((0.04, 60.0),)}),
    ("prepare", "another scene or view at 20.0, 25.0 s", "video", {"scene_cuts": (20.0, 25.0)}),
    ("train", "it has no sound", "speech", {"present": False, "level_db": None}),
    ("train", "silent (-70 dB)", "speech", {"silent": True, "level_db": -70.0}),
    ("train", "a voice is heard for 1.0 s", "speech", {"voiced_s": 1.0}),
    ("train", "not this person's", "mouth", {"opening": (0.0, 0.01, 0.02)}),
    ("train", "100 training frames", "tracking", {"train_frames": 100}),
]


@pytest.mark.parametrize(("stops", "words", "part", "changed"), REFUSED)
def test_what_cannot_work(stops: str, words: str, part: str, changed: dict[str, Any]) -> None:
    found = find(with_fault(part, **changed))
    refused = [finding for finding in found if finding.level == "refuse"]
    assert len(refused) == 1 and refused[0].stops == stops and words in refused[0].what and refused[0].cure
    assert found[0] == refused[0], "what cannot work comes first"
    assert verdict(found).startswith("No avatar" if stops == "prepare" else "The face can be used, but no avatar")


def test_a_photo_that_is_moved_about() -> None:
    stiff = with_fault("expression", lids_least=0.97, blinks=0)
    assert all(finding.level != "refuse" for finding in find(stiff)), "lips move"
    stiff = replace(stiff, mouth=replace(GOOD.mouth, opening=(0.05, 0.055, 0.06)))
    first = find(stiff)[0]
    assert first.stops == "prepare" and "neither lips nor lids move" in first.what


def test_a_second_face_outside_the_picture_is_told() -> None:
    said = [f.what for f in find(with_fault("tracking", faces_seen=2)) if f.topic == "person"]
    assert said == ["2 faces were seen in the video; the picture is cut to the main one."]


def test_the_longest_scene_is_offered() -> None:
    cut = find(with_fault("video", scene_cuts=(20.0,), longest_scene=(20.0, 60.0)))[0]
    assert "--start-s 20 --max-seconds 40" in cut.cure
    short = find(with_fault("video", scene_cuts=(2.0, 4.0), longest_scene=(2.0, 4.0)))[0]
    assert "--start-s" not in short.cure


WARNED = [
    ("drawn (its eyes", "tracking", {"face_size": 1.48}),
    ("drawn (hard outlines", "tracking", {"outlines": 30.0}),
    ("Another face is in the picture at 4.0, 6.0 s", "tracking", {"other_faces": (4.0, 6.0)}),
    ("jumps at 9.0 s", "video", {"jumps": (9.0,)}),
    ("joined at 8.5, 11.7 s do not show the same view", "video", {"other_views": (8.5, 11.7)}),
    ("stands still at 3.0–3.8 s", "video", {"frozen": ((3.0, 3.8),)}),
    ("black at 3.0–3.8 s", "video", {"black": ((3.0, 3.8),)}),
    ("Only 12 pictures per second", "video", {"new_pictures_per_s": 12.4}),
    ("lost in 60 frames (1.0–3.4 s)", "tracking", {"interpolated": 60, "lost": ((1.0, 3.4),)}),
    ("points lie off by 5.00 px", "tracking", {"reprojection_px": 5.0}),
    ("its motion by 0.40 px", "tracking", {"flow_error_px": 0.4}),
    ("trembles by 0.50 °", "pose", {"jitter": 0.5}),
    ("only 92 pixels high", "tracking", {"face_height_px": 92.0}),
    ("leaves the picture in 4%", "tracking", {"outside_share": 0.04}),
    ("cuts the head off", "tracking", {"cut_off_share": 1.0}),
    ("do not agree at any offset", "speech", {"offset_ms": None}),
    ("only 7 dB over", "speech", {"speech_over_noise_db": 7.0}),
    ("faint (-45 dB)", "speech", {"level_db": -45.0}),
    ("clipped (2.0% of it)", "speech", {"clipped": 0.02}),
    ("Only 12 s of speech", "speech", {"voiced_s": 12.0}),
    ("10% of the skin is blown out", "light", {"blown": 0.1}),
    ("too dark (40 of 255)", "light", {"skin_brightness": 40.0}),
    ("too bright (230 of 255)", "light", {"skin_brightness": 230.0}),
    ("changes by 30%", "light", {"drift": 0.3}),
    ("flickers by 3.0%", "light", {"flicker": 0.03}),
    ("background moves", "light", {"background_change": 12.0}),
    ("mouth hardly opens", "mouth", {"opening": (0.0, 0.02, 0.06)}),
    ("lips hardly ever meet", "mouth", {"closed_s": 0.5}),
    ("eyes never shut", "expression", {"blinks": 0}),
    ("shut for 40%", "expression", {"eyes_shut_share": 0.4}),
    ("turns by 4° in all", "pose", {"yaw": (-2.0, 2.0)}),
    ("turns away by 50°", "pose", {"yaw": (-50.0, 2.0)}),
    ("in the smile:", "expression", {"smile_s": 0.1}),
    ("in the smile and the brows:", "expression", {"smile_s": 0.1, "brows_up_s": 0.0}),
    ("labelled sad", "emotion", {"seconds": {"happy": {"1": 20.0}, "sad": {"0.5": 1.0, "1": 1.0}}}),
    ("No neutral face is shown", "emotion", {"unlabelled_s": 0.5}),
    ("4.0 s of the emotion labels", "emotion", {"outside_s": 4.0}),
]


@pytest.mark.parametrize(("words", "part", "changed"), WARNED)
def test_what_will_look_bad(words: str, part: str, changed: dict[str, Any]) -> None:
    found = find(with_fault(part, **changed))
    warned = [finding for finding in found if finding.level == "warn"]
    assert [finding.level for finding in found if finding.level != "ok"] == ["warn"]
    assert words in warned[0].what and warned[0].cure
    assert warned[0].topic not in {finding.topic for finding in found if finding.level == "ok"}
    assert verdict(found) == "An avatar can be made; 1 thing will limit it."


def faults() -> Iterator[Any]:
    yield from (row[-2:] for row in (*REFUSED, *WARNED))


def test_every_sentence_is_whole() -> None:
    for part, changed in faults():
        for finding in find(with_fault(part, **changed)):
            assert finding.what[0].isupper() or finding.what[0].isdigit()
            assert finding.what.endswith(".") and (not finding.cure or finding.cure.endswith((".", "scene")))
            assert "nan" not in finding.what and "None" not in finding.what


def test_long_lists_are_counted() -> None:
    assert moments([1.0, 2.0]) == "1.0, 2.0 s" and moments([1.0] * 9).endswith("and 3 more s")
    assert stretches([(1.0, 2.5)]) == "1.0–2.5 s"


def test_a_face_that_was_shrunk_away_is_not_filmed_again() -> None:
    small = replace(GOOD.tracking, face_height_px=70.0)
    filmed, shrunk = (find(replace(GOOD, tracking=replace(small, shrunk=times))) for times in (1.5, 3.0))
    assert "Film from nearer by" in most_important(filmed)[0].cure
    assert "--size 1024" in most_important(shrunk)[0].cure
