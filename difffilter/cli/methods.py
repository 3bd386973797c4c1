"""The command that lists the methods."""

from __future__ import annotations

import textwrap

import click

WIDTH = 100  # as that of the help


@click.command()
def methods():
    """List the methods, what each is good for, and its parameters.

    \b
    Example:
      difffilter methods
    """
    from difffilter.catalog import MissingExtra, describe, usual_method
    from difffilter.catalog import methods as names

    usual = {usual_method(volume=False): " (the default)"}
    for name in names():
        click.echo(click.style(name, bold=True) + usual.get(name, ""))
        try:
            summary, parameters = describe(name)
        except MissingExtra as error:
            summary, parameters = str(error), {}
        _echo_indented(summary)
        _echo_indented(", ".join(f"{key}={value!r}" for key, value in parameters.items()))
    click.echo()
    click.echo('None: chosen from the image, or the usual value. To set some: -m "heat(time=3)".')


def _echo_indented(text):
    if text:
        indent = " " * 4
        click.echo(textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent))
