"""Progress bars on a terminal; nothing where standard error is not one."""

from __future__ import annotations

import sys
from contextlib import contextmanager

__all__ = ["progress_of_blocks", "progress_over"]


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
def progress_of_blocks():
    """A progress bar as a function ``progress(done, total)``; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(file=sys.stderr, unit="block", delay=1) as bar:

        def progress(done, total):
            if bar.total is None:
                bar.reset(total)
                bar.initial = done
            bar.update(done - bar.n)

        yield progress
