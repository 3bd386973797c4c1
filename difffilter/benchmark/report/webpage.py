"""The results of a study as one self-contained HTML page."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from difffilter.benchmark.examples import folder_names
from difffilter.benchmark.pairs import REAL
from difffilter.benchmark.report.plots import drawings, style
from difffilter.benchmark.report.svg import inline
from difffilter.benchmark.report.tables import overview, tables
from difffilter.benchmark.report.template import rendered
from difffilter.benchmark.report.words import (
    about,
    all_levels,
    circumstances,
    count,
    extent,
    failures,
    headline,
    noise_title,
    place,
    unfinished,
    verdicts,
)

__all__ = ["examples", "html"]

# The label of the picture that shows holes.
HOLED = "with holes"


def html(results, data=None):
    """The report as one self-contained HTML page: it needs no network and no other file.

    Parameters
    ----------
    results : Results
    data : str, optional
        The URL of the results folder, relative to the page and with a slash at its end, for links
        to its files; ``None``: no links.

    Returns
    -------
    str

    Raises
    ------
    MissingExtra
        If Jinja2 is not installed.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> scores = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): scores})
    >>> html(results)[:15]
    '<!doctype html>'
    """
    return rendered(
        "page.html",
        title=results.title,
        extent=extent(results),
        headline=headline(results),
        methods=_methods(results),
        sections=[_section(results, noise, n) for n, noise in enumerate(results.noises)],
        overview=[(table, about(table)) for table in overview(results)],
        levels=all_levels(results),
        missing=results.missing,
        failures=failures(results),
        failed=sum(len(cases) for *_, cases in results.failures),
        unfinished=unfinished(results) if results.pending else "",
        protocol=results.study.get("protocol", ""),
        circumstances=circumstances(results),
        examples=examples(results),
        count=count,
        data=data,
    )


def _section(results, noise, number):
    variables = {style.GREY: "--grey", style.INK: "--ink", style.LINE: "--line"}
    variables |= {shade: f"--c{n}" for n, shade in enumerate(style.COLOURS)}
    variables["#ffffff"] = "--paper"
    charts, by_level = [], {}
    for drawing in drawings(results, noise):
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
        "real": noise == REAL,
        "graded": results.graded(noise),
        "verdicts": verdicts(results, noise),
        "places": {level: place(results, noise, level) for level in results.levels(noise)},
        "tables": [(table, about(table)) for table in tables(results, noise)],
        "charts": charts,
        "by_level": by_level,
        "shown": levels[len(levels) // 2] if levels else None,
    }


def _methods(results):
    failed = {}
    for _, _, label, _, cases in results.failures:
        failed[label] = failed.get(label, 0) + len(cases)
    texts = results.study.get("denoisers", {})
    shades = {shade: f"--c{n}" for n, shade in enumerate(style.COLOURS)} | {style.GREY: "--grey"}
    return {
        label: {
            "number": number,
            "text": str(texts.get(label, "")),
            "oracle": label in results.oracles,
            "failed": failed.get(label, 0),
            "shade": shades[style.colour(results, label)],
            **_key(style.line_style(results, label)),
        }
        for number, label in enumerate(results.methods)
    }


def _key(look):
    """A method's line and marker for the page's keys, which are 32 wide and 14 high."""
    dashes = () if look["linestyle"] == "-" else look["linestyle"][1]
    outline = style.marker_outline(look["marker"])
    return {
        "dashes": " ".join(f"{2 * length:g}" for length in dashes),
        "outline": " ".join(f"{16 + 9 * x:.2f},{7 + 9 * y:.2f}" for x, y in outline),
    }


def examples(results):
    """The example images, for the page's sliders.

    Returns
    -------
    list of dict
        For each case its ``image``, ``case`` (the noise in words), ``best`` (a label) and
        ``left`` (labels to compare first) and ``pictures``: a list of ``label``, ``score`` (in words)
        and ``source`` (a data URI), with the clean image first, and then that with holes, if any.
    """
    found = []
    noises = {name: noise for noise, name in folder_names(results.noises).items()}
    root = results.folder / "examples" if results.folder else None
    if root is None or not root.is_dir():
        return found
    cases = [path.parent for path in root.glob("*/*/labels.json")]
    for folder in sorted(cases, key=lambda path: _natural(path.relative_to(root).as_posix())):
        try:
            labels = json.loads((folder / "labels.json").read_text("utf-8"))
            noise, level, seed = folder.name.rsplit("-", 2)
            noise, level = noises.get(noise, noise), float(level)
        except ValueError:
            raise ValueError(
                f"{folder} is not a folder of example images; expected a name such as gaussian-25-0 "
                "and a labels.json"
            ) from None
        pictures = []
        for name, label in {"clean.png": "clean", "holes.png": HOLED, **labels}.items():
            path = folder / name
            # Only files in this folder, whatever names the list contains.
            if Path(name).name != name or not path.is_file():
                continue
            encoded = base64.b64encode(path.read_bytes()).decode("ascii")
            score = _picture_score(results, noise, level, seed, folder.parent.name, label)
            source = f"data:image/png;base64,{encoded}"
            pictures.append({"label": str(label), "score": score, "source": source})
        order = {label: n for n, label in enumerate(["clean", HOLED, *results.methods])}
        pictures.sort(key=lambda picture: order.get(picture["label"], len(order)))
        if len(pictures) > 1:
            case = noise_title(noise)
            case += f", {place(results, noise, level)}" if results.graded(noise) else ""
            case += f", seed {seed}" if seed != "0" else ""
            best = results.best(noise, level) or pictures[-1]["label"]
            holed = any(picture["label"] == HOLED for picture in pictures)
            found.append(
                {
                    "image": folder.parent.name,
                    "case": case,
                    "left": HOLED if holed else "identity",
                    "best": best,
                    "pictures": pictures,
                }
            )
    return found


def _picture_score(results, noise, level, seed, image, label):
    """The scores of one picture in words; empty if there are none."""
    words = []
    for metric, form in (("psnr", "{:.2f} dB"), ("ssim", "SSIM\u00a0{:.3f}")):
        cases = results.values.get((noise, level, label, metric), {})
        named = {_plain(name): value for (name, s), value in cases.items() if str(s) == seed}
        if _plain(image) in named:
            words.append(form.format(named[_plain(image)]))
    return ", ".join(words)


def _plain(name):
    """The letters and digits of a name, which a path may have changed otherwise."""
    return re.sub(r"\W+", "", str(name))


def _natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]
