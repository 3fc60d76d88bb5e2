"""Hidden states of a speech model (wav2vec 2.0, HuBERT, WavLM and their kin) beside the default encoder's features.

The models are those of the ``transformers`` library, an optional dependency. They are read from a folder, or from what
its own download command has put into its cache; nothing is fetched here, no pickle is opened and no code that comes
with a model is run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import file_sha256
from ua3dtalk.core.progress import Progress, Silent, track
from ua3dtalk.priors.phone_posteriors import HOP, SAMPLE_RATE_HZ
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.subject.speech_data import SpeechFeatures, sample_at

CHUNK_S = 20.0
OVERLAP_S = 2.0
CONFIG, SOUND_CONFIG, ADAPTER = "config.json", "preprocessor_config.json", "adapter_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")
HELD = 6e4
"""Largest value that is kept: half precision ends at 65504."""
UNUSED = "masked_spec_embed"
"""A weight that only training uses; some files lack it."""


class TransformersEncoder:
    """The default encoder, and the hidden states of one layer of a speech model.

    Args:
        model: Folder with ``config.json`` and safetensors, or the name of a model that was downloaded before.
        layer: Which hidden states: 0 for what goes into the first layer, k for what leaves the k-th; None for the
            middle one.

    Raises:
        UserError: ``transformers`` is not installed, there is no such model, its weights are pickles, it is no model
            that hears 16 kHz sound, or it has no such layer.
    """

    def __init__(self, model: str, layer: int | None = None) -> None:
        if importlib.util.find_spec("transformers") is None:
            raise UserError("Speech models need transformers.", "Install it: pip install 'ua3dtalk[speech]'.")
        self._folder = _find(model)
        files = _files(self._folder)
        self._config = _config(self._folder)
        self._levels = _levels_sound(self._folder)
        layers = int(self._config.num_hidden_layers)
        self._layer = layers // 2 if layer is None else layer
        if not 0 <= self._layer <= layers:
            raise UserError(f"{model} has layers 0 to {layers}, not {layer}.", f"Use 0 to {layers}.")
        self._phones = PhoneEncoder()
        kind = f"{self._config.model_type}-layer{self._layer}"
        self.model = str(self._folder.resolve()) if Path(model).expanduser().is_dir() else model
        self.name = f"{self._phones.name}+{kind}:{_hash(files, self._levels)}"

    def encode(self, audio: Float32[np.ndarray, " s"], progress: Progress = Silent()) -> SpeechFeatures:  # noqa: B008
        """Features of a recording of any length; the model hears 24 s at a time, of which it keeps the inner 20.

        Args:
            audio: 16 kHz mono, -1..1.
            progress: Where to report chunks.

        Returns:
            ``PhoneEncoder``'s features and hidden states at 100 Hz, interpolated from the model's rate (50 Hz).

        Raises:
            UserError: empty sound, samples that are not finite, or a model that is damaged.
        """
        heard = self._phones.encode(audio, progress)
        frames = heard.num_audio_frames
        hidden = np.empty((frames, self._config.hidden_size), np.float16)
        mean, scale = _levels(audio) if self._levels else (0.0, 1.0)
        chunk, overlap = int(CHUNK_S * 100), int(OVERLAP_S * 100)
        for start in track(progress, "speech model", range(0, frames, chunk)):
            stop = min(start + chunk, frames)
            low, high = max(0, start - overlap), min(frames, stop + overlap)
            samples = _around(audio, low * HOP - self._reach, (high - 1) * HOP + self._reach, mean)
            states = self._hear(((samples - mean) * scale).astype(np.float32))
            hidden[start:stop] = sample_at(states, (np.arange(start, stop) - low) * HOP / self._hop)
        return replace(heard, encoder=self.name, hidden=hidden, model=self.model)

    @property
    def _hop(self) -> int:
        """Samples from one of the model's frames to the next."""
        return prod(self._config.conv_stride)

    @cached_property
    def _reach(self) -> int:
        """Half of the samples that one of the model's frames sees before attention: so much is put around a chunk, and
        its first frame is centred on the chunk's first sample."""
        sees, hop = 1, 1
        for kernel, stride in zip(self._config.conv_kernel, self._config.conv_stride, strict=True):
            sees, hop = sees + (kernel - 1) * hop, hop * stride
        return (sees + 1) // 2

    @torch.no_grad()
    def _hear(self, samples: Float32[np.ndarray, " s"]) -> Float16[np.ndarray, "f h"]:
        states = self._net(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states[self._layer][0]
        if not bool(torch.isfinite(states).all()):
            raise UserError(f"{self.model} makes values that are not finite.", "It is damaged; download it again.")
        return states.clamp(-HELD, HELD).numpy().astype(np.float16)

    @cached_property
    def _net(self) -> Any:
        """The model, read when it is first needed."""
        transformers = importlib.import_module("transformers")
        with _quiet(transformers):
            try:
                net, found = transformers.AutoModel.from_pretrained(
                    self._folder,
                    config=self._config,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                )
            except Exception as error:  # the library raises a dozen types, its safetensors reader one of its own
                raise UserError(f"{self.model} cannot be read ({_first_line(error)}).", "Download it again.") from error
        missing = sorted(name for name in found["missing_keys"] if UNUSED not in name)
        if missing:
            raise UserError(f"{self.model} lacks {len(missing)} weights, such as {missing[0]}.", "Download it again.")
        return net.float().eval()


def _find(model: str) -> Path:
    """The folder of a model.

    Raises:
        UserError: there is none.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or path.exists() or model.startswith("."):
        raise UserError(
            f"The speech model {model} is no folder.", "If it has moved, name its new place with --speech-encoder."
        )
    hub = importlib.import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(model, local_files_only=True))
    except (OSError, ValueError) as error:  # not there; not a name
        raise UserError(
            f"The speech model {model!r} is no folder, and no model of this name has been downloaded.",
            f"Check the path, or download it once: hf download {model}",
        ) from error


def _files(folder: Path) -> list[Path]:
    """The files that decide what a model makes of sound.

    Raises:
        UserError: a model that is not complete in safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickles:
            raise UserError(
                f"{folder} holds its weights as pickles only ({pickles[0]}), which may run code when they are opened.",
                f"Convert them once: python scripts/convert_weights.py speech {folder}",
            )
        raise UserError(f"{folder} holds no weights (*.safetensors).", "Name the folder of a speech model.")
    if (folder / ADAPTER).exists():
        raise UserError(f"{folder} is an adapter of another model.", "Merge the two and save the result.")
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} holds no {CONFIG}.", "Name the folder of a speech model.")
    return [folder / CONFIG, *sorted(folder.glob("*.safetensors.index.json")), *weights]


def _hash(files: list[Path], levels: bool) -> str:
    """Of the files, and of what is done to the sound before: that file's presence and wording do not matter."""
    digest = hashlib.sha256(f"levels sound: {levels};".encode())
    for path in files:
        digest.update(f"{path.name}:{file_sha256(path)};".encode())
    return digest.hexdigest()[:12]


def _config(folder: Path) -> Any:
    """The model's configuration.

    Raises:
        UserError: it cannot be read, needs code of its own, or is of a model that does not hear sound.
    """
    transformers = importlib.import_module("transformers")
    try:
        with _quiet(transformers):
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} is no model that transformers can open ({_first_line(error)}).",
            "Name the folder of a wav2vec 2.0, HuBERT or WavLM model.",
        ) from error
    if not getattr(config, "conv_stride", None):
        raise UserError(
            f"{folder} holds a model of type {config.model_type!r}, which does not hear plain sound.",
            "Use a wav2vec 2.0, HuBERT or WavLM model, or one that was made of them.",
        )
    return config


def _levels_sound(folder: Path) -> bool:
    """Whether the model wants sound of mean 0 and deviation 1, as most do.

    Raises:
        UserError: it hears another rate than 16 kHz, or the file cannot be read.
    """
    path = folder / SOUND_CONFIG
    try:
        plain = json.loads(path.read_text()) if path.is_file() else {}
        rate, levels = int(plain.get("sampling_rate", SAMPLE_RATE_HZ)), bool(plain.get("do_normalize", True))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({_first_line(error)}).", "Download the model again.") from error
    if rate != SAMPLE_RATE_HZ:
        raise UserError(f"{folder} hears sound at {rate} Hz.", f"Use a model for {SAMPLE_RATE_HZ} Hz.")
    return levels


def _levels(audio: Float32[np.ndarray, " s"]) -> tuple[float, float]:
    """Mean of a recording, and one over its deviation: of all of it, so that chunks do not differ."""
    mean = float(audio.mean(dtype=np.float64))
    return mean, float(1 / np.sqrt(audio.var(dtype=np.float64) + 1e-7))


def _around(audio: Float32[np.ndarray, " s"], first: int, last: int, beyond: float) -> Float32[np.ndarray, " n"]:
    """Samples ``first`` to ``last``; ``beyond`` where there are none."""
    inside = audio[max(first, 0) : max(last, 0)]
    before = max(-first, 0)
    return np.pad(inside, (before, last - first - len(inside) - before), constant_values=beyond)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's own bars and warnings; its settings are put back."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
