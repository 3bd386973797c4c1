"""The options of the command line for large files."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import click

__all__ = ["bar", "large_options"]


def large_options(command):
    """Options for what goes block by block."""
    for option in (
        click.option("--scheduler", metavar="URL", help="Work on a dask cluster: tcp://host:8786."),
        click.option("--axes", metavar="TEXT", help="Of Zarr and HDF5, like TZYX. [default: the file's]"),
        click.option("--block", "side", type=click.IntRange(8), metavar="PIXELS",
                     help="Go by blocks of this side. [default: if large]"),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def bar():
    """A progress bar on a terminal, as ``progress(done, total)``; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(file=sys.stderr, unit="block", delay=1) as shown:

        def progress(done, total):
            shown.total = total
            shown.initial = shown.initial or done
            shown.update(done - shown.n)

        yield progress
