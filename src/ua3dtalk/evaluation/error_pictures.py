"""Where and when a row errs, as pictures: mean error maps, the worst and the best frames, curves over time."""

from __future__ import annotations

import heapq
import io
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from ua3dtalk.evaluation.image import psnr_db
from ua3dtalk.evaluation.pictures import COLORS, FPS, caption, row_title, tile
from ua3dtalk.evaluation.regions import FrameRegions
from ua3dtalk.evaluation.results import Evaluation

FULL_HEAT = 0.25
"""Mean absolute error (0..1) that the hottest colour of an error picture stands for."""
EXTREMES = 3

Picture = UInt8[np.ndarray, "h w 3"]


def heat(error: Float32[np.ndarray, "h w"]) -> Picture:
    """An error per pixel as colour: black is 0, pale yellow ``FULL_HEAT`` and more."""
    levels = (np.clip(error / FULL_HEAT, 0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])


def absolute_error(frame: Picture, real: Picture) -> Float32[np.ndarray, "h w"]:
    """Mean absolute difference over the three channels, 0..1."""
    return cv2.absdiff(frame, real).mean(-1, dtype=np.float32) / 255


class ErrorMaps:
    """Mean absolute error per pixel of every row over all frames."""

    def __init__(self) -> None:
        self._sums: dict[str, np.ndarray] = {}
        self._frames = 0

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        """Take one instant."""
        self._frames += 1
        for name, frame in frames.items():
            if name != "reference":
                error = absolute_error(frame, frames["reference"])
                self._sums[name] = self._sums.get(name, 0) + error

    def picture(self) -> Picture:
        """All rows beside each other."""
        panels = []
        for name, total in self._sums.items():
            panel = tile(heat(total / self._frames))
            panels.append(np.concatenate([caption(row_title(name), panel.shape[1]), panel]))
        return np.concatenate(panels, 1)


class Extremes:
    """Keeps the frames in which one row is worst and best by the head's PSNR.

    Args:
        row: Which row.
    """

    def __init__(self, row: str) -> None:
        self.row = row
        self._worst: list[tuple[float, int, np.ndarray, np.ndarray]] = []
        self._best: list[tuple[float, int, np.ndarray, np.ndarray]] = []

    def see(self, position: int, frames: Mapping[str, np.ndarray], regions: FrameRegions) -> None:
        """Take one instant."""
        score = psnr_db(frames[self.row], frames["reference"], regions.head)
        if score is None:
            return
        kept = (frames["reference"], frames[self.row])
        for heap, key in ((self._worst, -score), (self._best, score)):
            heapq.heappush(heap, (key, position, *kept))
            if len(heap) > EXTREMES:
                heapq.heappop(heap)

    def picture(self, frames: Sequence[int]) -> Picture | None:
        """Real, rendered and error of the worst, then of the best frames; None where the row has no scored frame.

        Args:
            frames: Index in the subject of every frame that went by.
        """
        columns = []
        for word, heap, sign in (("worst", self._worst, -1), ("best", self._best, 1)):
            for key, position, real, shown in sorted(heap, key=lambda entry: -entry[0]):
                parts = [tile(picture) for picture in (real, shown, heat(absolute_error(shown, real)))]
                title = caption(f"{word}: frame {frames[position]}, {sign * key:.1f} dB", parts[0].shape[1])
                columns.append(np.concatenate([title, *parts]))
        return np.concatenate(columns, 1) if columns else None


def error_curves_png(evaluation: Evaluation) -> bytes:
    """PSNR of head and mouth box over time, all rows but the real one, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 1, sharex=True)
    time_s = (np.array(evaluation.frames) - evaluation.frames[0]) / FPS
    for panel, region in zip(panels, ("head", "mouth"), strict=True):
        for name, row in evaluation.rows.items():
            if name != "real":
                values = row.curves.psnr_db[region]
                panel.plot(time_s, values, color=COLORS.get(name, "#2ca02c"), linewidth=1.1, label=row_title(name))
        panel.set_ylabel(f"{region} PSNR (dB)", fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    panels[0].legend(loc="upper center", bbox_to_anchor=(0.5, 1.22), fontsize=8, frameon=False, ncols=4)
    panels[1].set_xlabel("seconds from the first scored frame", fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()
