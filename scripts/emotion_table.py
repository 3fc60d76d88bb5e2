"""Table of EmoDB or RAVDESS for ``ua3dtalk priors train-emotion``: ``emotion_table.py FOLDER TABLE.csv``."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from ua3dtalk.priors.emotion_corpora import corpus_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the corpus, files named as published")
    parser.add_argument("table", type=Path, help="the CSV to write")
    args = parser.parse_args()
    with args.table.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("file", "speaker", "label", "intensity"))
        for item in corpus_files(args.folder):
            strong = "" if item.intensity is None else item.intensity
            writer.writerow((item.file.resolve(), item.speaker, item.label, strong))


if __name__ == "__main__":
    main()
