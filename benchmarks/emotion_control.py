"""Whether an avatar shows the emotion that is asked for: ``python benchmarks/emotion_control.py AVATAR SUBJECT``.

For every label that the subject showed and every intensity the avatar says the same sentence, head still and eyes open.
The rendered face is measured by the face mesh, as a stranger would see it. Reported for each label:

- rank correlation of intensity with the expression along the way from the subject's real neutral face to its real face
  in that emotion: of the means, and the mean over single frames (1 is perfect);
- share of frames at full intensity that are named right by a discriminant fitted to the subject's *real* labelled
  training frames, which knows neither the avatar nor the teacher; where none is labelled neutral, the tenth of them
  that shows its emotion least stands for the neutral face;
- how far the mean face is on the way from the real neutral face (0) to the real face in that emotion (1), asked for
  with intensity 0 and with intensity 1;
- correlation of the mouth's opening with what the speech asked for, and how much of it the emotion costs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.stats import spearmanr

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.evaluation.emotion_by_face import FaceEmotionClassifier
from ua3dtalk.evaluation.expression_features import EXPRESSION_NAMES, expression_vector
from ua3dtalk.media.audio import SAMPLE_RATE_HZ
from ua3dtalk.priors.emotion_strength import look_at_labels
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.visual_emotion import FaceEmotions
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.subject.face_signals import face_signals
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.subject.parts import joints_of, split_of
from ua3dtalk.subject.speech_data import SpeechFeatures
from ua3dtalk.subject.store import Subject
from ua3dtalk.synthesis.drive import make_drive, read_speech
from ua3dtalk.synthesis.options import SynthesisOptions
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.normalised import normalised_points

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
OPENING = EXPRESSION_NAMES.index("opening")
STRONG = 0.75
"""A real frame shows its emotion fully from this strength on."""
WEAK = 0.1
"""This share of the frames, the weakest, stands for a neutral face that was not labelled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("subject", type=Path)
    parser.add_argument("--audio", type=Path, help="speech; default: the subject's own, from its test frames")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--every", type=int, default=2, help="measure each n-th frame")
    parser.add_argument("--sheet", type=Path, help="also write a picture of labels and intensities")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    avatar = load_avatar(args.avatar, make_rasterizer(device), device)
    subject = Subject.open(args.subject)
    speech = spoken(subject, args.audio, args.seconds)
    found = measure(avatar, subject, speech, args.every, args.sheet)
    sys.stdout.write((json.dumps(found, indent=1) if args.json else as_text(found)) + "\n")


def spoken(subject: Subject, audio: Path | None, seconds: float) -> SpeechFeatures:
    """Features of what the avatar is to say."""
    start = 0 if audio else round(split_of(subject).test[0] / subject.fps * SAMPLE_RATE_HZ)
    samples = read_speech(audio or subject.folder / "audio.flac")[start:]
    return PhoneEncoder().encode(samples[: round(seconds * SAMPLE_RATE_HZ)])


def real_faces(subject: Subject) -> tuple[np.ndarray, list[str]]:
    """Expression vectors of the real face in labelled training frames at full strength and in neutral ones."""
    track, split = subject.track(), split_of(subject)
    signals, emotions = face_signals(track.head_points), FaceEmotions.load()
    frames = np.array([i for i in split.train if track.valid[i]])
    shown = look_at_labels(subject.labels, signals, frames.tolist(), emotions, joints_of(subject)).request
    names, strengths = np.array(shown.labels)[frames], np.asarray(shown.intensity)[frames]
    calm = names == NEUTRAL
    if not calm.any():
        calm = strengths <= np.quantile(strengths, WEAK)
    names = np.where(calm, NEUTRAL, names)
    kept = calm | (strengths >= STRONG)
    vectors = np.stack([expression_vector(normalised_points(track.landmarks[i])) for i in frames[kept]])
    return vectors, names[kept].tolist()


def measure(
    avatar: Avatar, subject: Subject, speech: SpeechFeatures, every: int, sheet: Path | None
) -> dict[str, object]:
    """All numbers, by label."""
    vectors, names = real_faces(subject)
    classifier = FaceEmotionClassifier.fit(vectors, names)
    if classifier is None:
        raise SystemExit("The subject's training frames carry fewer than two labels.")
    means = {name: vectors[np.array(names) == name].mean(0) for name in classifier.labels}
    spread = vectors[np.array(names) == NEUTRAL].std(0) + 1e-6
    labels = [name for name in avatar.priors.askable.shown if name in means and name != NEUTRAL]
    found: dict[str, object] = {"levels": LEVELS, "classifier_on_real_frames": _accuracy(classifier, vectors, names)}
    rows, calm = [], None
    with FaceMeshLandmarks(static=True) as model:
        for label in labels:
            seen, pictures = zip(*[faces(avatar, speech, label, s, every, model) for s in LEVELS], strict=True)
            rows.append((label, pictures))
            calm = seen[0] if calm is None else calm
            found[label] = numbers(label, np.stack(seen), classifier, means[NEUTRAL], means[label], spread)
        asked = opening_asked(avatar, speech, every)
        for label in labels:
            found[label] |= {"mouth_r": round(_r(found[label].pop("opening"), asked), 3)}  # type: ignore[union-attr, operator]
        found["neutral_mouth_r"] = round(_r(calm[:, OPENING], asked), 3) if calm is not None else None
    if sheet is not None:
        write_sheet(sheet, rows)
    return found


def faces(
    avatar: Avatar, speech: SpeechFeatures, label: str, intensity: float, every: int, model: FaceMeshLandmarks
) -> tuple[np.ndarray, np.ndarray]:
    """Expression vectors ``[n, 20]`` of rendered frames (NaN where no face is found), and one picture."""
    options = SynthesisOptions(emotion=label, intensity=intensity, pose="still", blink="none")
    count = round(speech.num_audio_frames / speech.rate_hz * 25) - 1
    drive = make_drive(avatar, speech, count, options, np.random.default_rng(0))
    vectors, pictures = [], []
    for i in range(0, count, every):
        image = avatar.render(drive.conditions.frame(i), drive.viewmats[i], int(drive.torso[i])).image
        points = model.detect(image)
        nothing = np.full(len(EXPRESSION_NAMES), np.nan)
        vectors.append(nothing if points is None else expression_vector(normalised_points(points)))
        pictures.append(image if points is None else close_up(image, points))
    return np.stack(vectors), pictures[len(pictures) // 2]


def close_up(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The square around a face, 1.5 times its height."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    half = min(0.75 * float(high[1] - low[1]), image.shape[0] / 2, image.shape[1] / 2)
    x, y = np.clip((low + high) / 2, half, [image.shape[1] - half, image.shape[0] - half]).round().astype(int)
    return image[int(y - half) : int(y + half), int(x - half) : int(x + half)]


def numbers(
    label: str,
    seen: np.ndarray,
    classifier: FaceEmotionClassifier,
    neutral: np.ndarray,
    full: np.ndarray,
    spread: np.ndarray,
) -> dict[str, object]:
    """Control of one label. ``seen``: ``[levels, frames, 20]``; ``neutral`` and ``full``: means of real faces."""
    axis = (full - neutral) / spread**2
    along = (seen - neutral) @ axis / ((full - neutral) @ axis)  # [levels, frames]
    whole = np.isfinite(along).all(0)
    single = [_rank(along[:, k]) for k in np.flatnonzero(whole)]
    named = [classifier.predict(vector) for vector in seen[-1] if np.isfinite(vector).all()]
    return {
        "rank_correlation": round(_rank(np.nanmean(along, axis=1)), 3),
        "rank_correlation_of_frames": round(float(np.mean(single)), 3),
        "named_right": round(float(np.mean([name == label for name in named])), 3),
        "way": [round(float(np.nanmean(along[k])), 2) for k in (0, -1)],
        "frames": int(whole.sum()),
        "opening": seen[-1, :, OPENING],
    }


def opening_asked(avatar: Avatar, speech: SpeechFeatures, every: int) -> np.ndarray:
    """The mouth's opening that the speech asks for, without emotion."""
    count = round(speech.num_audio_frames / speech.rate_hz * 25) - 1
    options = SynthesisOptions(emotion=NEUTRAL, pose="still", blink="none")
    return make_drive(avatar, speech, count, options, np.random.default_rng(0)).features.lower[::every, -1]


def write_sheet(path: Path, rows: list[tuple[str, tuple[np.ndarray, ...]]], side: int = 160) -> None:
    """Labels downwards, intensities across."""
    lines = []
    for label, pictures in rows:
        cells = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC) for picture in pictures]
        for level, cell in zip(LEVELS, cells, strict=True):
            cv2.putText(cell, f"{label} {level:g}", (5, side - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, 16)
        lines.append(np.concatenate(cells, axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(lines)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def as_text(found: dict[str, object]) -> str:
    """A table."""
    lines = [f"{'label':10s} {'rank r':>7s} {'frames':>7s} {'named':>6s} {'way':>11s} {'mouth r':>8s}"]
    for label, values in found.items():
        if isinstance(values, dict):
            lines.append(
                f"{label:10s} {values['rank_correlation']:7.3f} {values['rank_correlation_of_frames']:7.3f} "
                f"{values['named_right']:6.2f} {values['way'][0]:5.2f} {values['way'][1]:5.2f} {values['mouth_r']:8.3f}"
            )
    lines.append(f"mouth r at neutral {found['neutral_mouth_r']}; real frames {found['classifier_on_real_frames']}")
    return "\n".join(lines)


def _accuracy(classifier: FaceEmotionClassifier, vectors: np.ndarray, names: list[str]) -> float:
    right = [classifier.predict(vector) == name for vector, name in zip(vectors, names, strict=True)]
    return round(float(np.mean(right)), 3)


def _rank(values: np.ndarray) -> float:
    return float(np.asarray(spearmanr(LEVELS, values))[0])


def _r(a: object, b: np.ndarray) -> float:
    values = np.asarray(a, float)
    known = np.isfinite(values)
    return float(np.corrcoef(values[known], b[known])[0, 1])


if __name__ == "__main__":
    main()
