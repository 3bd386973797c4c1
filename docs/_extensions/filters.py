"""The table of all filters and the reference of their functions and classes, from the catalog."""

from functools import cache
from pathlib import Path
from statistics import fmean, median

import yaml
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

import difffilter as df
from difffilter.benchmark.rows import read_rows

PAGES = Path(__file__).parent.parent / "filters"
RESULTS = PAGES.parent.parent / "benchmarks/results"
HEADS = ["filter", "use it for", "preserves", "gives up", "seconds", "dB"]
SAYS = ("for", "keeps", "gives_up")


class FilterTable(SphinxDirective):
    """A row for each method, in the order of the catalog; a missing page is an error."""

    def run(self):
        lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
        for name in df.methods():
            page = PAGES / f"{name}.md"
            if not page.exists():
                raise ExtensionError(f"{name} has no page: write {page} (see _template.md)")
            self.env.note_dependency(page)
            says = about(page)
            cells = [f"[`{name}`](/filters/{name}.md)", *(says[key] for key in SAYS)]
            cells += [measured("seconds", name, "seconds"), measured("bsd68", name, "psnr")]
            lines.append(f"| {' | '.join(cells)} |")
        return self.parse_text_to_nodes("\n".join(lines))


class FilterReference(SphinxDirective):
    """The docstrings of each method's function and class, in the order of the catalog."""

    def run(self):
        lines = []
        for name in df.methods():
            lines += [f"## {name}", "", "```{eval-rst}"]
            lines += [f".. {kind}:: {home}\n" for kind, home in documented(name)]
            lines += ["```", ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def documented(name):
    """What documents a method: directive and name of its function, if it has one, and its class."""
    if callable(getattr(df, name, None)):
        yield "autofunction", f"difffilter.{name}"
    denoiser = type(df.make(name)).__name__
    package = "difffilter" if hasattr(df, denoiser) else "difffilter.ddpm"
    yield "autoclass", f"{package}.{denoiser}"


def about(page):
    """The head of a filter's page: a dict with the keys `SAYS`."""
    says = yaml.safe_load(page.read_text("utf-8").split("---")[1])
    if set(says) != set(SAYS):
        raise ExtensionError(f"{page} must begin with {', '.join(SAYS)}; it has {sorted(says)}")
    return says


def measured(study, method, metric):
    """The median of the seconds, or the mean of another metric, at σ = 25/255."""
    values = rows(study).get((method, metric))
    if not values:
        return "–"
    return f"{median(values):.2g}" if metric == "seconds" else f"{fmean(values):.2f}"


@cache
def rows(study):
    found = {}
    for row in read_rows(RESULTS / study / "rows.csv"):
        if row.metric != "error" and round(row.sigma * 255) == 25:
            found.setdefault((row.denoiser, row.metric), []).append(row.value)
    return found


def setup(app):
    app.add_directive("filter-table", FilterTable)
    app.add_directive("filter-reference", FilterReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
