"""Generate the embedded subject: a video of a synthetic actor with sound, its emotion labels and its truth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, UInt8

from ua3dtalk.core.files import atomic_path
from ua3dtalk.core.progress import Progress, Silent, log
from ua3dtalk.media.video import VideoWriter
from ua3dtalk.subject.actor.config import ActorConfig
from ua3dtalk.subject.actor.expressions import EXPRESSIONS
from ua3dtalk.subject.actor.motion import BodyMotion, FaceMotion, body_motion, face_motion
from ua3dtalk.subject.actor.scene import FramePose, Scene
from ua3dtalk.subject.actor.script import Score, invent_score, score_of_text
from ua3dtalk.subject.actor.truth import ActorTruth, eye_aspect, frames_of_spans, mouth_opening
from ua3dtalk.subject.actor.voice import SAMPLE_RATE_HZ, synthesise_score
from ua3dtalk.subject.labels import EmotionSpan

VIDEO_NAME, EMOTION_NAME, TRUTH_NAME = "actor.mp4", "emotion.csv", "truth.npz"
_DISTANCE_M, _FOCAL_OVER_SIZE = 0.72, 1.92


def mean_face() -> Float[np.ndarray, "468 3"]:
    """The package's own mean face, head frame, metres."""
    source = resources.files("ua3dtalk") / "tracking" / "data" / "mean_face.npz"
    with source.open("rb") as handle, np.load(handle, allow_pickle=False) as data:
        return data["vertices"].astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """Synthetic speech and what is known about it."""

    audio: Float32[np.ndarray, " s"]
    """Mono, 16 kHz, within ±0.9."""
    score: Score
    """Phones, words, emotion and pitch in time."""


class Actor:
    """An actor whose every frame can be rendered, with its labels and its truth.

    Args:
        config: What kind of actor.
    """

    def __init__(self, config: ActorConfig) -> None:
        self.config = config
        voice, face, body, noise = (np.random.default_rng([config.seed, stream]) for stream in range(4))
        self.scene = Scene(mean_face(), config.seed)
        score = invent_score(config.spans, config.pitch_hz, voice)
        self.speech = Speech(audio=synthesise_score(score, noise, config.formant_scale), score=score)
        self.face: FaceMotion = face_motion(score, config.fps, face)
        eyes = 0.5 * (self.scene.skin.vertices[33] + self.scene.skin.vertices[263])
        camera = np.diag([1.0, -1.0, -1.0, 1.0])
        camera[:3, 3] = [0.0, eyes[1] - 0.028, _DISTANCE_M + eyes[2] - 0.04]
        self.body: BodyMotion = body_motion(score, config.fps, body, np.radians(config.head_range_deg), camera)
        # The eyes stay on the camera while the head turns, but for the glances.
        held = np.stack([-self.body.angles_rad[:, 0], self.body.angles_rad[:, 1]], axis=1)
        self.gaze_rad = np.clip(self.face.gaze_rad + 0.9 * held, -0.45, 0.45)
        focal = _FOCAL_OVER_SIZE * config.size
        self.K = np.array([[focal, 0.0, config.size / 2], [0.0, focal, config.size / 2], [0.0, 0.0, 1.0]])

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return len(self.face.weights)

    def pose(self, frame: int) -> FramePose:
        """What moves in a frame."""
        return FramePose(
            weights=self.face.weights[frame],
            gaze_rad=self.gaze_rad[frame],
            tongue=float(self.face.tongue[frame]),
            viewmat=self.body.viewmats[frame],
            torso=self.body.torso[frame],
        )

    def render(self, frame: int) -> UInt8[np.ndarray, "h w 3"]:
        """Picture of a frame, sRGB."""
        return self.scene.render(self.pose(frame), self.K, (self.config.size, self.config.size))

    def render_labels(self, frame: int) -> UInt8[np.ndarray, "h w"]:
        """True parsing of a frame: one ``Label`` per pixel."""
        return self.scene.labels(self.pose(frame), self.K, (self.config.size, self.config.size))

    def truth(self) -> ActorTruth:
        """Everything that is known, for every frame."""
        score, fps = self.speech.score, self.config.fps
        landmarks = self.scene.landmarks(self.face.weights)
        phones = frames_of_spans(np.array([p.start_s for p in score.phones]), self.num_frames, fps)
        spans = frames_of_spans(np.array([s.start_s for s in score.spans]), self.num_frames, fps)
        return ActorTruth(
            viewmats=self.body.viewmats,
            K=self.K,
            angles_rad=self.body.angles_rad,
            torso=self.body.torso,
            weights=self.face.weights,
            expressions=EXPRESSIONS,
            gaze_rad=self.gaze_rad,
            tongue=self.face.tongue,
            landmarks=landmarks,
            opening=mouth_opening(landmarks),
            eye_aspect=eye_aspect(landmarks),
            phone_symbols=tuple(p.symbol for p in score.phones),
            phone_times_s=np.array([[p.start_s, p.end_s] for p in score.phones]),
            frame_phones=tuple(score.phones[k].symbol for k in phones),
            emotions=tuple(score.spans[k].label for k in spans),
            intensity=np.array([score.spans[k].intensity for k in spans]),
            words=score.words,
        )


def generate_actor(out: Path, config: ActorConfig, progress: Progress | None = None) -> ActorTruth:
    """Write ``actor.mp4`` (H.264 and sound), ``emotion.csv`` and ``truth.npz`` of a synthetic actor.

    Args:
        out: Folder; made if missing.
        config: What kind of actor.
        progress: Where to report.

    Returns:
        The truth that was written. ``Actor(config)`` gives the same actor again, to render labels of any frame.

    Source: DESIGN §12. The pictures come from the module's own triangle rasterizer.
    """
    out.mkdir(parents=True, exist_ok=True)
    actor = Actor(config)
    size = (config.size, config.size)
    metadata = {"comment": "Synthetic actor made by ua3dtalk; no real person."}
    with (
        VideoWriter(out / VIDEO_NAME, config.fps, size, actor.speech.audio, SAMPLE_RATE_HZ, metadata) as video,
        (progress or Silent()).task("actor", actor.num_frames) as task,
    ):
        for frame in range(actor.num_frames):
            video.write(actor.render(frame))
            task.advance()
    _write_emotions(out / EMOTION_NAME, config.spans)
    truth = actor.truth()
    truth.save(out / TRUTH_NAME)
    log.info("Actor of seed %d: %d frames in %s.", config.seed, actor.num_frames, out)
    return truth


def _write_emotions(path: Path, spans: tuple[EmotionSpan, ...]) -> None:
    with atomic_path(path) as partial, partial.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["start_s", "end_s", "label", "intensity"])
        writer.writerows([s.start_s, s.end_s, s.label, s.intensity] for s in spans)


def synthesize_voice(
    emotion: str, intensity: float, seconds: float = 5.0, text: str | None = None, config: ActorConfig | None = None
) -> Speech:
    """New speech in the actor's voice.

    Args:
        emotion: One of the actor's emotions.
        intensity: Strength, 0..1.
        seconds: Length when no text is given: sentences are invented from the configuration's seed.
        text: What to say; its words must be in the lexicon (see ``phones.LEXICON``).
        config: Voice and seed; the seed also chooses the words. Default: the demo's actor with words of its own.

    Raises:
        UserError: unknown word or emotion.
    """
    config = config or ActorConfig()
    # Another stream of words than the training video's.
    generator = np.random.default_rng([config.seed, 101, sum(emotion.encode()), round(100 * intensity)])
    if text is not None:
        score = score_of_text(text, emotion, intensity, config.pitch_hz, generator)
    else:
        span = EmotionSpan(start_s=0.0, end_s=seconds, label=emotion, intensity=intensity)
        score = invent_score((span,), config.pitch_hz, generator)
    return Speech(audio=synthesise_score(score, generator, config.formant_scale), score=score)
