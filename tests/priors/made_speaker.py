"""A speaker made of numbers: speech features, a face that follows them, and a subject folder that holds both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ua3dtalk.priors.lip_targets import LIP_POINTS
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.labels import EmotionSpan
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import SourceFacts, Subject
from ua3dtalk.subject.track_data import UPPER_NAMES, TrackData

LABELS = ("angry", "happy", "neutral", "sad")


def made_speech(seconds: float, seed: int = 0) -> SpeechFeatures:
    """Random phones of 50 to 150 ms with pauses; mel follows loosely."""
    rng = np.random.default_rng(seed)
    frames = round(100 * seconds) + 1
    phones = np.zeros((frames, 42), np.float32)
    silence = phone_names().index("SIL")
    at = 0
    while at < frames:
        pause = rng.random() < 0.06
        length = int(rng.integers(40, 80) if pause else rng.integers(5, 15))
        phones[at : at + length, silence if pause else rng.integers(39)] = 1
        at += length
    kernel = np.array([0.25, 0.5, 0.25])
    phones = np.stack([np.convolve(np.pad(c, 1, mode="edge"), kernel, "valid") for c in phones.T], axis=1)
    mel = np.where(phones[:, [silence]] > 0.5, -12.0, -4.0) + rng.normal(0, 0.5, (frames, 80))
    voice = np.stack([36 + np.cumsum(rng.normal(0, 0.2, frames)), *rng.random((8, frames))], axis=1)
    tracks = (track.astype(np.float32) for track in (phones, mel, voice))
    return SpeechFeatures(*tracks, encoder=PhoneEncoder().name)


def made_opening(speech: SpeechFeatures, num_frames: int, delay_frames: float = 0.0) -> np.ndarray:
    """A mouth that opens for vowels, wide for AA, and shuts for bilabials and silence, 40 ms averages."""
    wide = np.full(42, 0.4)
    for name, value in {"AA": 1.0, "AE": 0.9, "AY": 0.9, "P": 0.0, "B": 0.0, "M": 0.0, "SIL": 0.0}.items():
        wide[phone_names().index(name)] = value
    track = speech.phones @ wide
    track = np.convolve(np.pad(track, 3, mode="edge"), np.full(7, 1 / 7), "valid")
    index = (np.arange(num_frames) + delay_frames) * 4
    return np.interp(index, np.arange(len(track)), track)


def made_track(opening: np.ndarray, seed: int = 0, upper: np.ndarray | None = None) -> TrackData:
    """A face of random points whose lower lip follows ``opening``."""
    rng = np.random.default_rng(seed)
    count = len(opening)
    mesh = rng.normal(0, 0.03, (468, 3))
    mesh[33], mesh[263] = [-0.045, 0.03, 0.0], [0.045, 0.03, 0.0]
    mesh[list(LIP_POINTS)] = rng.normal(0, 0.01, (len(LIP_POINTS), 3)) + np.array([0, -0.04, 0.02])
    mesh[13] = mesh[14] = [0, -0.04, 0.02]
    mesh[61], mesh[291] = [-0.025, -0.04, 0.01], [0.025, -0.04, 0.01]
    points = np.tile(mesh, (count, 1, 1))
    points[:, [14, 17, 87, 317, 178, 402], 1] -= 0.02 * opening[:, None]
    points[:, 61, 0] += 0.004 * opening
    points += rng.normal(0, 2e-4, points.shape)
    score = (opening - opening.mean()) / opening.std()
    lower = rng.normal(0, 1, (count, 13))
    lower[:, 0] = 0.9 * score + 0.3 * lower[:, 0]
    lower[:, 12] = score
    upper = rng.normal(0, 1, (count, len(UPPER_NAMES))) if upper is None else upper
    return TrackData(
        viewmats=np.tile(np.eye(4), (count, 1, 1)),
        K=np.eye(3),
        landmarks=np.zeros((count, 478, 3), np.float32),
        lower=lower.astype(np.float32),
        upper=upper.astype(np.float32),
        opening=(0.2 * opening).astype(np.float32),
        width=np.ones(count, np.float32),
        action_units=np.zeros((count, 0), np.float32),
        au_names=(),
        mesh=mesh.astype(np.float32),
        mesh_basis=np.zeros((19, 468, 3), np.float32),
        valid=np.ones(count, bool),
        head_points=points.astype(np.float32),
    )


def made_subject(
    folder: Path, track: TrackData, audio: np.ndarray | None = None, labels: tuple[EmotionSpan, ...] = ()
) -> Subject:
    """A subject folder with track and sound only."""
    source = SourceFacts(name="made", sha256="0" * 64, num_frames=track.num_frames, width=8, height=8, labels=labels)
    subject = Subject.create(folder, source)
    track.save(folder / "track.npz")
    if audio is not None:
        soundfile.write(folder / "audio.flac", audio, 16000)
    subject.finish_stage("audio", ["audio.flac"] if audio is not None else [], {"present": audio is not None})
    return subject
