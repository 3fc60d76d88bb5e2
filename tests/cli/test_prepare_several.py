"""``prepare`` of several videos on the command line: what does not fit is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ua3dtalk.cli.main import main
from ua3dtalk.media.video import VideoWriter


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, paths = tmp_path_factory.mktemp("videos"), []
    for level in (60, 120):
        paths.append(folder / f"{level}.mp4")
        with VideoWriter(paths[-1], 25, (64, 64)) as writer:
            for _ in range(50):
                writer.write(np.full((64, 64, 3), level, np.uint8))
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("count", "labels", "words"),
    [
        (0, ["happy"], "No video is named."),
        (2, ["happy", "sad", "angry"], "3 emotion labels for 2 videos."),
        (2, ["happy"], "1 emotion label for 2 videos."),
        (1, ["happy", "sad"], "2 emotion labels for 1 video."),
        (1, ["emotions.csv"], "--labels emotions.csv does not exist."),
        (2, ["happy", "sad.txt"], "--labels sad.txt: this is no emotion's name, and no table that exists."),
        (2, ["TABLE"], "labels the times of one video, but there are 2."),
        (2, ["happy", "sad"], "60.mp4: no face was found."),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    videos: list[str], count: int, labels: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("start_s,end_s,label\n0,1,happy\n")
    given = [str(table) if label == "TABLE" else label for label in labels]
    out = tmp_path / "subject"
    arguments = ["prepare", *videos[:count], "--out", str(out), "--i-have-consent", "--labels", *given]
    assert main(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split()) and not out.exists()
