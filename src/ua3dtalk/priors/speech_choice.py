"""With what sound is heard: the default encoder or a speech model, and the priors that were trained with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.priors import content as content_module
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.speech_features import PhoneEncoder, SpeechEncoder
from ua3dtalk.priors.transformers_encoder import TransformersEncoder
from ua3dtalk.subject.speech_data import extends

CONTENT_FILE, EMOTION_FILE = "content.safetensors", "emotion.safetensors"
"""In the subject folder, where other priors than those of the package were chosen."""


@dataclass(frozen=True, kw_only=True)
class SpeechChoice:
    """What ``prepare`` was told about hearing; what is None is what comes with the package."""

    model: str | None = None
    """``MODEL[:LAYER]``, a speech model of ``transformers``."""
    content: Path | None = None
    """Content prior, trained with that encoder."""
    emotion: Path | None = None
    """Emotion teacher, trained with that encoder or with the default one."""

    def open(self) -> SpeechEncoder:
        """The encoder, after a look at the priors.

        Raises:
            UserError: see ``open_encoder``; or a prior is damaged or was trained with another encoder.
        """
        encoder = open_encoder(self.model)
        prior = self.content_prior()
        if prior.encoder != encoder.name:
            raise UserError(
                f"The content prior {self.content or 'of the package'} was trained with the speech encoder "
                f"{prior.encoder!r}, but the sound is heard with {encoder.name!r}.",
                "Give --speech-encoder and --content-prior that belong together; "
                "`ua3dtalk priors train-content --speech-encoder MODEL` makes such a prior.",
            )
        if self.emotion and not extends(encoder.name, heard := EmotionTeacher.load(self.emotion).encoder):
            raise UserError(
                f"The emotion prior {self.emotion} was trained with the speech encoder {heard!r}, but the sound is "
                f"heard with {encoder.name!r}.",
                "Leave it out, or make one with `ua3dtalk priors train-emotion --speech-encoder MODEL`.",
            )
        return encoder

    def content_prior(self) -> ContentPrior:
        """The content prior that was chosen."""
        return ContentPrior.load(self.content or content_module.SHIPPED)

    @property
    def files(self) -> dict[str, Path]:
        """The files that were chosen, by their names in the subject folder."""
        chosen = {CONTENT_FILE: self.content, EMOTION_FILE: self.emotion}
        return {name: path for name, path in chosen.items() if path is not None}

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of these files."""
        return {name: file_sha256(path) for name, path in self.files.items()}


def chosen_files(subject: Path) -> dict[str, Path]:
    """The priors in a subject's folder by name; empty where those of the package are used."""
    return {name: subject / name for name in (CONTENT_FILE, EMOTION_FILE) if (subject / name).is_file()}


def open_encoder(model: str | None = None, wanted: str | None = None) -> SpeechEncoder:
    """The encoder by choice.

    Args:
        model: ``MODEL[:LAYER]``; None for the default encoder.
        wanted: Name of the encoder that an avatar was trained with; it also says the layer where ``model`` does not.

    Raises:
        UserError: there is no such model, it cannot be used, or it is not the one that is wanted.
    """
    if model is None:
        encoder: SpeechEncoder = PhoneEncoder()
    else:
        place, layer = _place_and_layer(model)
        said = re.search(r"-layer(\d+):", wanted or "")
        encoder = TransformersEncoder(place, int(said[1]) if layer is None and said else layer)
    if wanted is None or encoder.name == wanted:
        return encoder
    if "+" not in wanted and model is not None:
        cure = "Leave out --speech-encoder."
    elif encoder.name.partition("+")[0] != wanted.partition("+")[0]:
        cure = "Train it again, or install the version of pocketsphinx that it was trained with."
    else:
        cure = "Name the very model that its subject was prepared with: --speech-encoder MODEL."
    raise UserError(f"The avatar was trained with the speech encoder {wanted!r}, this is {encoder.name!r}.", cure)


def _place_and_layer(model: str) -> tuple[str, int | None]:
    place, _, layer = model.rpartition(":")
    return (place, int(layer)) if place and layer.isdecimal() and not Path(model).exists() else (model, None)
