"""The table of all filters, from their pages, the catalog and the committed measurements."""

from dataclasses import fields
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
HEADS = ["filter", "use it for", "keeps", "gives up", "parameters", "seconds", "dB"]
SAYS = ("for", "keeps", "gives_up")


class FilterTable(SphinxDirective):
    """A row for each name of the catalog, in its order; a missing page is an error."""

    def run(self):
        lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
        for name in df.methods():
            page = PAGES / f"{name}.md"
            if not page.exists():
                raise ExtensionError(f"{name} has no page: write {page} (see _template.md)")
            self.env.note_dependency(page)
            says = about(page)
            parameters = ", ".join(f"`{f.name}`" for f in fields(df.make(name))) or "none"
            cells = [f"[](filters/{name}.md)", *(says[key] for key in SAYS), parameters]
            cells += [measured("seconds", name, "seconds"), measured("bsd68", name, "psnr")]
            lines.append(f"| {' | '.join(cells)} |")
        return self.parse_text_to_nodes("\n".join(lines))


def about(page):
    """What stands at the head of a filter's page: a dict of `SAYS`."""
    says = yaml.safe_load(page.read_text("utf-8").split("---")[1])
    if set(says) != set(SAYS):
        raise ExtensionError(f"{page} must begin with {', '.join(SAYS)}; it has {sorted(says)}")
    return says


def measured(study, method, metric):
    """The median of the seconds, or the mean at σ = 25/255 of another metric."""
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
    return {"parallel_read_safe": True, "parallel_write_safe": True}
