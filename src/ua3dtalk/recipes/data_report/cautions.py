"""What will look bad, and what to record against it; the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ua3dtalk.recipes.data_report.coverage import EmotionFacts
from ua3dtalk.recipes.data_report.finding import Finding, Topic, moments, stretches
from ua3dtalk.recipes.data_report.light_and_sound import LightFacts, SpeechFacts
from ua3dtalk.recipes.data_report.measure import DataFacts, TrackingFacts, VideoFacts
from ua3dtalk.recipes.data_report.refusals import STILL_SHARE, frozen_share
from ua3dtalk.subject.labels import NEUTRAL

DRAWN_SIZE = 1.55
"""Smaller faces, in eye distances, are drawn: real ones lie at 1.73 ± .06 (see ``drawn.face_size``)."""
DRAWN_OUTLINES = 22.0
"""Harder outlines are drawn: real clips reach 15, the synthetic actor 19 (see ``drawn.outline_strength``)."""
MIN_RATE = 18.0
"""New pictures per second: the lips of quick speech change every 60 ms."""
MAX_LOST = 0.03
"""Share of interpolated frames: 0 in every real clip."""
GOOD_REPROJECTION_PX, BAD_REPROJECTION_PX = 3.0, 4.0
"""Real clips .8 to 3.3, a head that is thrown about 4.1, a dancer 5.3. Landmarks slide over a face that speaks."""
GOOD_FLOW_PX, BAD_FLOW_PX = 0.15, 0.25
"""Real clips .05 to .16, the head that is thrown about .47."""
GOOD_JITTER_DEG, BAD_JITTER_DEG = 0.2, 0.3
"""Real clips .01 to .23; a shaken one with repeated pictures .44, the dancer .39."""
MIN_FACE_PX = 140
"""Height of the face in the stored frames: 150 to 340 in portraits, 92 for a whole person."""
CUT_OFF = 0.5
GOOD_VOICED_S = 30.0
"""Lips are predicted better with every minute; from 20 s they depend on the average speaker (DESIGN §6)."""
QUIET_DB, NOISY_DB, CLIPPED = -40.0, 12.0, 1e-3
"""Level: real clips −30 to −12 dB. Speech over noise: 18 to 46 dB, clips with music 7 and 9 dB."""
DARK, BRIGHT, BLOWN, CRUSHED = 60.0, 215.0, 0.05, 0.05
"""Skin's brightness: real clips 90 to 185. Blown out: below .03, but .07 to .13 in front of a hard lamp."""
DRIFT, FLICKER = 0.15, 0.015
"""Light: slow change below .09, quick change below .007 in every real clip."""
BACKGROUND_CHANGE = 8.0
"""Grey levels: real clips with a camera that stands still 1 to 4."""
CLOSED_SHARE = 0.03
WIDE_OPENING = 0.08
BLINKLESS_S = 8.0
SHUT_SHARE = 0.3
TURN_DEG, FAR_DEG = 8.0, 40.0
SMILE_S, BROWS_S = 1.0, 0.5
LABEL_S = 3.0


def cautions(facts: DataFacts) -> Iterator[Finding]:
    """Warnings, the worst first."""
    yield from _whom(facts.tracking)
    yield from _sequence(facts.video)
    yield from _tracking(facts)
    if facts.speech.present and not facts.speech.silent:
        yield from _sound(facts.speech)
    if not facts.video.scene_cuts:  # each scene has its light
        yield from _light(facts.light)
    yield from _face(facts)
    yield from _emotion(facts.emotion)


def _warn(topic: Topic, what: str, cure: str) -> Finding:
    return Finding(level="warn", topic=topic, what=what, cure=cure)


def _whom(found: TrackingFacts) -> Iterator[Finding]:
    if found.face_size < DRAWN_SIZE or found.outlines > DRAWN_OUTLINES:
        why = "its eyes are large for its face" if found.face_size < DRAWN_SIZE else "hard outlines around flat colours"
        yield _warn(
            "person",
            f"This looks drawn ({why}). The tracker knows real faces: lips, teeth and lids of a drawing will be wrong.",
            "Film a real person. If this is one, go on.",
        )
    if found.other_faces:
        yield _warn(
            "person",
            f"Another face is in the picture at {moments(found.other_faces)}. The tracker stayed with the main one, "
            "but the other gets into the background.",
            "Film one person alone, and keep pictures of people out of view.",
        )


def _sequence(video: VideoFacts) -> Iterator[Finding]:
    if video.other_views:
        yield _warn(
            "pictures",
            f"The videos joined at {moments(video.other_views)} do not show the same view. An avatar has one torso and "
            "one background: they will be mixtures.",
            "Film all emotions from one place, in the same clothes and light.",
        )
    if video.jumps:
        yield _warn(
            "pictures",
            f"The head jumps at {moments(video.jumps)}: a cut within the scene, or missing frames. The motion across "
            "it is false.",
            "Film in one go.",
        )
    if video.frozen and frozen_share(video) < STILL_SHARE:
        yield _warn(
            "pictures",
            f"The picture stands still at {stretches(video.frozen)} while time goes on: missing frames. The lips do "
            "not follow the voice there.",
            "Film again; close other apps, or lower the resolution.",
        )
    if video.black:
        yield _warn("pictures", f"The picture is black at {stretches(video.black)}.", "Cut these parts out.")
    if video.new_pictures_per_s < MIN_RATE and frozen_share(video) < STILL_SHARE:
        yield _warn(
            "pictures",
            f"Only {video.new_pictures_per_s:.0f} pictures per second are new, the rest repeat: quick lips are lost.",
            "Film with 25 pictures per second or more, and in more light.",
        )


def _tracking(facts: DataFacts) -> Iterator[Finding]:
    found = facts.tracking
    if found.interpolated > MAX_LOST * facts.video.num_frames:
        yield _warn(
            "tracking",
            f"The face was lost in {found.interpolated} frames ({stretches(found.lost)}); they are bridged.",
            "Keep the face in view, without hands before it.",
        )
    bad = [
        f"{name} {value:.2f} {unit}"
        for name, value, limit, unit in (
            ("the head's points lie off by", found.reprojection_px, BAD_REPROJECTION_PX, "px"),
            ("its motion by", found.flow_error_px, BAD_FLOW_PX, "px"),
            ("rotation trembles by", facts.pose.jitter, BAD_JITTER_DEG, "°"),
        )
        if value is not None and value > limit
    ]
    if bad:
        yield _warn(
            "tracking",
            f"The head pose is uncertain: {', '.join(bad)}. Skin and hair will be blurred.",
            "Move more slowly, in more light (less motion blur), nearer to the camera.",
        )
    if found.face_height_px < MIN_FACE_PX:
        yield _warn(
            "tracking",
            f"The face is only {found.face_height_px:.0f} pixels high: teeth and lids will be coarse.",
            _larger(found),
        )
    if found.outside_share > 0.01:
        yield _warn(
            "tracking",
            f"A part of the face leaves the picture in {found.outside_share:.0%} of the frames.",
            "Leave room around the head.",
        )
    if found.cut_off_share > CUT_OFF:
        yield _warn(
            "tracking",
            "The upper edge of the picture cuts the head off: hair ends there.",
            "Leave a hand's breadth of room above.",
        )


def _larger(found: TrackingFacts) -> str:
    """Where more pixels of the face are to be had."""
    wanted = MIN_FACE_PX / found.face_height_px
    if wanted > found.shrunk:
        return "Film from nearer by, or with a higher resolution."
    return f"The video has more: prepare it with --size {ceil(found.stored_side * wanted / 64) * 64} or larger."


def _sound(speech: SpeechFacts) -> Iterator[Finding]:
    if speech.offset_ms is None:
        yield _warn(
            "sound",
            "Lips and voice do not agree at any offset, so that a delay of the sound cannot be corrected. The voice "
            "may be another's, dubbed, sung, or under music.",
            "Film without music, with the microphone near the mouth; check that the sound is of this video.",
        )
    if speech.speech_over_noise_db is not None and speech.speech_over_noise_db < NOISY_DB:
        yield _warn(
            "sound",
            f"The voice is only {speech.speech_over_noise_db:.0f} dB over the background: pauses are not heard.",
            "Film in a quiet room without music.",
        )
    if speech.level_db is not None and speech.level_db < QUIET_DB:
        yield _warn("sound", f"The sound is faint ({speech.level_db:.0f} dB).", "Bring the microphone nearer.")
    if speech.clipped > CLIPPED:
        yield _warn("sound", f"The sound is clipped ({speech.clipped:.1%} of it).", "Lower the microphone's level.")
    if speech.voiced_s < GOOD_VOICED_S:
        yield _warn(
            "sound",
            f"Only {speech.voiced_s:.0f} s of speech: the lips will move more like an average speaker's.",
            "Speak for a minute or two.",
        )


def _light(light: LightFacts) -> Iterator[Finding]:
    if light.blown > BLOWN:
        yield _warn(
            "light",
            f"{light.blown:.0%} of the skin is blown out: white spots that stay where they are.",
            "Soften the lamp, or lower the exposure and lock it.",
        )
    if light.skin_brightness is not None and light.skin_brightness > BRIGHT:
        yield _warn("light", f"The face is too bright ({light.skin_brightness:.0f} of 255).", "Lower the exposure.")
    elif light.crushed > CRUSHED or (light.skin_brightness is not None and light.skin_brightness < DARK):
        yield _warn(
            "light",
            f"The face is too dark ({light.skin_brightness or 0:.0f} of 255).",
            "Face a window or a lamp, with no light behind.",
        )
    if light.drift > DRIFT:
        yield _warn(
            "light",
            f"The light on the face changes by {light.drift:.0%}: the avatar has one light, between them.",
            "Lock the exposure; stay out of changing light.",
        )
    elif light.background_change is not None and light.background_change > BACKGROUND_CHANGE:
        yield _warn(
            "light",
            "The background moves: the avatar stands before its average, which is blurred.",
            "Put the camera on something firm, before a wall.",
        )
    if light.flicker > FLICKER:
        yield _warn(
            "light",
            f"The light flickers by {light.flicker:.1%}.",
            "Use daylight or other lamps, or a shutter of 1/50 s (1/60 s in 60 Hz countries).",
        )


def _face(facts: DataFacts) -> Iterator[Finding]:
    mouth, expression, pose, seconds = facts.mouth, facts.expression, facts.pose, facts.video.seconds
    if mouth.opening[2] < WIDE_OPENING:
        yield _warn("face", "The mouth hardly opens: an open one is a guess.", "Speak clearly, with some wide vowels.")
    if mouth.closed_s < CLOSED_SHARE * seconds:
        yield _warn(
            "face", "The lips hardly ever meet: P, B and M will stay open.", "Pause with closed lips now and then."
        )
    if expression.blinks == 0 and seconds >= BLINKLESS_S:
        yield _warn("face", "The eyes never shut: a blink is a guess.", "Blink as usual; a few long ones help.")
    if expression.eyes_shut_share > SHUT_SHARE:
        yield _warn(
            "face", f"The eyes are shut for {expression.eyes_shut_share:.0%} of the time.", "Look at the camera."
        )
    turn, most = pose.yaw[1] - pose.yaw[0], max(abs(pose.yaw[0]), abs(pose.yaw[1]))
    if turn < TURN_DEG:
        yield _warn(
            "face",
            f"The head turns by {turn:.0f}° in all: from other sides the avatar falls apart.",
            "Turn slowly to both sides and nod, once, by 15° or so.",
        )
    if most > FAR_DEG:
        yield _warn(
            "face", f"The head turns away by {most:.0f}°: one cheek is hidden there.", "Stay within 30° of the camera."
        )
    missing = [
        name
        for name, seen_s, enough_s in (
            ("smile", expression.smile_s, SMILE_S),
            ("brows", expression.brows_up_s, BROWS_S),
        )
        if seen_s < enough_s
    ]
    if missing:
        yield _warn(
            "face",
            f"Little change is seen in the {' and the '.join(missing)}: the avatar's will change as little.",
            "Record a straight face, a smile and some astonishment.",
        )


def _emotion(emotion: EmotionFacts) -> Iterator[Finding]:
    scarce = [label for label, by_strength in emotion.seconds.items() if sum(by_strength.values()) < LABEL_S]
    if scarce:
        yield _warn(
            "emotion",
            f"Less than {LABEL_S:.0f} s are labelled {', '.join(scarce)}: too little to learn it from.",
            "Record 20 s or more of each emotion.",
        )
    calm = NEUTRAL in emotion.seconds or any("0" in by_strength for by_strength in emotion.seconds.values())
    if emotion.seconds and not calm and emotion.unlabelled_s < LABEL_S:
        yield _warn(
            "emotion",
            "No neutral face is shown: `neutral` is estimated, and weak emotions with it.",
            "Record the person with a neutral face too.",
        )
    if emotion.outside_s > 0.1:
        yield _warn(
            "emotion",
            f"{emotion.outside_s:.1f} s of the emotion labels lie after the end of the video.",
            "Check the times in the table: they count from the start of the part that is used.",
        )
