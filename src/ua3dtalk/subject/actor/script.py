"""From words and emotions to phones in time, with pitch and loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ua3dtalk.subject.actor.moods import mood_of
from ua3dtalk.subject.actor.phones import VOWELS, Phone, base_duration_s, invent_sentence, pronounce
from ua3dtalk.subject.labels import EmotionSpan

CONTROL_HZ = 200


@dataclass(frozen=True, kw_only=True)
class Score:
    """What the voice is to say. C control frames at ``CONTROL_HZ``."""

    phones: tuple[Phone, ...]
    """Without gaps from 0 to the end, silences included."""
    words: tuple[str, ...]
    """What is said."""
    spans: tuple[EmotionSpan, ...]
    """Emotion in time, without gaps."""
    pitch_hz: Float[np.ndarray, " c"]
    """Fundamental frequency."""
    accent: Float[np.ndarray, " c"]
    """Bumps of 0..1 on stressed vowels."""

    @property
    def duration_s(self) -> float:
        """Length, seconds."""
        return self.phones[-1].end_s

    def mood_track(self, name: str, times_s: Float[np.ndarray, " t"], blend_s: float = 0.25) -> Float[np.ndarray, " t"]:
        """A field of ``Mood`` scaled by intensity at given times, smooth across the borders of spans."""
        return self.blend([getattr(mood_of(s.label), name) * s.intensity for s in self.spans], times_s, blend_s)

    def blend(self, values: list[float], times_s: np.ndarray, blend_s: float) -> Float[np.ndarray, " t"]:
        """One value per span, as a smooth track."""
        track = np.full(len(times_s), float(values[0]))
        for span, before, after in zip(self.spans[1:], values[:-1], values[1:], strict=True):
            track += (after - before) / (1 + np.exp(-(times_s - span.start_s) / (blend_s / 4)))
        return track


def _timed(words: list[str], rate: float, generator: np.random.Generator) -> list[tuple[str, bool, float]]:
    """Phones of one sentence with durations; the last word is drawn out."""
    timed = []
    for number, word in enumerate(words):
        last = number == len(words) - 1
        for symbol, stressed in pronounce(word):
            length = base_duration_s(symbol, stressed) / rate * generator.uniform(0.92, 1.08)
            timed.append((symbol, stressed, length * (1.25 if last and symbol in VOWELS else 1.0)))
    return timed


def _fill(span: EmotionSpan, generator: np.random.Generator) -> tuple[list[tuple[str, bool, float]], list[str]]:
    """Invented sentences that fill a span, with a breath before each."""
    rate = 1 + mood_of(span.label).rate * span.intensity
    left = span.end_s - span.start_s
    phones: list[tuple[str, bool, float]] = []
    said: list[str] = []
    timed: list[tuple[str, bool, float]] = []
    while True:
        pause = generator.uniform(0.16, 0.30)
        sentence = invent_sentence(generator)
        while sentence:
            timed = _timed(sentence, rate, generator)
            if pause + sum(length for *_, length in timed) < left - 0.08:
                break
            sentence = sentence[:-1]
        if len(sentence) < 2:
            break
        phones += [("SIL", False, pause), *timed]
        said += sentence
        left -= pause + sum(length for *_, length in timed)
    if not phones:
        return [("SIL", False, span.end_s - span.start_s)], said
    # What is left is shared: a little slower speech, and a silence at the end.
    spoken = sum(length for *_, length in phones)
    stretch = min(1.08, (spoken + left - 0.08) / spoken)
    phones = [(symbol, stressed, length * stretch) for symbol, stressed, length in phones]
    phones.append(("SIL", False, span.end_s - span.start_s - spoken * stretch))
    return phones, said


def _place(timed: list[tuple[str, bool, float]], start_s: float) -> list[Phone]:
    ends = start_s + np.cumsum([length for *_, length in timed])
    starts = np.concatenate([[start_s], ends[:-1]])
    return [
        Phone(symbol=symbol, stressed=stressed, start_s=float(a), end_s=float(b))
        for (symbol, stressed, _), a, b in zip(timed, starts, ends, strict=True)
    ]


def _prosody(phones: list[Phone], spans: tuple[EmotionSpan, ...], pitch_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Declination over each breath group with a bump on stressed vowels. Returns: pitch, accent per control frame."""
    count = round(phones[-1].end_s * CONTROL_HZ)
    times = (np.arange(count) + 0.5) / CONTROL_HZ
    height, accent = np.zeros(count), np.zeros(count)
    groups: list[list[Phone]] = [[]]
    for phone in phones:
        if phone.symbol == "SIL":
            groups.append([])
        else:
            groups[-1].append(phone)
    for group in groups:
        if not group:
            continue
        start, end = group[0].start_s, group[-1].end_s
        inside = (times >= start) & (times < end)
        height[inside] += 0.14 - 0.30 * (times[inside] - start) / (end - start)
        for phone in group:
            if phone.stressed:
                middle, width = 0.5 * (phone.start_s + phone.end_s), 0.5 * (phone.end_s - phone.start_s) + 0.03
                accent += np.exp(-(((times - middle) / width) ** 2))
    accent = np.clip(accent, 0, 1)
    score = Score(phones=tuple(phones), words=(), spans=spans, pitch_hz=height, accent=accent)
    mean = pitch_hz * (1 + score.mood_track("pitch", times))
    spread = 1 + score.mood_track("pitch_range", times)
    return mean * 2 ** (spread * (height + 0.22 * accent)), accent


def invent_score(spans: tuple[EmotionSpan, ...], pitch_hz: float, generator: np.random.Generator) -> Score:
    """Invented sentences for spans that follow each other without gaps from 0 s."""
    phones: list[Phone] = []
    words: list[str] = []
    for span in spans:
        timed, said = _fill(span, generator)
        phones += _place(timed, span.start_s)
        words += said
    pitch, accent = _prosody(phones, spans, pitch_hz)
    return Score(phones=tuple(phones), words=tuple(words), spans=spans, pitch_hz=pitch, accent=accent)


def score_of_text(text: str, emotion: str, intensity: float, pitch_hz: float, generator: np.random.Generator) -> Score:
    """A text in one emotion; full stops and commas make pauses.

    Raises:
        UserError: a word is not in the lexicon, or the emotion is not played.
    """
    rate = 1 + mood_of(emotion).rate * intensity
    timed: list[tuple[str, bool, float]] = [("SIL", False, 0.25)]
    words: list[str] = []
    for sentence in text.replace(",", ".").split("."):
        spoken = sentence.split()
        if spoken:
            timed += [*_timed(spoken, rate, generator), ("SIL", False, 0.25)]
            words += spoken
    phones = _place(timed, 0.0)
    spans = (EmotionSpan(start_s=0.0, end_s=phones[-1].end_s, label=emotion, intensity=intensity),)
    pitch, accent = _prosody(phones, spans, pitch_hz)
    return Score(phones=tuple(phones), words=tuple(words), spans=spans, pitch_hz=pitch, accent=accent)
