"""A table of recordings with their speakers and emotions, to train the emotion teacher on."""

from __future__ import annotations

import csv
from pathlib import Path

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.emotion_corpora import CorpusFile

COLUMNS = ("file", "speaker", "label")
INTENSITY = "intensity"


def read_recordings(path: Path) -> list[CorpusFile]:
    """Read a CSV with the columns ``file,speaker,label`` and, if you like, ``intensity`` (0 to 1, or empty).

    Files are relative to the table's folder.

    Raises:
        UserError: no table of that form, or a line without one of the values or whose file does not exist.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"the table {path} is not a CSV file ({error}).", "Save it as plain text, UTF-8.") from error
    if missing := [name for name in COLUMNS if name not in columns]:
        raise UserError(
            f"the table {path} has no column {missing[0]!r}.", f"Its first line must be {','.join(COLUMNS)}."
        )
    if not rows:
        raise UserError(f"the table {path} holds no recordings.", "Write a line for each.")
    return [_recording(path, number, row) for number, row in rows]


def _recording(path: Path, number: int, row: dict[str, str | None]) -> CorpusFile:
    file, speaker, label = ((row[name] or "").strip() for name in COLUMNS)
    if not (file and speaker and label):
        raise UserError(f"the table {path}, line {number}: a value is missing.", f"Write {', '.join(COLUMNS)}.")
    sound = path.parent / file
    try:
        there = sound.is_file()
    except (OSError, ValueError):  # a name that is too long, or none at all
        there = False
    if not there:
        raise UserError(f"the table {path}, line {number}: {str(sound)[:200]} does not exist.", "Correct the path.")
    return CorpusFile(file=sound, speaker=speaker, label=label.lower(), intensity=_intensity(path, number, row))


def _intensity(path: Path, number: int, row: dict[str, str | None]) -> float | None:
    text = (row.get(INTENSITY) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"the table {path}, line {number}: intensity {text!r}.", "Give 0 to 1, or leave it empty.")
    return value
