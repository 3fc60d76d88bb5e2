"""Sound from files of any kind, 16 kHz mono."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ua3dtalk.core.errors import UserError
from ua3dtalk.media.audio import level_db, read_audio, write_flac
from ua3dtalk.media.video import VideoWriter


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(48000, 2, "PCM_16"), (44100, 1, "FLOAT"), (8000, 1, "PCM_U8"), (16000, 2, "PCM_24"), (16000, 9, "PCM_16")],
)
def test_rates_channels_and_depths(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    path = tmp_path / "some sound.wav"
    soundfile.write(path, np.repeat(tone(rate)[:, None], channels, 1), rate, subtype=subtype)
    samples, got = read_audio(path)
    assert got == 16000
    assert abs(len(samples) - 16000) <= 2
    want = tone(16000)[: len(samples)]
    # Away from the edges of the resampler; 8 bits are 0.004 coarse, 44.1 kHz resampling measured 1e-4.
    assert np.abs(samples[200:-200] - want[200 : len(samples) - 200]).max() < 0.01


def test_flac_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_flac(path, tone(16000))
    samples, _ = read_audio(path)
    assert np.abs(samples - tone(16000)).max() < 1e-4  # 16 bits: 3e-5


def test_start_and_length_pad_with_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_flac(path, tone(16000))
    early, _ = read_audio(path, start_s=-0.5, duration_s=2.0)
    assert len(early) == 32000
    assert np.abs(early[:7999]).max() == 0 and np.abs(early[24001:]).max() == 0
    late, _ = read_audio(path, start_s=0.25, duration_s=0.5)
    np.testing.assert_array_equal(late, read_audio(path)[0][4000:12000])


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_audio(tmp_path / "none.wav")
    text = tmp_path / "text.wav"
    text.write_text("hello " * 100)
    with pytest.raises(UserError, match="no sound that can be read"):
        read_audio(text)
    mute = tmp_path / "mute.mp4"
    with VideoWriter(mute, 25, (64, 48)) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(UserError, match="holds no sound"):
        read_audio(mute)
    nothing = tmp_path / "nothing.wav"
    soundfile.write(nothing, np.zeros(0, np.float32), 16000)
    with pytest.raises(UserError, match="sound"):
        read_audio(nothing)


def test_samples_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    samples = tone(16000)
    samples[5] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with pytest.raises(UserError, match="not finite"):
        read_audio(path)


def test_levels() -> None:
    assert level_db(tone(16000)) == pytest.approx(-9.03, abs=0.01)
    assert level_db(np.zeros(100, np.float32)) == -200.0
    assert level_db(np.zeros(0, np.float32)) == -200.0
