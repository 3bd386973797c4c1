"""The rows of results, and the CSV that they are kept in."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from difffilter.io.files import replacing

__all__ = ["HEADER", "Row", "as_csv", "read_rows", "write_rows"]

HEADER = ("image", "noise", "sigma", "seed", "denoiser", "metric", "value")


class Row(NamedTuple):
    """One result: a metric of one method on one case, or, as the metric ``error``, its failure."""

    image: str
    noise: str
    sigma: float
    seed: int
    denoiser: str
    metric: str
    value: float | str


def read_rows(path, *, repair=False):
    """The rows of a CSV, but for a last line that is half-written.

    Parameters
    ----------
    path : str or Path
    repair : bool, default False
        Leave out damaged lines, and take a file that is missing for an empty one.

    Returns
    -------
    list of Row

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or a line is no row; not with `repair`.
    """
    path = Path(path)
    if repair and not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace" if repair else "strict")
    # A line without an end was being written when somebody looked, or killed the writer.
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    if tuple(next(lines, ())) != HEADER and not repair:
        raise ValueError(f"{path} does not begin with the header {','.join(HEADER)}")
    rows = []
    for fields in lines:
        try:
            image, noise, sigma, seed, denoiser, metric, value = fields
            value = value if metric == "error" else float(value)
            rows.append(Row(image, noise, float(sigma), int(seed), denoiser, metric, value))
        except ValueError:
            if not repair:
                raise ValueError(f"{path}, line {lines.line_num}: not a result: {fields}") from None
    return rows


def as_csv(rows):
    """Rows as the bytes of lines."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def write_rows(path, rows):
    """A file with the header and rows, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(as_csv([HEADER, *rows]))
