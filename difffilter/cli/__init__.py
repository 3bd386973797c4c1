"""The command line: one file for each group of commands, each a thin layer over one function.

Each command imports what it needs, so that ``difffilter --help`` starts at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from difffilter import __version__
from difffilter.cli import (
    benchmark,
    compare,
    ddpm,
    edit,
    estimate,
    generate,
    inpaint,
    methods,
    smooth,
    synthesize,
    train,
    vary,
    view,
)
from difffilter.cli.errors import errors_in_one_line

__all__ = ["cli", "main"]


class Commands(click.Group):
    """A group whose help lists the commands in the order in which they were added."""

    def list_commands(self, ctx):
        return list(self.commands)

    def invoke(self, ctx):
        """As in the base class, which prints an empty line after KeyboardInterrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="difffilter")
def cli():
    """Smooth images by diffusion and keep their edges.

    \b
    Examples:
      difffilter smooth img.png
      difffilter compare photo.png --sigma 25/255
    """


for command in (
    smooth.smooth,
    view.view,
    inpaint.inpaint,
    estimate.estimate,
    compare.compare,
    methods.methods,
    smooth.noise,
    ddpm.evolve,
    ddpm.sample,
    generate.generate,
    generate.similarity,
    edit.edit,
    vary.vary,
    synthesize.synthesize,
    train.weights,
    train.train,
    benchmark.bench,
    benchmark.report,
    benchmark.calibrate,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``difffilter`` on the command line; ``None``: those of this process.

    Raises
    ------
    SystemExit
        With exit code 2 after bad usage or input, which is reported in one line, 130 after Ctrl-C
        and 143 after SIGTERM.
    """
    with errors_in_one_line():
        cli.main(arguments, prog_name="difffilter", standalone_mode=False)
