"""The report of a study: rows in, Markdown and one HTML page out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import ExitStack
from html import escape
from importlib.resources import files
from pathlib import Path

from difffilter.benchmark import plots
from difffilter.benchmark.summary import Results, read
from difffilter.benchmark.svg import inline
from difffilter.benchmark.tables import tables
from difffilter.catalog import MissingExtra
from difffilter.files import replacing

__all__ = ["Results", "html", "markdown", "read", "write"]


def write(results, output=None):
    """Write ``report.md`` and ``report.html``, each whole or not at all.

    Parameters
    ----------
    results : path-like
        A results folder, with ``rows.csv`` and ``study.json``.
    output : path-like, optional
        Where to; made if it does not exist. ``None``: into the results folder.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    OSError, ValueError
        If the results cannot be read, or the files not be written; `MissingExtra` if Jinja2 is not
        installed. Neither file is touched then.
    """
    found = read(results)
    texts = {"report.md": markdown(found), "report.html": html(found)}
    folder = Path(results if output is None else output)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as both:  # neither takes its place before both are written
        for name, text in texts.items():
            both.enter_context(replacing(folder / name)).write_text(text, "utf-8")
    return [folder / name for name in texts]


# --- Markdown -------------------------------------------------------------------------------


def markdown(results):
    """The report as Markdown.

    Parameters
    ----------
    results : Results
        What was measured.

    Returns
    -------
    str

    Examples
    --------
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
    for noise in results.noises:
        lines += _noise_section(results, noise)
    lines += _left_out(results)
    if protocol := results.study.get("protocol"):
        lines += ["## Protocol", "", _md(protocol), ""]
    made = [f"- {_md(key)}: {_md(value)}" for key, value in circumstances(results)]
    if made:
        lines += ["## How it was made", "", *made, ""]
    return "\n".join(lines)


def _noise_section(results, noise):
    lines = [f"## {_md(noise_title(noise))}", ""]
    said = [f"- σ·255 = {v.level:g}: {_md(v)}" for v in verdicts(results, noise)]
    lines += [*said, ""] if said else []
    for table in tables(results, noise):
        unit = f" ({table.unit})" if table.unit else ""
        lines += [f"### {_md(table.title)}{unit}", "", _about(table), ""]
        lines.append("| method | " + " | ".join(map(_md, table.columns)) + " |")
        lines.append("|---" * (len(table.columns) + 1) + "|")
        for row in table.rows:
            cells = [_md(results.shown(row.label)), *map(_md_cell, row.cells)]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _about(table):
    """What the numbers of a table are, in a sentence or two."""
    if table.metric == "seconds":
        what = "Median over images, by σ·255"
    elif table.metric == "peak_memory":
        what = "The most over images, by σ·255"
    elif table.metric == "behind":
        what = "Difference on the same image, mean with a 95 % confidence interval, by σ·255"
        return f"{what}; to the best method that is no oracle."
    else:
        what = "Mean over images with a 95 % confidence interval, by σ·255"
    if table.better:
        what += f"; {table.better} is better, the best in bold, oracles left out"
    if "seconds" in table.columns:
        what += "; seconds an image are the median over all σ"
    if "MB" in table.columns:
        what += "; MB are the most memory over all σ"
    return what + "."


def _md_cell(cell):
    if not cell.text:
        return "–"
    text = f"**{cell.text}**" if cell.best else cell.text
    if cell.half:
        text += f" ± {cell.half}"
    return f"{text} ({_number(cell.partial, 'image')} only)" if cell.partial else text


def _left_out(results):
    lines = []
    if results.missing:
        lines += ["## Methods that could not run", ""]
        lines += [f"- {_md(label)}: {_md(why)}" for label, why in results.missing.items()]
        lines.append("")
    if results.failures:
        lines += ["## Cases that failed", ""]
        lines += [
            f"- {_md(label)}, {_md(where)}: {_md(why)}" for label, where, why in failures(results)
        ]
        lines.append("")
    return lines


def _md(text):
    """Text as Markdown that shows just that text."""
    text = escape(" ".join(str(text).split()), quote=False)
    text = re.sub(r"([\\`*\[\]|~])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


# --- the page -------------------------------------------------------------------------------


def html(results):
    """The report as one HTML page that needs nothing else: no network, no other file.

    Parameters
    ----------
    results : Results
        What was measured.

    Returns
    -------
    str

    Raises
    ------
    MissingExtra
        If Jinja2 is not installed.

    Examples
    --------
    >>> scores = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): scores})
    >>> html(results)[:15]
    '<!doctype html>'
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingExtra("the report needs jinja2: pip install 'difffilter[bench]'") from None
    page = files("difffilter.benchmark") / "page"
    vendor = page / "vendor"
    scripts = [
        "/*\nimg-comparison-slider 8.0.7\n"
        + _text(vendor / "LICENSE-img-comparison-slider")
        + "*/\n"
        + _text(vendor / "img-comparison-slider.js"),
        "/* sortable-tablesort 4.1.7, public domain (Unlicense) */\n"
        + _text(vendor / "sortable.js")
        + _text(vendor / "sortable.a11y.js"),
        _text(page / "page.js"),
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text(page / "page.html")).render(
        title=results.title,
        extent=extent(results),
        headline=headline(results),
        methods=_methods(results),
        sections=[_section(results, noise, n) for n, noise in enumerate(results.noises)],
        levels=_levels(results),
        missing=results.missing,
        failures=failures(results),
        failed=sum(len(cases) for *_, cases in results.failures),
        unfinished=unfinished(results) if results.pending else "",
        protocol=results.study.get("protocol", ""),
        circumstances=circumstances(results),
        examples=examples(results),
        count=_number,
        style=_text(page / "page.css"),
        palette=list(plots.COLOURS),
        scripts=scripts,
        # Scripts run only if they are these: what slipped through the escaping would not.
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
    )


def _section(results, noise, number):
    variables = {plots.GREY: "--grey", plots.INK: "--ink", plots.LINE: "--line"}
    variables |= {shade: f"--c{n}" for n, shade in enumerate(plots.COLOURS)}
    variables["#ffffff"] = "--paper"
    charts, by_level = [], {}
    for drawing in plots.drawings(results, noise):
        chart = {
            "title": drawing.title,
            "caption": drawing.caption,
            "svg": inline(
                drawing.figure,
                f"f{number}-{len(charts) + sum(map(len, by_level.values()))}-",
                variables,
                f"{drawing.title}, {noise_title(noise)}",
            ),
        }
        if drawing.level is None:
            charts.append(chart)
        else:
            by_level.setdefault(drawing.level, []).append(chart)
    levels = list(by_level)
    return {
        "id": f"noise-{number}",
        "title": noise_title(noise),
        "verdicts": verdicts(results, noise),
        "tables": [(table, _about(table)) for table in tables(results, noise)],
        "charts": charts,
        "by_level": by_level,
        "shown": levels[len(levels) // 2] if levels else None,
    }


def _methods(results):
    failed = {}
    for _, _, label, _, cases in results.failures:
        failed[label] = failed.get(label, 0) + len(cases)
    texts = results.study.get("denoisers", {})
    shades = {shade: f"--c{n}" for n, shade in enumerate(plots.COLOURS)} | {plots.GREY: "--grey"}
    return {
        label: {
            "number": number,
            "text": str(texts.get(label, "")),
            "oracle": label in results.oracles,
            "failed": failed.get(label, 0),
            "shade": shades[plots.colour(results, label)],
        }
        for number, label in enumerate(results.methods)
    }


def examples(results):
    """The example images, for the page's sliders.

    Returns
    -------
    list of dict
        For each case its ``image``, ``case`` (the noise in words), ``best`` (a label) and
        ``pictures``: a list of ``label``, ``score`` in words and ``source``, a data URI, the clean
        image first.
    """
    found = []
    root = results.folder / "examples" if results.folder else None
    if root is None or not root.is_dir():
        return found
    cases = [path.parent for path in root.glob("*/*/labels.json")]
    for folder in sorted(cases, key=lambda path: _natural(path.relative_to(root).as_posix())):
        labels = json.loads((folder / "labels.json").read_text("utf-8"))
        labels = {"clean.png": "clean"} | labels
        noise, level, seed = folder.name.rsplit("-", 2)
        pictures = []
        for name, label in labels.items():
            path = folder / name
            # Only files of this folder, whatever the names in the list say.
            if Path(name).name != name or not path.is_file():
                continue
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            score = _picture_score(results, noise, level, seed, folder.parent.name, label)
            source = f"data:image/png;base64,{encoded}"
            pictures.append(
                {
                    "label": str(label),
                    "score": score,
                    "source": source,
                    "clean": name == "clean.png",
                }
            )
        order = {label: n for n, label in enumerate(results.methods)}
        pictures.sort(key=lambda p: -1 if p["clean"] else order.get(p["label"], len(order)))
        if len(pictures) > 1:
            title = noise_title(noise)
            case = f"{title}, σ·255 = {level}" + (f", seed {seed}" if seed != "0" else "")
            best = results.best(noise, float(level)) or pictures[-1]["label"]
            found.append(
                {"image": folder.parent.name, "case": case, "best": best, "pictures": pictures}
            )
    return found


def _picture_score(results, noise, level, seed, image, label):
    """The scores of one picture in words; empty where there are none."""
    words = []
    for metric, form in (("psnr", "{:.2f} dB"), ("ssim", "SSIM\u00a0{:.3f}")):
        cases = results.values.get((noise, float(level), label, metric), {})
        named = {_plain(name): value for (name, s), value in cases.items() if str(s) == seed}
        if _plain(image) in named:
            words.append(form.format(named[_plain(image)]))
    return ", ".join(words)


# --- words that both share ------------------------------------------------------------------


def verdicts(results, noise):
    """What happened at each level, in order; a level without PSNR is left out."""
    found = [results.verdict(noise, level) for level in results.levels(noise)]
    return [verdict for verdict in found if verdict is not None]


def headline(results):
    """Who won, in one sentence.

    Examples
    --------
    >>> scores = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): scores})
    >>> headline(results)
    'heat wins at σ·255 = 25'
    """
    wins, chance = {}, False
    for noise in results.noises:
        for verdict in verdicts(results, noise):
            wins.setdefault(verdict.winner, []).append((noise, verdict.level))
            chance = chance or verdict.chance
    doubt = ", but not always by more than chance" if chance else ""
    if not wins:
        return "No method has a PSNR at any noise level"
    if list(wins) == ["identity"]:
        return "No method beats the noisy image"
    if len(wins) == 1 and sum(map(len, wins.values())) > 1:
        return f"{next(iter(wins))} wins at every noise level{doubt}"
    parts = []
    for winner, cases in wins.items():
        places = {}
        for noise, level in cases:
            places.setdefault(noise, []).append(f"{level:g}")
        where = " and ".join(
            f"σ·255 = {', '.join(levels)}"
            + (f" ({noise_title(noise).lower()})" if len(results.noises) > 1 else "")
            for noise, levels in places.items()
        )
        parts.append(f"{winner} wins at {where}")
    return "; ".join(parts) + doubt


def extent(results):
    """How much was measured: images, seeds, noises, levels."""
    study = results.study
    cases = [*results.values.values(), *results.errors.values()]
    images = {image for some in cases for image, _ in some}
    count = len(study.get("images", [])) or len(images)
    seeds = len(study.get("seeds", []))
    return ", ".join(
        [
            _number(count, "image"),
            *([_number(seeds, "seed")] if seeds > 1 else []),
            _number(len(results.methods), "method"),
            ", ".join(noise_title(noise).lower() for noise in results.noises),
            "σ·255 = " + ", ".join(f"{level:g}" for level in _levels(results)),
        ]
    )


def unfinished(results):
    """A sentence for a study that is still running, or was stopped."""
    return f"The study is unfinished: {_number(results.pending, 'case')} still to run."


def failures(results, names=5):
    """The cases that failed, as (label, where, why), those alike in one line."""
    found = []
    for noise, level, label, message, cases in results.failures:
        shown = [image if seed == 0 else f"{image} (seed {seed})" for image, seed in cases[:names]]
        where = f"{noise_title(noise).lower()}, σ·255 = {level:g}, on {', '.join(shown)}"
        if len(cases) > names:
            where += f" and {len(cases) - names} more"
        found.append((label, where, message))
    return found


def circumstances(results):
    """Machine, versions, commit and date, as pairs of words."""
    study = results.study
    found = []
    machine = study.get("machine") or {}
    names = {"processor": "processor", "cores": "cores", "device": "device", "system": "system"}
    found += [(name, machine[key]) for key, name in names.items() if machine.get(key)]
    versions = study.get("versions") or {}
    if versions:
        found.append(("versions", ", ".join(f"{name} {v}" for name, v in versions.items())))
    found += [(key, study[key]) for key in ("commit", "date") if study.get(key)]
    return found


def noise_title(noise):
    """A kind of noise as a heading.

    Examples
    --------
    >>> noise_title("salt_and_pepper")
    'Salt and pepper noise'
    """
    words = noise.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]} noise"


def _levels(results):
    return sorted({level for noise in results.noises for level in results.levels(noise)})


def _number(count, noun):
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _plain(name):
    """A name as it may stand in a path: letters and digits are what is left of it."""
    return re.sub(r"\W+", "", str(name))


def _natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _text(path):
    return path.read_text("utf-8")


def _digest(script):
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
