"""Phone posteriors from the acoustic model inside pocketsphinx: senone scores, then forward-backward over a phone loop.

Recipe of DESIGN §6. The model (US English, BSD-style licence) ships in the pocketsphinx wheel and works offline; other
languages are described by the nearest English phones.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import no_type_check

import numba
import numpy as np
import pocketsphinx
from jaxtyping import Float32, Int16

from ua3dtalk.core.errors import UserError

SAMPLE_RATE_HZ = 16000
HOP = 160
STATES_PER_PHONE = 3
SCORE_SCALE = 0.1024 * 0.35  # pocketsphinx counts in log base 1.0001 shifted by 10 bits; .35 flattens over-confidence
SELF_LOOP = 0.65
HALF_WINDOW = 205  # pocketsphinx frames are 410 samples long: padded by half so that frame a is centred on a * 10 ms
_PEAK = 28000
LOG_BYTES = 10_500
"""What the decoder logs of a frame: 16 bits for each of its 5126 senones, and some more."""


@cache
def _model_folder() -> Path:
    return Path(pocketsphinx.get_model_path("en-us/en-us"))


@cache
def phone_names() -> tuple[str, ...]:
    """Names of the 42 phones (39 of speech, silence and two noises), in the order of the posteriors' columns."""
    raw = (_model_folder() / "mdef").read_bytes()
    header_length = struct.unpack("<i", raw[8:12])[0]
    start = 12 + header_length
    count = struct.unpack("<i", raw[start : start + 4])[0]
    return tuple(name.decode() for name in raw[start + 40 :].split(b"\0")[:count])


@cache
def silence_columns() -> tuple[int, ...]:
    """Columns that stand for no speech: silence and the noise phones."""
    return tuple(i for i, name in enumerate(phone_names()) if name == "SIL" or name.startswith("+"))


@cache
def model_hash() -> str:
    """First 12 hex digits of the SHA-256 of the acoustic model's files."""
    digest = hashlib.sha256()
    for name in ("mdef", "means", "variances", "sendump", "feat.params"):
        digest.update((_model_folder() / name).read_bytes())
    return digest.hexdigest()[:12]


def phone_posteriors(samples: Float32[np.ndarray, " s"], peak: float, num_frames: int) -> Float32[np.ndarray, "a 42"]:
    """Posterior of each phone at 100 Hz.

    Args:
        samples: 16 kHz mono, one stretch of sound (its cepstral mean is taken out, so give at least some seconds).
        peak: Largest magnitude of the whole recording, > 0.
        num_frames: Frames wanted; frame ``a`` is centred on sample ``160 a``.

    Returns:
        Rows that sum to 1; frames beyond the decoder's last repeat it.
    """
    scores = _context_independent_scores(samples, peak)
    posteriors = _forward_backward(scores.astype(np.float64) * -SCORE_SCALE, SELF_LOOP)
    missing = max(0, num_frames - len(posteriors))
    return np.concatenate([posteriors, np.repeat(posteriors[-1:], missing, axis=0)])[:num_frames].astype(np.float32)


def _require_room(path: Path, size: int) -> None:
    """The decoder does not say that it cannot write its log: it dies. So the room is asked for before.

    Raises:
        OSError: there is not so much room.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        path.unlink()


def _context_independent_scores(samples: np.ndarray, peak: float) -> Int16[np.ndarray, "a 126"]:
    """Negative log scores of the 42 x 3 context-independent senones, as the decoder logs them.

    Raises:
        OSError: the log is not whole, since the disk is full.
    """
    padded = np.pad(samples, (HALF_WINDOW, HALF_WINDOW + 2 * HOP))
    pcm = np.clip(padded * (_PEAK / peak), -32767, 32767).astype("<i2")
    with tempfile.TemporaryDirectory() as folder:
        _require_room(Path(folder) / "room", (len(padded) // HOP + 1) * LOG_BYTES)
        decoder = pocketsphinx.Decoder(
            samprate=SAMPLE_RATE_HZ,
            cmn="batch",
            allphone=pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin"),
            dict=None,  # words are not decoded; reading the dictionary takes longer than a second of sound
            beam=1e-2,  # the search itself is not used
            pbeam=1e-2,
            senlogdir=folder,
            compallsen=True,
            loglevel="FATAL",
        )
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        logs = list(Path(folder).glob("*.sen"))
        if not logs:
            raise UserError("The speech encoder returned nothing.", "Reinstall pocketsphinx (5.x).")
        raw = logs[0].read_bytes()
    header = raw[: raw.index(b"endhdr\n")].decode("ascii", "replace").split()
    senones = int(header[header.index("n_sen") + 1])
    start = len(raw[: raw.index(b"endhdr\n")]) + len(b"endhdr\n") + 4
    # Each record is a 16-bit count followed by one score for each senone.
    rows = (len(raw) - start) // (2 * (senones + 1))
    if len(raw) != start + rows * 2 * (senones + 1) or rows <= len(samples) // HOP:
        # The decoder does not look whether it could write, and a shorter log would pass for shorter speech.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), tempfile.gettempdir())
    table = np.frombuffer(raw, "<i2", offset=start).reshape(rows, senones + 1)
    return table[:, 1 : 1 + STATES_PER_PHONE * len(phone_names())].copy()


@numba.njit(cache=True)
@no_type_check  # the type checker of the tests would hand numba a wrapped function
def _forward_backward(log_likelihood: np.ndarray, stay: float) -> np.ndarray:
    """Posterior of each phone in a uniform loop of three-state left-to-right phones."""
    frames, states = log_likelihood.shape
    phones = states // 3
    likelihood = np.empty((frames, states))
    for t in range(frames):
        likelihood[t] = np.exp(log_likelihood[t] - log_likelihood[t].max())
    forward = np.empty((frames, states))
    previous = np.full(states, 1.0 / states)
    for t in range(frames):
        enter = 0.0
        for p in range(phones):
            enter += previous[3 * p + 2]
        enter *= (1 - stay) / phones
        total = 0.0
        for p in range(phones):
            for k in range(3):
                i = 3 * p + k
                came = enter if k == 0 else (1 - stay) * previous[i - 1]
                forward[t, i] = (stay * previous[i] + came) * likelihood[t, i]
                total += forward[t, i]
        forward[t] /= total
        previous = forward[t]
    posterior = np.empty((frames, phones))
    backward = np.ones(states)
    for t in range(frames - 1, -1, -1):
        total = 0.0
        for p in range(phones):
            mass = 0.0
            for k in range(3):
                mass += forward[t, 3 * p + k] * backward[3 * p + k]
            posterior[t, p] = mass
            total += mass
        posterior[t] /= total
        ahead = backward * likelihood[t]
        leave = 0.0
        for p in range(phones):
            leave += ahead[3 * p]
        leave *= (1 - stay) / phones
        scale = 0.0
        for p in range(phones):
            for k in range(3):
                i = 3 * p + k
                after = leave if k == 2 else (1 - stay) * ahead[i + 1]
                backward[i] = stay * ahead[i] + after
                scale += backward[i]
        backward /= scale
    return posterior
