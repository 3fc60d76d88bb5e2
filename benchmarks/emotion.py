"""How well the emotion teacher hears actors that it has not heard: EmoDB and RAVDESS, within and across.

Every figure is of speakers that were held out as a whole, without any normalisation by the test speaker; intervals are
95 % bootstrap intervals over speakers; several seeds. The *floor* is shrinkage LDA on functionals, the *network* the
co-attention network alone; the teacher is both together, calibrated on other held-out speakers than those it is scored
on. Noise is added to the held-out utterances only, phones and all else are computed from the noisy sound.

RAVDESS (CC BY-NC-SA) gives figures only: nothing that is shipped was trained on it.

Run: python benchmarks/emotion.py --emodb FOLDER --ravdess FOLDER --cache FOLDER [--seeds 3] [--json]
Without --cache the features of both corpora are computed anew, about ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.signal import lfilter
from scipy.special import softmax

from ua3dtalk.core.provenance import software
from ua3dtalk.core.threads import one_thread
from ua3dtalk.media.audio import read_audio
from ua3dtalk.priors.content import voice_activity
from ua3dtalk.priors.emotion_corpora import corpus_files
from ua3dtalk.priors.emotion_data import EmotionData, Utterance, read_utterances, trimmed
from ua3dtalk.priors.emotion_model import AcousticLevels, acoustic_levels, collate
from ua3dtalk.priors.emotion_scores import area_under_curve, average_recall, calibration_error, speaker_interval
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.emotion_training import EmotionConfig, HeldOut, fit_expert, held_out, run
from ua3dtalk.priors.speech_features import PhoneEncoder

HIGH, LOW = ("angry", "happy", "fearful"), ("sad", "bored", "neutral")
NOISE_DB = 10.0
NOISES = {"white": 0.0, "pink": 0.9}
"""Pole of the filter that colours the noise."""
VERSIONS = 4
FOLDS = {"emodb": 10, "ravdess": 5}


def read_corpus(folder: Path, versions: int, cache: Path | None) -> EmotionData:
    """A corpus as the network reads it, from the cache if it is there."""

    def read() -> EmotionData:
        utterances = [
            Utterance(speaker=f.speaker, label=f.label, intensity=f.intensity, audio=read_audio(f.file)[0])
            for f in corpus_files(folder)
        ]
        return read_utterances(utterances, versions, seed=0)

    if cache is None:
        return read()
    file = cache / f"{folder.name}_{versions}.npz"
    if not file.exists():
        data = read()
        arrays: dict[str, Any] = {f"levels.{k}": v.numpy() for k, v in vars(data.levels).items()}
        arrays |= {f.name: np.array(getattr(data, f.name)) for f in fields(data) if f.name != "levels"}
        np.savez(file, **arrays)
    with np.load(file) as found:
        levels = AcousticLevels(**{f.name: torch.from_numpy(found[f"levels.{f.name}"]) for f in fields(AcousticLevels)})
        return EmotionData(
            levels, int(found["versions"]), found["truth"], found["owner"], found["strong"],
            tuple(found["labels"].tolist()), str(found["encoder"]),
        )  # fmt: skip


def coloured(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of one of the colours."""
    return np.asarray(lfilter([1], [1, -NOISES[kind]], rng.normal(size=count)))


def read_noisy(folder: Path, kind: str, cache: Path | None) -> AcousticLevels:
    """The corpus with noise, 10 dB below the speech."""
    file = cache / f"{folder.name}_{kind}.npz" if cache else None
    if file and file.exists():
        with np.load(file) as found:
            return AcousticLevels(**{f.name: torch.from_numpy(found[f.name]) for f in fields(AcousticLevels)})
    encoder, windows = PhoneEncoder(), []
    for i, item in enumerate(corpus_files(folder)):
        audio = read_audio(item.file)[0]
        start, stop = trimmed(audio)
        sound = audio[start * 160 : stop * 160]
        noise = coloured(kind, len(sound), np.random.default_rng([7, i]))
        gain = np.sqrt(np.mean(sound**2) / np.mean(noise**2)) * 10 ** (-NOISE_DB / 20)
        windows.append(acoustic_levels(encoder.encode((sound + gain * noise).astype(np.float32))))
    levels = collate(windows)
    if file:
        np.savez(file, **{k: v.numpy() for k, v in vars(levels).items()})
    return levels


def log_share(probabilities: np.ndarray, labels: tuple[str, ...], some: tuple[str, ...]) -> np.ndarray:
    return np.log(probabilities[:, [labels.index(x) for x in some if x in labels]].sum(axis=1) + 1e-12)


def scores(probabilities: np.ndarray, data: EmotionData, intensity: np.ndarray) -> dict[str, object]:
    """All figures of held-out speakers."""
    names = np.array(data.labels)[data.truth]

    def contrast(ups: tuple[str, ...], downs: tuple[str, ...]) -> dict[str, object]:
        of = np.isin(names, ups + downs)
        score = log_share(probabilities, data.labels, ups) - log_share(probabilities, data.labels, downs)
        return with_interval(lambda i: area_under_curve(score[of][i], np.isin(names[of], ups)[i]), data.owner[of])

    found: dict[str, object] = {
        "uar": with_interval(lambda i: average_recall(probabilities[i], data.truth[i]), data.owner),
        "recall": {
            x: round(float((probabilities.argmax(axis=1) == k)[data.truth == k].mean()), 2)
            for k, x in enumerate(data.labels)
        },
        "arousal_auc": contrast(HIGH, LOW),
        "happy_against_angry_auc": contrast(("happy",), ("angry",)),
        "calibration_error": round(calibration_error(probabilities, data.truth), 3),
    }
    said = data.strong >= 0
    if said.any():
        strong = data.strong == 1
        found["intensity_auc"] = with_interval(
            lambda i: area_under_curve(intensity[said][i], strong[said][i]), data.owner[said]
        )
    return found


def with_interval(score: Callable[[np.ndarray], float], owner: np.ndarray) -> dict[str, object]:
    return {
        "value": round(score(np.arange(len(owner))), 3),
        "interval": [round(x, 3) for x in speaker_interval(score, owner)],
    }


def within(data: EmotionData, folds: int, seeds: int) -> tuple[dict[str, object], HeldOut]:
    """Held-out speakers of one corpus; the first seed in full, the others' average recall."""
    runs = [held_out(data, EmotionConfig(folds=folds, versions=data.versions - 1, seed=seed)) for seed in range(seeds)]
    first = runs[0]
    found = scores(softmax(first.logits(data.truth), axis=1), data, first.intensity)
    found["uar_seeds"] = [round(average_recall(r.logits(data.truth), data.truth), 3) for r in runs]
    together = np.mean([softmax(r.logits(data.truth), axis=1) for r in runs], axis=0)
    found["uar_seeds_averaged"] = round(average_recall(together, data.truth), 3)
    found["floor"] = scores(softmax(0.3 * first.votes, axis=1), data, first.intensity)
    found["network_alone_uar"] = [round(average_recall(r.network, data.truth), 3) for r in runs]
    found["uncalibrated_error"] = round(calibration_error(softmax(first.network + first.votes, axis=1), data.truth), 3)
    return found, first


def in_noise(data: EmotionData, first: HeldOut, noisy: AcousticLevels) -> dict[str, object]:
    """The held-out experts hear their own held-out utterances with noise."""
    network, votes = np.zeros_like(first.network), np.zeros_like(first.votes)
    for k, net in enumerate(first.experts):
        held = np.flatnonzero(first.fold == k)
        _, network[held], votes[held], _ = run(net, noisy[held])
    worse = HeldOut(network, votes, first.intensity, first.fold)
    logits = np.zeros_like(network)
    for k in np.unique(first.fold):  # weighed as without noise
        a, b = first.shares(data.truth, k)
        logits[first.fold == k] = (a * worse.network + b * worse.votes)[first.fold == k]
    clean, loud = average_recall(first.logits(data.truth), data.truth), average_recall(logits, data.truth)
    error = calibration_error(softmax(logits, axis=1), data.truth)
    return {"uar": round(loud, 3), "loss": round(clean - loud, 3), "calibration_error": round(error, 3)}


def across(train: EmotionData, first: HeldOut, test: EmotionData) -> dict[str, object]:
    """Trained on all of one corpus, asked about the labels that the other shares."""
    shared = sorted(set(train.labels) & set(test.labels))
    net = fit_expert(train, np.arange(len(train.truth)), EmotionConfig(versions=train.versions - 1))
    kept = np.flatnonzero(np.isin(np.array(test.labels)[test.truth], shared))
    everyone = np.arange(len(test.truth))
    _, network, votes, intensity = run(net, test.levels[everyone * test.versions])
    a, b = first.shares(train.truth, None)
    columns = [train.labels.index(x) for x in shared]
    probabilities = softmax((a * network + b * votes)[:, columns], axis=1)[kept]
    truth = np.array([shared.index(test.labels[t]) for t in test.truth[kept]])
    found: dict[str, object] = {
        "labels": shared,
        "chance": round(1 / len(shared), 3),
        "uar": with_interval(lambda i: average_recall(probabilities[i], truth[i]), test.owner[kept]),
    }
    high = np.isin(np.array(shared)[truth], HIGH)
    score = log_share(probabilities, tuple(shared), HIGH) - log_share(probabilities, tuple(shared), LOW)
    calm = high | np.isin(np.array(shared)[truth], LOW)
    found["arousal_auc"] = round(area_under_curve(score[calm], high[calm]), 3)
    said = test.strong >= 0
    if said.any():
        found["intensity_auc"] = round(area_under_curve(intensity[said], test.strong[said] == 1), 3)
    return found


def silence() -> dict[str, float]:
    """Largest confidence of the shipped teacher in sound without a voice, by level in dB of full scale."""
    teacher, encoder, found = EmotionTeacher.load(), PhoneEncoder(), {}
    for kind in NOISES:
        for level_db in (-70, -55, -40, -20):
            noise = coloured(kind, 80000, np.random.default_rng(0))
            audio = (noise / np.sqrt(np.mean(noise**2)) * 10 ** (level_db / 20)).clip(-1, 1).astype(np.float32)
            speech = encoder.encode(audio)
            heard = teacher.hear(speech, voice_activity(speech, 125))
            found[f"{kind} {level_db} dB"] = round(float(heard.confidence.max()), 3)
    return found


def cost() -> float:
    """Milliseconds on top of mel and phones for each second of sound: voice tracks aside, one minute, best of three."""
    audio = np.random.default_rng(0).normal(0, 0.1, 60 * 16000).astype(np.float32)
    speech = PhoneEncoder().encode(audio)
    speech.voice[:, 1] = 0.9
    teacher, times = EmotionTeacher.load(), []
    for _ in range(3):
        start = time.process_time()
        teacher.hear(speech, np.ones(60 * 25, np.float32))
        times.append(time.process_time() - start)
    return round(min(times) / 60 * 1000, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emodb", type=Path, required=True)
    parser.add_argument("--ravdess", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.cache:
        args.cache.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {"software": software(), "seeds": args.seeds, "silence": silence(), "cost_ms": cost()}
    with one_thread():
        emodb = read_corpus(args.emodb, VERSIONS, args.cache)
        found["emodb"], first = within(emodb, FOLDS["emodb"], args.seeds)
        found["emodb_in_noise"] = {k: in_noise(emodb, first, read_noisy(args.emodb, k, args.cache)) for k in NOISES}
        if args.ravdess:
            ravdess = read_corpus(args.ravdess, VERSIONS, args.cache)
            found["ravdess"], second = within(ravdess, FOLDS["ravdess"], args.seeds)
            found["emodb_to_ravdess"] = across(emodb, first, ravdess)
            found["ravdess_to_emodb"] = across(ravdess, second, emodb)
    sys.stdout.write(json.dumps(found, indent=None if args.json else 2) + "\n")


if __name__ == "__main__":
    main()
