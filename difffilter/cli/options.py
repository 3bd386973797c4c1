"""Options of the command line for many files and for large ones, and what they do."""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

__all__ = ["large_options", "many_options", "scheduler_option"]


def scheduler_option():
    return click.option(
        "--scheduler", metavar="URL", help="Work on a dask cluster: tcp://host:8786."
    )


def large_options(command):
    """Options for what goes block by block, which the command gets as ``large``."""

    @functools.wraps(command)
    def with_large(*arguments, scheduler, axes, side, max_pixels, **options):
        return command(*arguments, large=Large(scheduler, axes, side, max_pixels), **options)

    for option in (
        click.option("--max-pixels", type=click.IntRange(1), metavar="N",
                     help="Refuse larger images. [default: 179 million, by blocks 2^40]"),
        scheduler_option(),
        click.option("--axes", metavar="TEXT", help="Of arrays, like TZYX. [default: the file's]"),
        click.option("--block", "side", type=click.IntRange(8), metavar="PIXELS",
                     help="Go by blocks of this side. [default: if large]"),
    ):  # fmt: skip
        with_large = option(with_large)
    return with_large


@dataclass(frozen=True)
class Large:
    """How to go block by block."""

    scheduler: str | None
    axes: str | None
    side: int | None
    max_pixels: int | None

    @contextmanager
    def run(self, tasks, denoiser, jobs, options):
        """`batch.run`; on a cluster a single file goes by blocks, of several each is one task."""
        from difffilter.blocks import folders as batch

        large = {"axes": self.axes, "side": self.side}
        options = {**options, "max_pixels": self.max_pixels}
        if len(tasks) == 1 and batch.in_blocks(tasks[0], {**large, "scheduler": self.scheduler}):
            with bar() as progress:
                large |= {"scheduler": self.scheduler, "progress": progress}
                yield batch.run(tasks, denoiser, large=large, **options)
        else:
            yield batch.run(tasks, denoiser, jobs, scheduler=self.scheduler, large=large, **options)


@contextmanager
def bar():
    """A progress bar of blocks as ``progress(done, total)``; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(file=sys.stderr, unit="block", delay=1) as shown:

        def progress(done, total):
            if shown.total is None:
                shown.reset(total)
                shown.initial = done
            shown.update(done - shown.n)

        yield progress


def many_options(command):
    """Options for what may fail one by one, which the command gets as ``many``."""

    @functools.wraps(command)
    def with_many(*arguments, resume, report, **options):
        return command(*arguments, many=Many(resume, report), **options)

    for option in (
        click.option("--report", metavar="CSV", help="Write down which images failed, and why."),
        click.option("--resume", is_flag=True, help="Leave out images that have a result."),
    ):
        with_many = option(with_many)
    return with_many


@dataclass(frozen=True)
class Many:
    """What to leave out, and where to say what failed."""

    resume: bool
    report: str | None
    failures: list = field(default_factory=list)

    def left(self, tasks):
        """The tasks that are to be done."""
        return [task for task in tasks if not (self.resume and task.target.exists())]

    def failed(self, task, reason):
        self.failures.append((task.source, reason))

    def finish(self, count):
        """Say what failed, at the end, where it is seen."""
        if self.report:
            from difffilter.blocks.folders import write_report

            write_report(self.report, self.failures)
        for source, reason in self.failures:
            named = "" if str(source) in reason else f"{source}: "
            click.echo(f"error: {named}{reason}", err=True)
        if self.failures:
            done = "the others are done" if count > len(self.failures) else "none is done"
            click.echo(f"{len(self.failures)} of {count} images failed; {done}", err=True)
            sys.exit(1)
