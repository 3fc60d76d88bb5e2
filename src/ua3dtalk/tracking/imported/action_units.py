"""``au.csv``: what OpenFace's FeatureExtraction says about every frame."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ua3dtalk.core.errors import UserError

_INTENSITY = re.compile(r"(AU\d\d)_r")
LEAVE_OUT = "Make it again from the same 25 pictures per second, or rename it: action units are measured anyway."


def read_action_units(path: Path, num_pictures: int) -> dict[str, Float64[np.ndarray, " n"]]:
    """Intensities by name, one row for each picture, in order.

    Some versions of OpenFace put a space before column names and values; neither counts.

    Args:
        path: The table.
        num_pictures: How many rows there must be.

    Returns:
        ``{"AU45": [N]}`` and so on, 0..5.

    Raises:
        UserError: another number of rows, no intensities, or a value that is not a number; names it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = [row for row in csv.reader(handle, skipinitialspace=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a table ({error}).", LEAVE_OUT) from error
    header, body = (rows[0], rows[1:]) if rows else ([], [])
    columns = {match[1]: k for k, name in enumerate(header) if (match := _INTENSITY.fullmatch(name.strip()))}
    if not columns:
        raise UserError(f"{path} has no column such as AU45_r.", LEAVE_OUT)
    if len(body) != num_pictures:
        raise UserError(f"{path} has {len(body)} rows for {num_pictures} pictures in ori_imgs.", LEAVE_OUT)
    values = {name: np.empty(num_pictures) for name in columns}
    for i, row in enumerate(body):
        for name, k in columns.items():
            try:
                values[name][i] = float(row[k])
            except (IndexError, ValueError) as error:
                raise UserError(f"{path}, line {i + 2}: {name}_r is not a number.", LEAVE_OUT) from error
    lost = [name for name, track in values.items() if not np.isfinite(track).all()]
    if lost:
        raise UserError(f"{path}: {lost[0]}_r has values that are not finite.", LEAVE_OUT)
    return values
