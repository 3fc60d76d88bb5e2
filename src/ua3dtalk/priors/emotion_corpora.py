"""Names of two public corpora of acted speech: the Berlin database (EmoDB) and RAVDESS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ua3dtalk.core.errors import UserError

EMODB = {"W": "angry", "L": "bored", "E": "disgusted", "A": "fearful", "F": "happy", "T": "sad", "N": "neutral"}
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
SOUNDS = (".wav", ".flac")


@dataclass(frozen=True, kw_only=True)
class CorpusFile:
    """One utterance of a corpus."""

    file: Path
    """The sound."""
    speaker: str
    """Who speaks."""
    label: str
    """The emotion."""
    intensity: float | None
    """1 acted strongly, 0 normally, None where nobody says."""


def corpus_files(folder: Path) -> list[CorpusFile]:
    """Utterances of a folder (and those below it) whose names are EmoDB's (``03a01Fa``) or RAVDESS' (seven numbers).

    Raises:
        UserError: a sound file has another name, or there is none.
    """
    paths = sorted((p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS), key=lambda p: p.name)
    if not paths:
        raise UserError(f"{folder} holds no sound ({', '.join(SOUNDS)}).", "Give the folder of EmoDB or of RAVDESS.")
    return [_read_name(path) for path in paths]


def _read_name(path: Path) -> CorpusFile:
    if found := re.fullmatch(r"(\d\d)[ab]\d\d([WLEAFTN])[a-z]", path.stem):
        return CorpusFile(file=path, speaker=found[1], label=EMODB[found[2]], intensity=None)
    if found := re.fullmatch(r"\d\d-\d\d-0([1-8])-0([12])-\d\d-\d\d-(\d\d)", path.stem):
        label = RAVDESS[int(found[1]) - 1]
        strong = None if label == "neutral" else float(found[2] == "2")  # neutral has one intensity only
        return CorpusFile(file=path, speaker=found[3], label=label, intensity=strong)
    raise UserError(
        f"{path} is named neither like EmoDB (03a01Fa) nor like RAVDESS (03-01-05-02-01-01-12).", "Move it."
    )
