"""Sound to speech features: log-mel, phones and voice tracks at 100 Hz, in chunks of bounded memory (DESIGN §6)."""

from __future__ import annotations

from functools import cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import Progress, Silent, track
from ua3dtalk.priors.phone_posteriors import HOP, SAMPLE_RATE_HZ, model_hash, phone_posteriors, silence_columns
from ua3dtalk.priors.voice_tracks import voice_tracks
from ua3dtalk.subject.speech_data import NUM_MEL, NUM_PHONES, NUM_VOICE, SpeechFeatures

CHUNK_S = 24.0
OVERLAP_S = 1.0
WINDOW = 400
FFT = 512
LOW_HZ, HIGH_HZ = 40.0, 7600.0
POWER_FLOOR = 1e-6
SILENCE_DB = -60.0


@runtime_checkable
class SpeechEncoder(Protocol):
    """Anything that turns sound into ``SpeechFeatures``."""

    name: str

    def encode(self, audio: Float32[np.ndarray, " s"], progress: Progress = ...) -> SpeechFeatures:
        """Features of 16 kHz mono sound; frame ``a`` is centred on ``a / 100`` seconds."""
        ...


class PhoneEncoder:
    """The default encoder: phone posteriors of pocketsphinx, log-mel, voice tracks. Offline, 0.07 s per second."""

    def __init__(self) -> None:
        self.name = f"pocketsphinx-en-us-phones42-mel80-v1:{model_hash()}"

    def encode(self, audio: Float32[np.ndarray, " s"], progress: Progress = Silent()) -> SpeechFeatures:  # noqa: B008
        """Features of a recording of any length.

        Args:
            audio: 16 kHz mono, -1..1.
            progress: Where to report chunks.

        Returns:
            ``len(audio) // 160 + 1`` frames. Frames below -60 dB (full scale, 50 ms) are silence whatever the model
            says: it normalises its input and would hear phones in noise.

        Raises:
            UserError: empty, or samples that are not finite.
        """
        if not len(audio):
            raise UserError("The sound is empty.", "Give a recording with at least one sample.")
        if not np.isfinite(audio).all():
            raise UserError("The sound holds samples that are not finite.", "Export it again as 16-bit PCM.")
        frames = len(audio) // HOP + 1
        phones = np.zeros((frames, NUM_PHONES), np.float32)
        mel = np.empty((frames, NUM_MEL), np.float32)
        voice = np.empty((frames, NUM_VOICE), np.float32)
        peak = float(np.abs(audio).max())
        chunk, overlap = int(CHUNK_S * 100), int(OVERLAP_S * 100)
        for start in track(progress, "speech features", range(0, frames, chunk)):
            stop = min(start + chunk, frames)
            low, high = max(0, start - overlap), min(frames, stop + overlap)
            samples = audio[low * HOP : min(len(audio), high * HOP)]
            mel[start:stop] = log_mel(audio, start, stop)
            voice[start:stop] = voice_tracks(audio, start, stop)
            phones[start:stop] = _chunk_phones(samples, peak, high - low)[start - low : stop - low]
        return SpeechFeatures(phones, mel, voice, encoder=self.name)


def _chunk_phones(samples: np.ndarray, peak: float, frames: int) -> np.ndarray:
    quiet = frame_level_db(samples, frames) < SILENCE_DB
    silence = np.zeros(NUM_PHONES, np.float32)
    silence[silence_columns()[0]] = 1.0
    if quiet.all():
        return np.tile(silence, (frames, 1))
    phones = phone_posteriors(np.ascontiguousarray(samples, np.float32), peak, frames)
    phones[quiet] = silence
    return phones


def frame_level_db(samples: Float[np.ndarray, " s"], frames: int) -> Float[np.ndarray, " a"]:
    """RMS level over 50 ms around each 10 ms frame, in dB of full scale."""
    power = np.zeros(frames * HOP)
    count = min(len(samples), len(power))
    power[:count] = np.square(samples[:count], dtype=np.float64)
    per_hop = np.pad(power.reshape(frames, HOP).mean(axis=1), 2, mode="edge")
    return 10 * np.log10(np.convolve(per_hop, np.full(5, 0.2), "valid") + 1e-12)


def log_mel(audio: Float32[np.ndarray, " s"], start: int, stop: int) -> Float32[np.ndarray, "a 80"]:
    """Log-mel power of frames ``start`` to ``stop`` (100 Hz, 25 ms Hann window centred on each frame)."""
    first, last = start * HOP - WINDOW // 2, (stop - 1) * HOP + WINDOW // 2
    inside = audio[max(first, 0) : max(min(last, len(audio)), 0)]
    padded = np.pad(inside, (max(-first, 0), max(0, last - max(len(audio), first))))
    padded = np.pad(padded, (0, max(0, last - first - len(padded))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: stop - start]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), FFT)) ** 2
    return np.log(power @ _mel_filters().T + POWER_FLOOR).astype(np.float32)


@cache
def _mel_filters() -> np.ndarray:
    """Triangles of unit height, equally spaced on the mel scale: [80, 257]."""

    def to_mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(to_mel(LOW_HZ), to_mel(HIGH_HZ), NUM_MEL + 2) / 2595) - 1)
    bins = np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))
