"""Sound, content and mouth are compared as lips, whoever speaks."""

from __future__ import annotations

import numpy as np
import pytest
from speakers import PRIOR, speaker

from ua3dtalk.avatar.lip_readings import HEARD, SAID, SHOWN, LipReader, hear

FRAMES = np.arange(1200)


def witnesses(seed: int) -> dict[str, np.ndarray]:
    track = speaker(seed)
    heard = hear(track.audio.numpy(), PRIOR).astype(float)
    return {HEARD: heard, SAID: track.content.numpy().astype(float), SHOWN: track.lower.numpy().astype(float)}


def test_the_sound_is_heard_as_the_content_stream_says() -> None:
    rows = witnesses(0)
    now = slice(27, 36)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(rows[HEARD][:, now].T, rows[SAID][:, now].T, strict=True)]
    assert min(r[1:]) > 0.8 and r[0] > 0.5  # the opening depends on the loudness, which the stream does not hold
    late = [np.corrcoef(a[2:], b[:-2])[0, 1] for a, b in zip(rows[HEARD][:, now].T, rows[SAID][:, now].T, strict=True)]
    assert np.mean(late) < np.mean(r) - 0.1, "two frames late must be worse than in time"


def test_the_odd_one_out_is_found_and_the_others_are_not() -> None:
    reader, rows, strange = LipReader.fit(witnesses(0), FRAMES), witnesses(0), witnesses(5)
    clean = reader.odd_ones(rows)
    assert set(clean) == {HEARD, SAID}
    for name, other in ((HEARD, SAID), (SAID, HEARD)):
        found = reader.odd_ones(rows | {name: strange[name]})
        assert np.median(found[name]) > 0.5 > 0.3 > np.median(found[other])
        assert np.quantile(clean[name], 0.9) < 0.3


def test_silence_agrees_with_silence() -> None:
    reader = LipReader.fit(witnesses(0), FRAMES)
    still = {name: np.tile(rows[:1], (100, 1)) for name, rows in witnesses(0).items()}
    assert max(float(odd.max()) for odd in reader.odd_ones(still).values()) < 1e-6


def test_one_witness_alone_says_nothing() -> None:
    rows = witnesses(0)
    assert LipReader.fit({SHOWN: rows[SHOWN]}, FRAMES).odd_ones({SHOWN: rows[SHOWN]}) == {}
    reader = LipReader.fit({SAID: rows[SAID], SHOWN: rows[SHOWN]}, FRAMES)
    assert set(reader.odd_ones({SAID: rows[SAID], SHOWN: rows[SHOWN]})) == {SAID}


def test_long_sound_is_heard_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = speaker(0).audio.numpy()[:700]
    whole = hear(windows, PRIOR)
    monkeypatch.setattr("ua3dtalk.avatar.lip_readings._BLOCK", 250)
    np.testing.assert_allclose(hear(windows, PRIOR), whole, atol=2e-5)
