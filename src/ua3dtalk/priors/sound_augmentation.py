"""Sound as other microphones, rooms and voices would give it: augmentation for the emotion teacher."""

from __future__ import annotations

import numpy as np
import soxr
from jaxtyping import Float, Float32
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SAMPLE_RATE_HZ = 16000


def perturb(audio: Float32[np.ndarray, " s"], rng: np.random.Generator) -> Float32[np.ndarray, " p"]:
    """Change speed and pitch, then by chance room, tilt, band and noise of any colour (DESIGN §6).

    Args:
        audio: 16 kHz mono.
        rng: Source of randomness.
    """
    sound = soxr.resample(audio.astype(np.float64), SAMPLE_RATE_HZ, int(SAMPLE_RATE_HZ * rng.uniform(0.88, 1.14)))
    if rng.random() < 0.5:
        sound = _in_a_room(sound, rng)
    if rng.random() < 0.5:
        sound = np.asarray(lfilter([1, rng.uniform(-0.35, 0.35)], [1], sound))
    if rng.random() < 0.25:
        edges = [rng.uniform(60, 200) / 8000, rng.uniform(3500, 7500) / 8000]
        sound = np.asarray(sosfilt(butter(2, edges, "band", output="sos"), sound))
    if rng.random() < 0.7:
        noise = np.asarray(lfilter([1], [1, -rng.uniform(0, 0.97)], rng.normal(size=len(sound))))
        ratio = 10 ** (-rng.uniform(5, 35) / 20)
        sound = sound + noise * ratio * np.sqrt(np.mean(sound**2) / np.mean(noise**2))
    return sound.astype(np.float32)


def _in_a_room(sound: Float[np.ndarray, " s"], rng: np.random.Generator) -> Float[np.ndarray, " s"]:
    """Echo: noise that decays by 60 dB within .1 to .5 s."""
    t = np.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
    echo = rng.normal(size=len(t)) * np.exp(-6.9 * t / rng.uniform(0.1, 0.5)) * 0.12 * rng.random()
    echo[0] = 1
    return fftconvolve(sound, echo)[: len(sound)]
