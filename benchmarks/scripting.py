"""What the scripts share: interleaved timing, tables in Markdown, and a line about the machine."""

import math
import statistics
import time

from difffilter.benchmark.machine import machine, versions
from difffilter.io.files import replacing

__all__ = ["describe", "medians", "seconds", "table", "write_report"]


def describe(*packages):
    """Processor, cores, system, and the versions of some packages, in one line."""
    about, installed = machine(), versions(*packages)
    found = [f"{package} {installed.get(package, 'not installed')}" for package in packages]
    return f"{about['processor']}, {about['cores']} cores, {about['system']}, {', '.join(found)}"


def seconds(run, *arguments):
    """The duration of one call."""
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def medians(runs, repeats, *, warm_up=True, patience=math.inf):
    """The median duration of several functions that take turns.

    Taking turns spreads whatever else the machine does over all of them.

    Parameters
    ----------
    runs : dict of object to callable
    repeats : int
        Number of measured calls of each.
    warm_up : bool, default True
        Whether to call each once before.
    patience : float
        A function whose calls have taken so many seconds together is not called again.

    Returns
    -------
    dict of object to float
        In seconds.
    """
    taken = {name: [] for name in runs}
    if warm_up:
        for run in runs.values():
            run()
    for _ in range(repeats):
        for name, run in runs.items():
            if sum(taken[name]) < patience:
                taken[name].append(seconds(run))
    return {name: statistics.median(each) for name, each in taken.items()}


def table(head, rows):
    """The lines of a Markdown table; cells are text."""
    return [
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def write_report(lines, output=None):
    """Print lines, and write them to a file unless it is ``None``."""
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if output:
        with replacing(output) as temporary:
            temporary.write_text(text, "utf-8")
