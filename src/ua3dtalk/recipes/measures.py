"""Which further metrics a report has, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ua3dtalk.core.errors import UserError
from ua3dtalk.evaluation.action_units import ActionUnitMeter
from ua3dtalk.evaluation.emotion_by_face import ACCURACY, LEAST_FRAMES, FaceEmotionClassifier, FaceEmotionMeter
from ua3dtalk.evaluation.expression_distance import ExpressionDistanceMeter
from ua3dtalk.evaluation.expression_features import expression_vector
from ua3dtalk.evaluation.identity import MODEL_NAME, make_identity_meter
from ua3dtalk.evaluation.jitter import JitterMeter
from ua3dtalk.evaluation.lip_expert_meter import make_lip_expert_meter
from ua3dtalk.evaluation.lip_position import LipPositionMeter
from ua3dtalk.evaluation.lpips import make_lpips_meter, weights_name
from ua3dtalk.evaluation.measure import MakeMeter, Meter, Missing
from ua3dtalk.evaluation.ms_ssim import make_ms_ssim_meter
from ua3dtalk.evaluation.protocol import MakeMeters
from ua3dtalk.evaluation.seam import SeamMeter
from ua3dtalk.evaluation.syncnet_meter import WEIGHTS_NAME, make_syncnet_meter
from ua3dtalk.subject.parts import split_of
from ua3dtalk.subject.store import Subject
from ua3dtalk.tracking.normalised import normalised_points

LEARNT_FRAMES = 2000
"""At most this many labelled frames teach the emotion classifier."""

SoundOf = Callable[[str], np.ndarray | None]
"""Sound that belongs to a row: 16 kHz mono on the picture's time axis; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What a user can bring for metrics that need it."""

    weights: Path | None = None
    """Folder with weights that cannot come with the package; what it lacks is looked for where ``evaluation.weights``
    says."""
    seed: int = 0
    """Seed of the intervals."""


def all_meters(sound_of: SoundOf, options: MeasureOptions, emotion: MakeMeter | None = None) -> MakeMeters:
    """Makers of all meters for every row. Weights are loaded and sounds are heard once.

    Args:
        sound_of: The sound of each row.
        options: What the user brings.
        emotion: Meter of the emotion accuracy; None where nothing is labelled.

    Raises:
        UserError: the folder of weights does not exist, or a file in it does not fit.
    """
    missing = Missing((ACCURACY,), "The video carries no emotion labels: give them with `prepare --labels`.")
    plain: Sequence[MakeMeter] = (
        make_ms_ssim_meter(options.seed),
        make_lpips_meter("alex", _given(options, weights_name("alex")), seed=options.seed),
        make_lpips_meter("vgg", _given(options, weights_name("vgg")), seed=options.seed),
        make_identity_meter(_given(options, MODEL_NAME), seed=options.seed),
        LipPositionMeter,
        ActionUnitMeter,
        ExpressionDistanceMeter,
        emotion or (lambda: missing),
        SeamMeter,
        JitterMeter,
    )
    by_sound: dict[int, Sequence[MakeMeter]] = {}

    def meters(row: str) -> Sequence[Meter]:
        sound = sound_of(row)
        if id(sound) not in by_sound:
            syncnet = make_syncnet_meter(sound, _given(options, WEIGHTS_NAME))
            by_sound[id(sound)] = (make_lip_expert_meter(sound), syncnet)
        return [make() for make in (*by_sound[id(sound)], *plain)]

    return meters


def _given(options: MeasureOptions, name: str) -> Path | None:
    """The user's file of that name, if the user named a folder that holds one."""
    if options.weights is None:
        return None
    if not options.weights.is_dir():
        raise UserError(f"--weights {options.weights} is not a folder.", "Name the folder with the weights.")
    path = options.weights / name
    return path if path.exists() else None


def emotion_meter(subject: Subject, frames: range) -> MakeMeter | None:
    """Emotion accuracy of a labelled subject.

    Args:
        subject: Whose training frames teach the classifier.
        frames: The scored frames.

    Returns:
        None where fewer than two labels have enough training frames.
    """
    if not subject.labels:
        return None
    train = [i for i in split_of(subject).train if _label(subject, i) is not None]
    chosen = train[:: max(1, len(train) // LEARNT_FRAMES)]
    if len(chosen) < 2 * LEAST_FRAMES:
        return None
    landmarks = subject.track().landmarks
    vectors = np.stack([expression_vector(normalised_points(landmarks[i])) for i in chosen])
    classifier = FaceEmotionClassifier.fit(vectors, [str(_label(subject, i)) for i in chosen])
    if classifier is None:
        return None
    labels = [_label(subject, i) for i in frames]
    return lambda: FaceEmotionMeter(classifier, labels)


def _label(subject: Subject, i: int) -> str | None:
    """Label of frame ``i``; a span of intensity 0 shows the neutral face."""
    time_s = i / subject.fps
    for span in subject.labels:
        if span.start_s <= time_s < span.end_s:
            return "neutral" if span.intensity == 0 else span.label
    return None
