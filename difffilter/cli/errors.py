"""Errors and warnings as one line on standard error."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager

import click

from difffilter.cli.progress import echo

__all__ = ["errors_in_one_line", "one_line"]


@contextmanager
def errors_in_one_line():
    """Report warnings in one line, and so bad usage and bad input, with exit code 2."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        sys.exit(2)
    except click.Abort:
        click.echo("interrupted; finished work is kept", err=True)
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except (OSError, TypeError, ValueError, MemoryError) as error:
        click.echo(f"error: {one_line(error)}", err=True)
        sys.exit(2)


def _show_warning(message, *_):
    echo(f"warning: {' '.join(str(message).split())}", err=True)


def one_line(error: Exception) -> str:
    """The message of an error in one line.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.png"))
    'a.png: no such file or directory'
    """
    if isinstance(error, MemoryError):
        return "the image does not fit into memory; smooth it page by page or in parts"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__
