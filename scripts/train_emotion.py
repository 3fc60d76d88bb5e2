"""Train the emotion teacher of the package: ``python scripts/train_emotion.py EMODB_FOLDER [--out FILE]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ua3dtalk.priors.emotion_teacher import SHIPPED
from ua3dtalk.priors.emotion_training import EmotionConfig, Utterance, train_emotion

LABELS = {"W": "angry", "L": "bored", "E": "disgusted", "A": "fearful", "F": "happy", "T": "sad", "N": "neutral"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="EmoDB: 16 kHz files named like 03a01Fa")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--epochs", type=int, default=EmotionConfig.epochs)
    args = parser.parse_args()
    torch.set_num_threads(1)
    utterances = [read(path) for path in sorted(args.folder.iterdir()) if path.suffix in (".wav", ".flac")]
    teacher = train_emotion(utterances, args.out, EmotionConfig(epochs=args.epochs))
    sys.stdout.write(f"{teacher.facts}\n")


def read(path: Path) -> Utterance:
    """Speaker, emotion and sound of one EmoDB file."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32")
    if rate != 16000:
        raise SystemExit(f"{path} has {rate} Hz; 16000 is needed")
    return Utterance(speaker=path.stem[:2], label=LABELS[path.stem[5]], audio=samples)


if __name__ == "__main__":
    main()
