"""Stages of ``prepare`` that make pictures and sound: frames, parsing, layers, audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ua3dtalk.core.config import to_plain
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.core.parallel import ordered_map
from ua3dtalk.core.progress import Progress, log, track
from ua3dtalk.core.sequence import pieces, spread
from ua3dtalk.media.audio import level_db, read_audio, write_flac
from ua3dtalk.media.joined import LEAST_S, too_short
from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.frames import read_picture
from ua3dtalk.subject.labels import Label
from ua3dtalk.subject.parts import VideoPart, joints_of
from ua3dtalk.subject.store import FPS, Subject
from ua3dtalk.tracking.alignment import align_heads
from ua3dtalk.tracking.colour import colour_bins
from ua3dtalk.tracking.crop import Speaker, choose_box, scan_for_speaker, speaker_of_all
from ua3dtalk.tracking.layers import fill_holes, masked_median, torso_layer
from ua3dtalk.tracking.parsing import Keyframe, Parser, to_work_size, without_flicker, work_scale
from ua3dtalk.tracking.person import PersonMask
from ua3dtalk.tracking.prepare_config import PrepareConfig
from ua3dtalk.tracking.projection import Poses
from ua3dtalk.tracking.stage_io import atomic_folder, load_arrays, write_picture

Outcome = tuple[list[str], dict[str, Any]]
"""Names of the files and folders that a stage wrote, and what it found out."""

MIN_SECONDS = 3.0
SCAN_EVERY = 12
SCAN_AT_MOST = 120
BACKGROUND_FRAMES = 96
SILENCE_DB = -60.0


def run_frames(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Find the speaker, choose the box, write the frames."""
    expected = reader.expected_frames
    if expected is not None and expected < MIN_SECONDS * subject.fps:
        raise _too_short(reader, expected)
    _refuse_some_silent(reader)
    speaker, shape = _find_speaker(reader, progress)
    box = choose_box(speaker, shape[1], shape[0], config.size)
    with atomic_folder(subject.folder / "frames") as folder:

        def store(numbered: tuple[int, np.ndarray]) -> float | None:
            """Write a frame; every fiftieth is read back: its mean squared error."""
            i, picture = numbered[0], box.apply(numbered[1])
            path = folder / f"{i:06d}.jpg"
            write_picture(path, picture)
            return None if i % 50 else float(np.mean((read_picture(path, 3).astype(np.float32) - picture) ** 2))

        counts = [0] * len(reader.parts)

        def pictures() -> Iterator[np.ndarray]:
            for k, part in enumerate(reader.parts):
                for picture in part:
                    counts[k] += 1
                    yield picture

        written = list(track(progress, "frames", ordered_map(store, enumerate(pictures())), expected))
        count, error = len(written), [value for value in written if value is not None]
        if count < MIN_SECONDS * subject.fps:
            raise _too_short(reader, count)
    subject.set_size(count, box.out_width, box.out_height)
    if speaker.num_faces > 1:
        log.info("%d faces seen; following the largest one that stays.", speaker.num_faces)
    facts = {
        "box": to_plain(box),
        "faces_seen": speaker.num_faces,
        "samples": speaker.num_samples,
        "samples_with_face": len(speaker.boxes),
        "source": to_plain(reader.facts),
        "jpeg_psnr_db": round(10 * np.log10(255**2 / max(float(np.mean(error)), 1e-9)), 2),
    }
    if len(counts) > 1:
        facts["videos"] = to_plain(_joined(reader.parts, counts))
    return ["frames"], facts


def _find_speaker(reader: VideoReader, progress: Progress) -> tuple[Speaker, tuple[int, int]]:
    """The speaker of all videos together, and height and width of their pictures."""
    found, shape = [], (0, 0)
    for part in reader.parts:
        expected = part.expected_frames
        every = max(SCAN_EVERY, (expected or 0) // SCAN_AT_MOST)
        speaker, shape = scan_for_speaker(track(progress, "looking for the face", part, expected), every)
        if speaker is None:
            raise UserError(f"{part.path}: no face was found.", "Film one person from the front, in good light.")
        found.append(speaker)
    return (found[0] if len(found) == 1 else speaker_of_all(found)), shape


def _refuse_some_silent(reader: VideoReader) -> None:
    """Of several videos with sound, all are silent or none is."""
    if len(reader.parts) > 1 and reader.facts.has_audio:
        seconds = [None if part.expected_frames is None else part.expected_frames / FPS for part in reader.parts]
        sounds = [read_audio(part.path, part.start_s, s)[0] for part, s in zip(reader.parts, seconds, strict=True)]
        silent = [part.path for part, one in zip(reader.parts, sounds, strict=True) if level_db(one) < SILENCE_DB]
        if 0 < len(silent) < len(sounds):
            cure = f"Leave {silent[0].name} out, or give a version of it with sound."
            raise UserError(f"{silent[0]} is silent, but others are not.", cure)


def _joined(parts: Sequence[VideoReader], counts: Sequence[int]) -> tuple[VideoPart, ...]:
    """Where each video begins in the subject."""
    for part, count in zip(parts, counts, strict=True):
        if count < LEAST_S * FPS:
            raise too_short(part.path, count)
    starts = np.cumsum([0, *counts]).tolist()
    return tuple(
        VideoPart(name=part.path.name, sha256=file_sha256(part.path), first=first, num_frames=count)
        for part, first, count in zip(parts, starts, counts, strict=False)
    )


def _too_short(reader: VideoReader, count: int) -> UserError:
    return UserError(
        f"{reader.path} is too short: {count / 25:.1f} s, at least {MIN_SECONDS:g} s are needed.",
        "Give a longer video; a minute or more is best.",
    )


def run_parsing(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Label every pixel of every frame."""
    landmarks = load_arrays(subject.folder / "landmarks.npz")["landmarks"]
    pose = load_arrays(subject.folder / "pose.npz")
    poses = Poses(pose["rotations"], pose["translations"])
    scale = work_scale(subject.width, subject.height)
    size = (round(subject.width * scale), round(subject.height * scale))
    plane = align_heads(poses, pose["shape"], float(pose["focal"]) * scale, pose["centre"] * scale, size)
    typical = int(np.argmin(np.linalg.norm(plane.matrices - np.median(plane.matrices, axis=0), axis=(1, 2))))
    face = landmarks[typical, :468, :2].astype(np.float64) * scale - 0.5
    face = face @ plane.matrices[typical, :, :2].T + plane.matrices[typical, :, 2]
    parser = Parser(plane, face, config.parsing)
    shares = np.zeros(len(Label))
    with PersonMask() as model:
        chosen = spread(subject.num_frames, config.parsing.keyframes)
        keyframes = []
        for i in track(progress, "learning masks", chosen.tolist()):
            frame = to_work_size(subject.frame(i))
            keyframes.append(Keyframe(i, colour_bins(frame), model.detect(frame)))
        parser.fit(keyframes)
        with atomic_folder(subject.folder / "parsing") as folder:

            def seen() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
                for i, frame in enumerate(ordered_map(subject.frame, range(subject.num_frames), workers=1)):
                    yield i, frame, model.detect(frame)

            def label(one: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
                i, frame, person = one
                return parser.label(i, frame, person, landmarks[i])

            def store(numbered: tuple[int, np.ndarray]) -> np.ndarray:
                i, labels = numbered
                write_picture(folder / f"{i:06d}.png", labels)
                return np.bincount(labels.ravel(), minlength=len(Label)) / labels.size

            steady = enumerate(without_flicker(ordered_map(label, seen()), joints_of(subject)))
            for share in track(progress, "parsing", ordered_map(store, steady), subject.num_frames):
                shares += share
    shares /= subject.num_frames
    return ["parsing"], {
        "person_model": PersonMask.name,
        "long_hair": list(parser.long_hair),
        "share_of_picture": {label.name.lower(): round(float(shares[label]), 4) for label in Label},
    }


def run_layers(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """Background and torso pictures."""
    landmarks = load_arrays(subject.folder / "landmarks.npz")["landmarks"]
    chosen = spread(subject.num_frames, BACKGROUND_FRAMES)
    kernel = np.ones((2 * max(2, subject.width // 100) + 1,) * 2, np.uint8)
    stack, known = [], []
    for i in chosen.tolist():
        person = (subject.parsing(i) != Label.BACKGROUND).astype(np.uint8)
        stack.append(subject.frame(i))
        known.append(cv2.dilate(person, kernel) == 0)
    background, seen = masked_median(np.array(stack), np.array(known))
    filled = fill_holes(background.astype(np.float32), seen.astype(np.float32))
    background = np.where(seen[..., None], background, filled.clip(0, 255).astype(np.uint8))
    del stack, known
    with atomic_folder(subject.folder / "torso") as folder:

        def store(i: int) -> None:
            layer = torso_layer(subject.frame(i), subject.parsing(i), landmarks[i])
            write_picture(folder / f"{i:06d}.png", layer)

        for _ in track(progress, "torso", ordered_map(store, range(subject.num_frames)), subject.num_frames):
            pass
    partial = subject.folder / ".background.partial.png"
    write_picture(partial, background)
    partial.replace(subject.folder / "background.png")
    return ["torso", "background.png"], {"background_seen": round(float(seen.mean()), 4)}


def run_audio(subject: Subject, reader: VideoReader, config: PrepareConfig, progress: Progress) -> Outcome:
    """The sound that goes with the frames."""
    path: Path = subject.folder / "audio.flac"
    if not reader.facts.has_audio:
        path.unlink(missing_ok=True)
        if config.require_audio:
            raise UserError(f"{reader.path} has no sound.", "Give a video with sound.")
        log.warning("The video has no sound: an avatar of it cannot learn to speak from it.")
        return [], {"present": False, "silent": True, "level_db": None}
    videos = pieces(subject.num_frames, joints_of(subject))
    samples = np.concatenate(
        [read_audio(part.path, part.start_s, len(v) / FPS)[0] for part, v in zip(reader.parts, videos, strict=True)]
    )
    level = level_db(samples)
    silent = level < SILENCE_DB
    if silent:
        if config.require_audio:
            raise UserError(f"{reader.path}: the sound is silent ({level:.0f} dB).", "Give a video with speech.")
        log.warning("The sound is silent (%.0f dB): an avatar of it cannot learn to speak from it.", level)
    write_flac(path, samples)
    return ["audio.flac"], {"present": True, "silent": silent, "level_db": round(level, 1)}
