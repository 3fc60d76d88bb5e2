"""Pictures of the embedded actor for the README and the docs, from what `ua3dtalk demo` made.

Run: python scripts/actor_picture.py DEMO        (writes docs/pictures/actor.webp and docs/pictures/stages.jpg)
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ua3dtalk.media.video import VideoReader
from ua3dtalk.subject.store import Subject

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIDE, BAND = 192, 18
EVERY, SECONDS = 2, 2.2
"""Every second picture of the middle of each emotion: small, and still fluent."""
LABEL_COLOURS = np.array(
    [
        [240, 240, 240],
        [110, 140, 160],
        [160, 180, 195],
        [120, 80, 60],
        [235, 190, 165],
        [80, 50, 30],
        [70, 130, 200],
        [210, 80, 90],
        [90, 20, 30],
    ],
    np.uint8,
)
"""Background, torso, neck, hair, skin, brows, eyes, lips, inner mouth."""


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="the folder that `ua3dtalk demo` wrote")
    demo = parser.parse_args().demo
    talking, heat = list(VideoReader(demo / "talking.mp4")), list(VideoReader(demo / "confidence.mp4"))
    first, *rest = moving(demo, talking, heat)
    place = PICTURES / "actor.webp"
    first.save(place, save_all=True, append_images=rest, duration=40 * EVERY, loop=0, quality=62, method=6)
    stages(demo, talking, heat).save(PICTURES / "stages.jpg", quality=88)


def moving(demo: Path, talking: list[np.ndarray], heat: list[np.ndarray]) -> list[Image.Image]:
    """The actor and its heat side by side, a stretch of each emotion, named."""
    pictures = []
    with (demo / "emotions.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        middle = (float(row["start_s"]) + float(row["end_s"])) / 2
        first = int((middle - SECONDS / 2) * 25)
        for i in range(first, min(first + int(SECONDS * 25), len(talking)), EVERY):
            pictures.append(captioned([talking[i], heat[i]], [row["label"], "uncertainty"]))
    return pictures


def captioned(panels: list[np.ndarray], captions: list[str]) -> Image.Image:
    """Panels in a row, cut to squares, each with its caption below."""
    sheet = Image.new("RGB", (SIDE * len(panels), SIDE + BAND), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        square = Image.fromarray(panel[: panel.shape[1]])  # the heat has its legend below
        sheet.paste(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (k * SIDE, 0))
        draw.text((k * SIDE + SIDE / 2, SIDE + BAND / 2), caption, "black", ImageFont.load_default(13), anchor="mm")
    return sheet


def stages(demo: Path, talking: list[np.ndarray], heat: list[np.ndarray]) -> Image.Image:
    """A frame, its labels, the avatar and its uncertainty."""
    subject = Subject.open(demo / "subject")
    i, t = subject.num_frames // 2, len(talking) * 3 // 8  # the second emotion of four
    panels = [subject.frame(i), LABEL_COLOURS[subject.parsing(i)], talking[t], heat[t]]
    return captioned(panels, ["frame", "what it shows", "avatar", "uncertainty"])


if __name__ == "__main__":
    main()
