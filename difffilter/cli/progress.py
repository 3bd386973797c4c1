"""Progress bars on a terminal, nothing where standard error is not one; lines above them."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext

import click

__all__ = ["echo", "progress_of", "progress_over"]


def echo(message, err=False):
    """Print a line as `click.echo` does, above a progress bar if there is one."""
    tqdm = sys.modules.get("tqdm")  # not imported before there is a bar
    stream = sys.stderr if err else sys.stdout
    with tqdm.tqdm.external_write_mode(stream) if tqdm else nullcontext():
        click.echo(message, err=err)


@contextmanager
def progress_over(items, total):
    """The items, with a progress bar if there is more than one."""
    if total < 2 or not sys.stderr.isatty():
        yield items
        return
    from tqdm import tqdm

    with tqdm(items, total=total, file=sys.stderr) as bar:
        yield bar


@contextmanager
def progress_of(unit):
    """A progress bar as a function ``progress(done, total)``; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = None

    def progress(done, total):
        nonlocal bar
        if bar is None:  # now, as it takes a line of the terminal even before it is shown
            from tqdm import tqdm

            bar = tqdm(total=total, initial=done, file=sys.stderr, unit=unit, delay=1)
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()
