"""What tracking found out about every frame: pose, landmarks, expression, mesh. T frames, A action units."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import ARCHIVE_ERRORS, atomic_path

UPPER_NAMES = ("AU45", "AU01", "AU02", "AU04", "AU05", "AU07")
"""Order of the upper-face signals: blink, inner brow up, outer brow up, brow down, upper lid up, lids tight."""

NUM_LOWER = 13
"""Lower-face coefficients: 12 principal components and the mouth opening."""


@dataclass(frozen=True)
class TrackData:
    """The tracked video. Statistics behind z-scores come from training frames only (``subject.split``)."""

    viewmats: Float64[np.ndarray, "t 4 4"]
    """World (head) to camera, OpenCV axes, metres."""
    K: Float64[np.ndarray, "3 3"]
    """Pinhole intrinsics, pixels, pixel centres at +0.5; shared by all frames."""
    landmarks: Float32[np.ndarray, "t 478 3"]
    """Face landmarks: x, y in pixels of the stored frame (pixel centres at +0.5), z in the same scale."""
    lower: Float32[np.ndarray, "t 13"]
    """Lower-face coefficients: 12 principal components, then the mouth opening; z-scored."""
    upper: Float32[np.ndarray, "t 6"]
    """Upper-face signals in the order of ``UPPER_NAMES``; z-scored."""
    opening: Float32[np.ndarray, " t"]
    """Mouth opening: distance of inner lip points 13 and 14 over the distance of the outer eye corners, raw."""
    width: Float32[np.ndarray, " t"]
    """Mouth width: distance of corners 61 and 291 over the distance of the outer eye corners, raw."""
    action_units: Float32[np.ndarray, "t a"]
    """Named action units, about 0 at rest and 1 at this person's strongest (95th percentile and above)."""
    au_names: tuple[str, ...]
    """Names of the columns of ``action_units``."""
    mesh: Float32[np.ndarray, "468 3"]
    """The person's mean mesh, head frame, metres."""
    mesh_basis: Float32[np.ndarray, "19 468 3"]
    """Metres of mesh motion per unit of ``concat(lower, upper)``."""
    valid: Bool[np.ndarray, " t"]
    """False where the face was lost and the values are interpolated."""
    head_points: Float32[np.ndarray, "t 468 3"]
    """Landmarks in the head frame, metres."""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.viewmats)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` in one atomic step."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        with atomic_path(path) as partial:
            np.savez(partial, **arrays)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> TrackData:
        """Read what ``save`` wrote.

        Raises:
            UserError: missing, damaged, incomplete, or holding values that are not finite.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {f.name: archive[f.name] for f in fields(TrackData)}
        except FileNotFoundError as error:
            raise UserError(f"{path} does not exist.", "Run `ua3dtalk prepare` again.") from error
        except ARCHIVE_ERRORS as error:
            raise UserError(f"{path} cannot be read ({str(error)[:200]}).", "Run `ua3dtalk prepare` again.") from error
        names = tuple(str(name) for name in arrays.pop("au_names"))
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UserError(f"{path}: {name} holds values that are not finite.", "Run `ua3dtalk prepare` again.")
        return TrackData(**arrays, au_names=names)
