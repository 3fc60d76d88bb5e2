"""Pictures made while frames go by: a contact sheet, a side-by-side video, curves of the mouth over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.evaluation.regions import FrameRegions
from ua3dtalk.evaluation.results import Evaluation
from ua3dtalk.media.video import VideoWriter

FPS = 25.0
COLORS = {
    "reference": "#111111",
    "real": "#7f7f7f",
    "static": "#bcbd22",
    "expression": "#1f77b4",
    "driven": "#d62728",
    "audio-only": "#9467bd",
}
_CAPTION_PX = 22
_GAP_PX = 4
_MAX_TILE_PX = 256

Picture = UInt8[np.ndarray, "h w 3"]


class ContactSheet:
    """Keeps a few frames, evenly spread, of every row.

    Args:
        num_frames: Frames that will go by.
        columns: Frames to keep.
    """

    def __init__(self, num_frames: int, columns: int = 6) -> None:
        self._keep = set(np.linspace(0, num_frames - 1, min(columns, num_frames)).round().astype(int).tolist())
        self._kept: dict[str, list[np.ndarray]] = {}
        self._positions: list[int] = []

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        """Take the frames of one instant, if it is one of those to keep."""
        if position not in self._keep:
            return
        self._positions.append(position)
        for name, frame in frames.items():
            self._kept.setdefault(name, []).append(tile(frame))

    def picture(self, frames: Sequence[int]) -> Picture:
        """Rows of the evaluation from top to bottom, time from left to right, captions included.

        Args:
            frames: Index in the subject of every frame that went by.
        """
        strips = []
        for name, tiles in self._kept.items():
            text = f"{row_title(name)}: frames " + ", ".join(str(frames[p]) for p in self._positions)
            strip = np.concatenate([np.pad(t, ((0, 0), (0, _GAP_PX), (0, 0)), constant_values=255) for t in tiles], 1)
            strips += [caption(text, strip.shape[1]), strip]
        return np.concatenate(strips, 0)


class SideBySide:
    """Writes all rows beside each other into one video with the true sound; a context manager.

    Args:
        path: Target, ``.mp4``.
        names: Rows in order, ``reference`` first.
        size: Width and height of one frame.
        audio: Sound of the evaluated frames, 16 kHz mono, or None.
        metadata: Container tags.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str],
        size: tuple[int, int],
        audio: Float32[np.ndarray, " s"] | None,
        metadata: Mapping[str, str],
    ) -> None:
        self._names = tuple(names)
        height, width = tile(np.zeros((size[1], size[0], 3), np.uint8)).shape[:2]
        self._head = np.concatenate([caption(row_title(name), width) for name in self._names], 1)
        self._writer = VideoWriter(
            path, FPS, (width * len(self._names), height + _CAPTION_PX), audio=audio, metadata=metadata
        )

    def __enter__(self) -> SideBySide:
        self._writer.__enter__()
        return self

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        """Append one instant."""
        tiles = np.concatenate([tile(frames[name]) for name in self._names], 1)
        self._writer.write(np.concatenate([self._head, tiles], 0))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


def mouth_curves_png(evaluation: Evaluation) -> bytes:
    """Mouth opening over time, real and rendered, one panel per row, as PNG."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = evaluation.rows
    figure = Figure(figsize=(7.2, 1.5 * len(rows) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    time_s = (np.array(evaluation.frames) - evaluation.frames[0]) / FPS
    for panel, (name, row) in zip(panels, rows.items(), strict=True):
        panel.plot(time_s, evaluation.real_opening, color=COLORS["reference"], linewidth=1.0, label="real video")
        panel.plot(time_s, row.curves.opening, color=COLORS.get(name, "#2ca02c"), linewidth=1.4, label=row_title(name))
        panel.legend(loc="lower right", bbox_to_anchor=(1, 0.94), fontsize=8, frameon=False, ncols=2)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    panels[len(panels) // 2].set_ylabel("mouth opening / eye-corner distance", fontsize=8)
    panels[-1].set_xlabel("seconds from the first held-out frame", fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()


def encode_jpeg(picture: Picture, quality: int = 88) -> bytes:
    """A picture as JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def row_title(name: str) -> str:
    """A row's name for people."""
    return {"reference": "held-out video", "real": "real video, JPEG"}.get(name, name)


def tile(frame: Picture) -> Picture:
    """The picture, shrunk where it is larger than a tile."""
    scale = _MAX_TILE_PX / max(frame.shape[:2])
    if scale >= 1:
        return frame
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def caption(text: str, width: int) -> Picture:
    """A white strip of a given width with small black text."""
    strip = np.full((_CAPTION_PX, width, 3), 255, np.uint8)
    scale = 0.42
    while scale > 0.2 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > width - 6:
        scale -= 0.02
    return cv2.putText(strip, text, (3, 15), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 1, cv2.LINE_AA)
