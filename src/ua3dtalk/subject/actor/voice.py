"""A small formant synthesiser: glottal pulses and noise through a cascade of moving resonators (after Klatt, 1980)."""

from __future__ import annotations

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter1d

from ua3dtalk.subject.actor.phones import FORMANTS, NOISE, VOWELS, Phone
from ua3dtalk.subject.actor.script import CONTROL_HZ, Score

SAMPLE_RATE_HZ = 16000
_STEP = SAMPLE_RATE_HZ // CONTROL_HZ
_VOICED_FRICATIVES = frozenset(["V", "DH", "Z", "ZH"])
_VOICELESS = frozenset(["P", "T", "K", "CH", "F", "TH", "S", "SH", "HH", "SIL"])
_STOPS = frozenset(["P", "B", "T", "D", "K", "G", "CH", "JH"])
_NASALS = frozenset(["M", "N", "NG"])
_COLUMNS = ("f1", "f2", "f3", "b1", "b2", "b3", "voice", "breath", "noise", "centre", "band", "nasal")


def _targets(phone: Phone, times: np.ndarray) -> dict[str, np.ndarray | float]:
    """Controls of one phone at the control frames inside it."""
    symbol = phone.symbol
    length = phone.end_s - phone.start_s
    into = times - phone.start_s
    shapes = FORMANTS[symbol]
    glide = np.clip((into / length - 0.25) / 0.5, 0, 1) if len(shapes) == 2 else np.zeros_like(times)
    formants = np.outer(1 - glide, shapes[0]) + np.outer(glide, shapes[-1])
    row: dict[str, np.ndarray | float] = {f"f{k + 1}": formants[:, k] for k in range(3)}
    row |= {"b1": 70.0, "b2": 95.0, "b3": 150.0, "voice": 1.0, "breath": 0.0, "noise": 0.0, "nasal": 0.0}
    row |= {"centre": NOISE.get(symbol, (4000, 2000, 0))[0], "band": NOISE.get(symbol, (4000, 2000, 0))[1]}
    level = NOISE.get(symbol, (0, 0, 0.0))[2]
    if symbol == "SIL":
        row["voice"] = 0.0
    elif symbol in _STOPS:
        closed = into < length * (0.55 if symbol in ("CH", "JH") else 0.62)
        since = into - length * 0.62
        if symbol in ("CH", "JH"):
            row["noise"] = np.where(closed, 0.0, level)
        else:
            row["noise"] = np.where(closed, 0.0, level * np.exp(-since / 0.012))
        voiceless = symbol in _VOICELESS
        row["voice"] = np.where(closed, 0.0 if voiceless else 0.14, 0.0 if voiceless else 0.5)
        row["breath"] = np.where(closed | (not voiceless), 0.0, 0.16)
    elif symbol == "HH":
        row |= {"voice": 0.0, "breath": 0.30, "b1": 200.0}
    elif symbol in _NASALS:
        row |= {"voice": 0.55, "nasal": 1.0, "b1": 110.0, "b2": 260.0, "b3": 320.0}
    elif symbol in NOISE:
        row |= {"voice": 0.32 if symbol in _VOICED_FRICATIVES else 0.0, "noise": level, "b1": 120.0, "b2": 180.0}
    elif symbol not in VOWELS:
        row |= {"voice": 0.62, "b2": 120.0}
    elif phone.stressed:
        row["voice"] = 1.12
    return row


def control_tracks(score: Score, formant_scale: float) -> Float[np.ndarray, "c 12"]:
    """Smooth controls of the synthesiser at ``CONTROL_HZ``, columns as in ``_COLUMNS``."""
    count = len(score.pitch_hz)
    times = (np.arange(count) + 0.5) / CONTROL_HZ
    tracks = np.zeros((count, len(_COLUMNS)))
    owner = np.searchsorted([phone.end_s for phone in score.phones], times, side="right")
    for number, phone in enumerate(score.phones):
        inside = np.flatnonzero(owner == number)
        for name, value in _targets(phone, times[inside]).items():
            tracks[inside, _COLUMNS.index(name)] = value
    # Silences take the formants of their neighbours, so that nothing sweeps while nothing sounds.
    silent = tracks[:, 6:9].sum(1) == 0
    sounding = np.flatnonzero(~silent)
    if len(sounding):
        for column in range(3):
            tracks[silent, column] = np.interp(np.flatnonzero(silent), sounding, tracks[sounding, column])
    smoothing_s = (0.016, 0.018, 0.018, 0.012, 0.012, 0.012, 0.007, 0.006, 0.0035, 0.004, 0.004, 0.007)
    for column, sigma in enumerate(smoothing_s):
        tracks[:, column] = gaussian_filter1d(tracks[:, column], sigma * CONTROL_HZ, mode="nearest")
    tracks[:, :3] *= formant_scale
    return tracks


@numba.njit(cache=True)
@no_type_check
def _resonator(frequency, bandwidth, out):
    radius = np.exp(-np.pi * bandwidth / 16000.0)
    out[1] = 2 * radius * np.cos(2 * np.pi * frequency / 16000.0)
    out[2] = -radius * radius
    out[0] = 1 - out[1] - out[2]


@numba.njit(cache=True)
@no_type_check
def _synthesise(tracks, pitch, brightness, breath, random, step):
    """Sample-by-sample synthesis; coefficients are refreshed every control frame."""
    count = tracks.shape[0]
    output = np.zeros(count * step)
    cascade = np.zeros((6, 3))  # F1-F5 and the nasal pole
    memory = np.zeros((6, 2))
    band, band_memory = np.zeros((2, 3)), np.zeros((2, 2))
    phase, tilt, cycle_pitch, cycle_level, before = 0.0, 0.0, pitch[0], 1.0, 0.0
    for c in range(count):
        following = min(c + 1, count - 1)
        for k in range(3):
            _resonator(tracks[c, k], tracks[c, 3 + k], cascade[k])
        _resonator(3550.0, 240.0, cascade[3])
        _resonator(4600.0, 320.0, cascade[4])
        nasal = tracks[c, 11]
        _resonator(270.0, 100.0, cascade[5])
        centre, width = tracks[c, 9], tracks[c, 10]
        _resonator(min(7400.0, centre), width * 0.6, band[0])
        gain = (1 - np.exp(-np.pi * width * 0.6 / 16000.0)) * 1.6
        corner = min(7000.0, 900.0 * 2.0 ** brightness[c])
        follow = 1 - np.exp(-2 * np.pi * corner / 16000.0)
        for s in range(step):
            t = s / step
            voice = tracks[c, 6] * (1 - t) + tracks[following, 6] * t
            noise_level = tracks[c, 8] * (1 - t) + tracks[following, 8] * t
            breath_level = tracks[c, 7] * (1 - t) + tracks[following, 7] * t + breath[c] * voice
            white = random[c * step + s]
            phase += cycle_pitch / 16000.0
            if phase >= 1.0:
                phase -= 1.0
                cycle_pitch = pitch[c] * (1 + 0.011 * random[(c * 37 + s) % random.shape[0]])
                cycle_level = 1 + 0.05 * random[(c * 53 + s * 7) % random.shape[0]]
            # Derivative of a cubic glottal pulse with an open quotient of 0.6.
            glottal = 0.0
            if phase < 0.6:
                x = phase / 0.6
                glottal = (2 * x - 3 * x * x) * cycle_level
            tilt += follow * (glottal - tilt)
            gate = 0.6 if phase > 0.6 else 1.0
            source = 1.5 * tilt * voice + white * breath_level * 0.25 * gate
            value = source
            for k in range(6):
                out = cascade[k, 0] * value + cascade[k, 1] * memory[k, 0] + cascade[k, 2] * memory[k, 1]
                memory[k, 1], memory[k, 0] = memory[k, 0], out
                value = out if k < 5 else value * (1 - 0.75 * nasal) + 0.5 * nasal * out
            hiss = white * noise_level
            out = hiss * gain + band[0, 1] * band_memory[0, 0] + band[0, 2] * band_memory[0, 1]
            band_memory[0, 1], band_memory[0, 0] = band_memory[0, 0], out
            radiated = value - 0.6 * before
            before = value
            output[c * step + s] = radiated + 0.55 * out
    return output


def synthesise_score(
    score: Score, generator: np.random.Generator, formant_scale: float = 1.0
) -> Float32[np.ndarray, " s"]:
    """The voice that says a score: 16 kHz, within ±0.9."""
    tracks = control_tracks(score, formant_scale)
    times = (np.arange(len(tracks)) + 0.5) / CONTROL_HZ
    brightness = 0.9 + score.mood_track("brightness", times)
    breath = 0.03 + score.mood_track("breath", times)
    random = generator.standard_normal(len(tracks) * _STEP).clip(-3, 3)
    sound = _synthesise(tracks, score.pitch_hz, brightness, breath, random, _STEP)
    level = 10 ** (score.mood_track("level_db", times) / 20) * (1 + 0.25 * score.accent)
    sound *= np.interp(np.arange(len(sound)), np.arange(len(level)) * _STEP + _STEP / 2, level)
    room = generator.standard_normal(len(sound)) * 2e-4
    loud = np.percentile(np.abs(sound), 99.5) + 1e-9
    sound = np.tanh(sound * (0.45 / loud)) + room
    return np.clip(sound, -0.9, 0.9).astype(np.float32)
