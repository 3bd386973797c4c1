"""The results of a study as Markdown."""

from __future__ import annotations

import re
from html import escape

from difffilter.benchmark.report.tables import overview, tables
from difffilter.benchmark.report.words import (
    about,
    circumstances,
    count,
    extent,
    failures,
    noise_title,
    place,
    unfinished,
    verdicts,
)

__all__ = ["markdown"]


def markdown(results, data=None):
    """The report as Markdown.

    Parameters
    ----------
    results : Results
    data : str, optional
        The URL of the results folder, as for `html`; ``None``: no links.

    Returns
    -------
    str

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> scores = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): scores})
    >>> print(markdown(results)[:40])
    # Benchmark
    <BLANKLINE>
    2 images, 1 method, gaussia
    """
    lines = [f"# {_md(results.title)}", "", _md(extent(results)) + ".", ""]
    if results.pending:
        lines += [unfinished(results), ""]
    if every := overview(results):
        lines += ["## All holes", "", *_tables(results, every)]
    for noise in results.noises:
        lines += _noise_section(results, noise)
    lines += _left_out(results)
    if protocol := results.study.get("protocol"):
        lines += ["## Protocol", "", _md(protocol), ""]
    made = [f"- {_md(key)}: {_md(value)}" for key, value in circumstances(results)]
    if data is not None:
        made.append(f"- data: [rows.csv]({data}rows.csv), [study.json]({data}study.json)")
    if made:
        lines += ["## Provenance", "", *made, ""]
    return "\n".join(lines)


def _noise_section(results, noise):
    lines = [f"## {_md(noise_title(noise))}", ""]
    said = [f"- {_md(place(results, noise, v.level))}: {_md(v)}" for v in verdicts(results, noise)]
    lines += [*said, ""] if said else []
    return lines + _tables(results, tables(results, noise))


def _tables(results, some):
    lines = []
    for table in some:
        unit = f" ({table.unit})" if table.unit else ""
        lines += [f"### {_md(table.title)}{unit}", "", about(table), ""]
        lines.append("| method | " + " | ".join(map(_md, table.columns)) + " |")
        lines.append("|---" * (len(table.columns) + 1) + "|")
        for row in table.rows:
            cells = [_md(results.shown(row.label)), *map(_md_cell, row.cells)]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _md_cell(cell):
    if not cell.text:
        return "–"
    text = f"**{cell.text}**" if cell.best else cell.text
    if cell.half:
        text += f" ± {cell.half}"
    return f"{text} ({count(cell.partial, 'image')} only)" if cell.partial else text


def _left_out(results):
    lines = []
    if results.missing:
        lines += ["## Methods that could not run", ""]
        lines += [f"- {_md(label)}: {_md(why)}" for label, why in results.missing.items()]
        lines.append("")
    if results.failures:
        lines += ["## Failed cases", ""]
        lines += [
            f"- {_md(label)}, {_md(where)}: {_md(why)}" for label, where, why in failures(results)
        ]
        lines.append("")
    return lines


def _md(text):
    """Text escaped so that Markdown renders it literally."""
    text = escape(" ".join(str(text).split()), quote=False)
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
