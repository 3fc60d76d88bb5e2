"""The content prior and a person's content, on people that the weights do not know.

Every person is left out in turn, with all clips of that person: weights and offsets come from the others. Tables:

- *unseen*: correlation of predicted and tracked lips of each clip, at the clip's own offset;
- *lag*: windows of 2 s (one every half second), slid by -15 to 15 frames; right where the lag is within one frame of
  the clip's own offset; counted over all windows, and over those that hold speech for at least half of the time;
- *planted*: the sound itself moved by whole frames, and the offset found again, clips of 8 s and more;
- *adapted*: subjects of 20 s and more, fitted on all but their last 10 s (or last fifth), with a prior that does not
  know the person; R² of the lower face's motion is that of least squares from sound and the head's turn, from sound
  alone, and as used, with the gain that gives lips back their amplitude and costs R²; each on the last seconds, and
  in blocks left out of the training frames, about each block's mean;
- *style*: error of the whole face in those seconds, with the style network and with content alone, for each seed.

Run: python benchmarks/content.py [PERSON=]CLIP... [--cache FOLDER] [--seeds 2] [--json]
A CLIP is a subject folder or a video; only subject folders can be adapted to.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Silent
from ua3dtalk.evaluation.lip_expert import lip_sync
from ua3dtalk.priors.content import ContentPrior, voice_activity
from ua3dtalk.priors.content_training import ContentConfig, HeldOut, figures, mean_figure, train_held_out
from ua3dtalk.priors.context import apply_to_context
from ua3dtalk.priors.head_turn import fit_head_turn
from ua3dtalk.priors.offset import correlation, find_offset
from ua3dtalk.priors.person import FOLD_GAP, fit_person, make_folds, predict_person
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.style import StyleConfig, StyleNet, fit_style, style_features, whole_face
from ua3dtalk.recipes.content_clips import load_clip, person_and_path
from ua3dtalk.subject.store import Subject

FPS = 25
WINDOW, STEP = 50, 12
PLANTED = (-7, 5)
LONG_S = 8.0
ADAPT_S = 20.0


def at_50_hz(clip: HeldOut) -> np.ndarray:
    return clip.predicted(np.arange(int(clip.speech.num_audio_frames / 2)) / 50)


def lag_row(clip: HeldOut) -> dict[str, object]:
    """Windows of 2 s in whole frames around the clip's own offset."""
    predicted, own = at_50_hz(clip), clip.offset.applied_frames
    times = np.clip(np.round(np.arange(len(clip.targets)) + own).astype(int), 0, None)
    heard = voice_activity(clip.speech, int(times.max()) + 1)[times]
    right: list[bool] = []
    spoken: list[bool] = []
    for start in range(0, len(clip.targets) - WINDOW + 1, STEP):
        here = slice(start, start + WINDOW)
        found = lip_sync(predicted, clip.targets[here], start)
        right.append(found is not None and abs(found.offset_frames + own) <= 1)  # the other sign, see LipSync
        spoken.append(float(heard[here].mean()) >= 0.5)
    in_speech = [r for r, s in zip(right, spoken, strict=True) if s]
    return {"clip": clip.source.name, "windows": len(right), "right": sum(right),
            "windows_in_speech": len(in_speech), "right_in_speech": sum(in_speech)}  # fmt: skip


def planted_row(clip: HeldOut) -> dict[str, object]:
    """Offsets found again after the sound was moved by whole frames."""
    errors = []
    for frames in PLANTED:
        samples = 640 * abs(frames)
        audio = clip.source.audio
        moved = np.pad(audio, (samples, 0)) if frames > 0 else audio[samples:]
        speech = PhoneEncoder().encode(moved.astype(np.float32))
        again = HeldOut(clip.source, speech, clip.targets, clip.offset, clip.weights)
        found = find_offset(at_50_hz(again), clip.targets)
        errors.append(abs(found.frames - clip.offset.frames - frames))
    return {"clip": clip.source.name, "own_offset": clip.offset.frames, "errors": errors, "found": max(errors) <= 1}


def adapted_rows(clip: HeldOut, basis: np.ndarray, path: Path, seeds: int) -> tuple[dict, list[dict]]:
    """The person's own content and style, judged on the last seconds."""
    track, count = Subject.open(path).track(), len(clip.targets)
    start = count - min(10 * FPS, count // 5)
    frames = [i for i in range(start - FOLD_GAP) if track.valid[i]]
    test = np.array([i for i in range(start, count) if track.valid[i]])
    shift_s = clip.offset.applied_frames / FPS
    speech = clip.speech.shifted(shift_s)
    prior = unseen_prior(clip, basis, speech)
    content = prior.features(speech, voice_activity(speech, count))
    face = standardised(np.concatenate([track.lower, track.upper], axis=1)[:count], frames)
    folds, by_style, rows = make_folds(frames), np.zeros_like(face[:, :13]), []
    truth, lips = face[:, :13].copy(), prior.predict(speech, np.arange(count) / FPS)
    _, turned = fit_head_turn(track.viewmats[:count], lips, truth, frames, folds)
    face[:, :13] -= turned
    for seed in range(seeds):

        def train(used: list[int], with_style: bool, seed: int = seed) -> StyleNet:
            rng = np.random.default_rng(seed)
            return fit_style(speech, content, face, used, StyleConfig(), rng, with_style=with_style)

        net, plain = train(frames, True), train(frames, False)
        both = whole_face(net, style_features(net, speech, count), content)
        alone = whole_face(plain, np.zeros_like(content), content)
        error, error_alone = (float(np.abs(p - face)[test].mean()) for p in (both, alone))
        rows.append({"subject": clip.source.name, "seed": seed, "with_style": round(error, 4),
                     "content_alone": round(error_alone, 4), "ratio": round(error / error_alone, 4)})  # fmt: skip
        if seed == 0:
            by_style = both[:, :13].copy()
            for fold in folds:
                of_fold = train(list(fold.fit), True)
                held = np.asarray(fold.held)
                by_style[held] = whole_face(of_fold, style_features(of_fold, speech, count), content)[held, :13]
    person, held_out = fit_person(prior, speech, face[:, :13], by_style, frames, folds)
    share = float(person.style_share[0])
    least = (1 - share) * apply_to_context(speech, test / FPS, person.weights) + share * by_style[test]
    used = predict_person(person, prior, speech, by_style) + turned
    used[frames] = held_out + turned[frames]
    lips_basis, true = track.mesh_basis[:12], truth[test]
    held_used, held_true = ([of[fold.held] for fold in folds] for of in (used, truth))
    return {"subject": clip.source.name, "seconds": round(len(test) / FPS, 1), "style_share": share,
            "opening_r": round(correlation(used[test, 12], true[:, 12]), 3),
            "opening_r_sound": round(correlation(least[:, 12], true[:, 12]), 3),
            "centred_r2": round(centred_r2([least + turned[test]], [true], lips_basis), 3),
            "centred_r2_sound": round(centred_r2([least], [true], lips_basis), 3),
            "centred_r2_with_gain": round(centred_r2([used[test]], [true], lips_basis), 3),
            "out_of_fold_with_gain": round(centred_r2(held_used, held_true, lips_basis), 3),
            "mean_abs_lag_sound": round(mean_lag((used - turned)[test], true), 2)}, rows  # fmt: skip


def unseen_prior(clip: HeldOut, basis: np.ndarray, speech: object) -> ContentPrior:
    """A prior of the other people's weights; its features are normalised on this clip, as nothing else is at hand."""
    plain = ContentPrior(weights=clip.weights, basis=basis, feature_mean=np.zeros(64, np.float32),
                         feature_scale=np.ones(64, np.float32), encoder=clip.speech.encoder, facts={})  # fmt: skip
    raw = plain.raw_features(clip.speech, voice_activity(clip.speech, len(clip.targets)))
    scale = np.maximum(raw.std(axis=0), 1e-4)
    return ContentPrior(weights=clip.weights, basis=basis, feature_mean=raw.mean(axis=0), feature_scale=scale,
                        encoder=clip.speech.encoder, facts={})  # fmt: skip


def standardised(face: np.ndarray, frames: list[int]) -> np.ndarray:
    used = face[frames]
    return ((face - used.mean(axis=0)) / (used.std(axis=0) + 1e-6)).astype(np.float32)


def centred_r2(predicted: list[np.ndarray], true: list[np.ndarray], basis: np.ndarray) -> float:
    """Share of the lower face's motion that is explained, about the mean of each stretch; components by how far they
    move it."""
    weight = np.square(basis).sum(axis=(1, 2))
    left, moved = (
        sum(float(np.square(part - part.mean(axis=0)).sum(axis=0) @ weight) for part in parts)
        for parts in ([(p - t)[:, :12] for p, t in zip(predicted, true, strict=True)], [t[:, :12] for t in true])
    )
    return 1 - left / moved


def mean_lag(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean over windows of 2 s of the magnitude of the lag with the best correlation, summed over opening and lips."""
    columns, lags = (0, 1, 2, 12), range(-12, 13)
    found = []
    for start in range(0, len(true) - WINDOW + 1, STEP):
        scores = []
        for lag in lags:
            i = np.arange(start, start + WINDOW)
            i = i[(i + lag >= 0) & (i + lag < len(true))]
            scores.append(sum(correlation(predicted[i + lag, c], true[i, c]) for c in columns) if len(i) > 37 else -9.0)
        found.append(abs(lags[int(np.argmax(scores))]))
    return float(np.mean(found))


def measure(named: list[str], cache: Path | None, seeds: int) -> dict:
    clips, left_out = [], {}
    for person, path in map(person_and_path, named):
        try:
            clips.append((path, load_clip(path, person, whole=True, cache=cache)))
        except UserError as error:
            left_out[path.stem] = error.what
    config, encoder = ContentConfig(), PhoneEncoder()
    basis, held_out, _ = train_held_out([clip for _, clip in clips], config, encoder, Silent())
    unseen = [figures(clip) for clip in held_out]
    believed = [clip for clip in held_out if clip.offset.accepted]
    lag = [lag_row(clip) for clip in believed]
    long = [clip for clip in believed if len(clip.targets) >= LONG_S * FPS]
    adapted, style = [], []
    for (path, _), clip in zip(clips, held_out, strict=True):
        if path.is_dir() and clip.offset.accepted and len(clip.targets) >= ADAPT_S * FPS - 5:
            row, rows = adapted_rows(clip, basis, path, seeds)
            adapted.append(row)
            style += rows
    return {
        "unseen": unseen,
        "unseen_mean": {
            by: {key: round(mean_figure(unseen, key, by), 3) for key in ("opening_r", "width_r")}
            for by in ("clip", "speaker", "length")
        },
        "lag": lag,
        "lag_right": share(lag, "right", "windows"),
        "lag_right_in_speech": share(lag, "right_in_speech", "windows_in_speech"),
        "planted": [planted_row(clip) for clip in long],
        "adapted": adapted,
        "style": style,
        "left_out": left_out,
        "machine": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }


def share(rows: list[dict], part: str, whole: str) -> float:
    return round(sum(row[part] for row in rows) / max(1, sum(row[whole] for row in rows)), 4)


def show(results: dict) -> None:
    for name in ("unseen", "lag", "planted", "adapted", "style"):
        rows = results[name]
        sys.stdout.write(f"\n{name}\n" + ("  ".join(rows[0]) if rows else "nothing") + "\n")
        for row in rows:
            sys.stdout.write("  ".join(str(value) for value in row.values()) + "\n")
    for name in ("unseen_mean", "lag_right", "lag_right_in_speech", "left_out"):
        sys.stdout.write(f"{name}: {results[name]}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--cache", type=Path, help="folder that keeps the landmarks of videos")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of the style network; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    results = measure(arguments.clips, arguments.cache, arguments.seeds)
    if arguments.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    else:
        show(results)


if __name__ == "__main__":
    main()
