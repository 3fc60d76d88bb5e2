"""Sound from any container as 16 kHz mono, and FLAC writing."""

from __future__ import annotations

import io
from pathlib import Path

import av
import av.error
import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path

SAMPLE_RATE_HZ = 16000


def read_audio(
    path: Path, start_s: float | None = None, duration_s: float | None = None
) -> tuple[Float32[np.ndarray, " s"], int]:
    """Read the sound of an audio or video file.

    Args:
        path: Any container and codec that FFmpeg knows.
        start_s: Container time of the first sample wanted, seconds; None starts with the sound.
            Sound that starts later is preceded by silence.
        duration_s: Length wanted, seconds; shorter sound is padded with silence. None reads to the end.

    Returns:
        Mono samples in about [-1, 1] and their rate, 16000.

    Raises:
        UserError: no such file, no sound in it, damaged, or too short to hold anything.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist.", "Check the path of the audio.")
    mono, rate, first_s = _decode(path)
    samples = soxr.resample(mono, rate, SAMPLE_RATE_HZ).astype(np.float32) if rate != SAMPLE_RATE_HZ else mono
    if not np.isfinite(samples).all():
        raise UserError(f"{path} holds samples that are not finite.", "Export the sound again.")
    if start_s is not None:
        shift = round((start_s - first_s) * SAMPLE_RATE_HZ)
        samples = samples[shift:] if shift >= 0 else np.concatenate([np.zeros(-shift, np.float32), samples])
    if duration_s is not None:
        want = round(duration_s * SAMPLE_RATE_HZ)
        samples = np.pad(samples[:want], (0, max(0, want - len(samples))))
    return np.ascontiguousarray(samples), SAMPLE_RATE_HZ


def _decode(path: Path) -> tuple[np.ndarray, int, float]:
    """Mono float samples, their rate, and the container time of the first one."""
    cure = "Give a file with sound, such as WAV, FLAC, MP3 or MP4."
    parts: list[np.ndarray] = []
    first_s = 0.0
    rate = 0
    try:
        with av.open(path) as container:
            if not container.streams.audio:
                raise UserError(f"{path} holds no sound.", cure)
            resampler: av.AudioResampler | None = None
            for frame in container.decode(audio=0):
                if resampler is None:
                    rate = frame.sample_rate
                    # Channels side by side: PyAV crashes on more than eight planes.
                    resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=rate)
                    first_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else 0.0
                parts += [_mono(part) for part in resampler.resample(frame)]
    except (av.error.FFmpegError, ValueError) as error:
        reason = error.strerror if isinstance(error, av.error.FFmpegError) else str(error)
        raise UserError(f"{path} has no sound that can be read ({reason}).", cure) from error
    if not parts or not sum(map(len, parts)):
        raise UserError(f"{path} holds a sound track without samples.", cure)
    return np.concatenate(parts), rate, first_s


def _mono(frame: av.AudioFrame) -> Float32[np.ndarray, " s"]:
    return frame.to_ndarray().reshape(-1, frame.layout.nb_channels).mean(1, dtype=np.float32)


def write_flac(path: Path, samples: Float32[np.ndarray, " s"], sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write mono samples in [-1, 1] as 16-bit FLAC in one atomic step.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    encoded = io.BytesIO()  # writing files itself, libsndfile ignores that a disk is full when it closes them
    soundfile.write(encoded, np.clip(samples, -1.0, 1.0), sample_rate_hz, format="FLAC", subtype="PCM_16")
    with atomic_path(path) as partial:
        partial.write_bytes(encoded.getvalue())


def level_db(samples: Float32[np.ndarray, " s"]) -> float:
    """Root mean square in dB relative to full scale; −200 for nothing at all."""
    if len(samples) == 0:
        return -200.0
    return float(20 * np.log10(max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), 1e-10)))
