"""The rows of results and the CSV file that holds them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from difffilter.io.files import replacing

__all__ = ["HEADER", "Row", "as_csv", "read_rows", "write_rows"]

HEADER = ("image", "noise", "sigma", "seed", "denoiser", "metric", "value")


class Row(NamedTuple):
    """A metric of one method on one case; or, as the metric ``error``, the message of a failure."""

    image: str
    noise: str
    sigma: float
    seed: int
    denoiser: str
    metric: str
    value: float | str

    @property
    def case(self):
        """Image, noise, σ and seed: equal to the `Case`."""
        return self[:4]


def read_rows(path, *, repair=False):
    """Read the rows of a CSV file; a half-written last line is left out.

    Parameters
    ----------
    path : str or Path
    repair : bool, default False
        Whether to skip damaged lines, and to treat a missing file as an empty one.

    Returns
    -------
    list of Row

    Raises
    ------
    FileNotFoundError, ValueError
        Without `repair`: if there is no such file, or a line is not a row.
    """
    path = Path(path)
    if repair and not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace" if repair else "strict")
    # A line without an end was still being written, or its writer was killed.
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
    """The lines of a CSV file, as bytes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def write_rows(path, rows):
    """Write a file of the header and rows, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(as_csv([HEADER, *rows]))
