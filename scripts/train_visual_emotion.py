"""Learn how emotions move faces: ``python scripts/train_visual_emotion.py CLIPS_FOLDER [--out FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ua3dtalk.core.progress import Silent
from ua3dtalk.priors.visual_emotion import SHIPPED, SYNTHETIC
from ua3dtalk.priors.visual_emotion_training import Clip, fit_face_emotions, leave_one_person_out, unweighted_recall
from ua3dtalk.subject.actor.config import ActorConfig, Cue
from ua3dtalk.subject.actor.generate import Actor
from ua3dtalk.subject.face_signals import face_signals
from ua3dtalk.subject.labels import NEUTRAL
from ua3dtalk.tracking.landmarks import FaceMeshLandmarks
from ua3dtalk.tracking.normalised import normalised_points
from ua3dtalk.tracking.video_signals import video_signals

WORDS = {"angry": "angry", "happy": "happy", "sad": "sad", "fear": "fearful", "disgusted": "disgusted",
         "contempt": "contempt"}  # fmt: skip
SAME_PERSON = {"actor_": "actor", "mead_m030_sad": "m030", "mead_sad": "m030", "aoc2": "aoc", "hdtf_aoc": "aoc",
               "obama": "obama"}  # fmt: skip
LEFT_OUT = ("cartoon", "emotional", "actor_amused", "bigpose", "fullbody")
SECONDS = 30.0
ACTORS = 6
EVERY = 3
JUDGED = (NEUTRAL, "happy", "sad", "angry")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="clips whose names hold the emotion; others count as neutral")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    args = parser.parse_args()
    clips = [*real_clips(args.folder), *synthetic_clips()]
    shares = leave_one_person_out(clips)
    figures = {"recall": round(unweighted_recall(shares, JUDGED), 3), "of": JUDGED, "by_person": shares}
    model = fit_face_emotions(clips, {"left_one_person_out": figures})
    model.save(args.out)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


def real_clips(folder: Path) -> list[Clip]:
    """Every clip of the folder as one person in one emotion."""
    clips = []
    for path in sorted([*folder.glob("*.mp4"), *folder.glob("grid/*.mpg")]):
        if path.name.startswith(LEFT_OUT):
            continue
        emotions = [WORDS[part] for part in path.stem.split("_") if part in WORDS]
        person = next((name for start, name in SAME_PERSON.items() if path.name.startswith(start)), path.stem)
        signals = video_signals(path, Silent(), max_seconds=4.0 if path.name.startswith("mead_sad") else SECONDS)
        clips.append(Clip(person, emotions[0] if emotions else NEUTRAL, signals))
        sys.stderr.write(f"{path.name}: {clips[-1].person}, {clips[-1].label}, {len(signals)} frames\n")
    return clips


def synthetic_clips() -> list[Clip]:
    """The embedded actor in different looks, its four emotions at full strength."""
    plan = [("neutral", 0.0), ("happy", 1.0), ("neutral", 0.0), ("sad", 1.0), ("neutral", 0.0), ("angry", 1.0)]
    cues = tuple(Cue(label=label, intensity=strength, seconds=2.0) for label, strength in plan)
    clips = []
    with FaceMeshLandmarks(static=True) as model:
        for seed in range(ACTORS):
            actor = Actor(ActorConfig(seed=seed, plan=cues))
            truth = actor.truth()
            found: dict[str, list[np.ndarray]] = {}
            for i in range(0, actor.num_frames, EVERY):
                points = model.detect(actor.render(i))
                if points is not None:
                    found.setdefault(truth.emotions[i], []).append(face_signals(normalised_points(points)[None])[0])
            clips += [Clip(SYNTHETIC, label, np.repeat(rows, EVERY, axis=0)) for label, rows in found.items()]
    return clips


if __name__ == "__main__":
    main()
