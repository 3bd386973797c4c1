"""The rows of results, and the CSV that they are kept in."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from difffilter.files import replacing

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


def read_rows(path):
    """The rows of a CSV; lines that are damaged, as a last one half-written, are left out.

    Parameters
    ----------
    path : str or Path
        It need not exist.

    Returns
    -------
    list of Row
    """
    path = Path(path)
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    whole, _, _ = text.rpartition("\n")  # what follows the last line's end is half a line
    rows = []
    for fields in csv.reader(io.StringIO(whole)):
        if len(fields) != len(HEADER) or tuple(fields) == HEADER:
            continue
        image, noise, sigma, seed, denoiser, metric, value = fields
        try:
            value = value if metric == "error" else float(value)
            rows.append(Row(image, noise, float(sigma), int(seed), denoiser, metric, value))
        except ValueError:
            continue
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
