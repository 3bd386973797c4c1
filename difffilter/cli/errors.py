"""Errors and warnings as one line on standard error."""

from __future__ import annotations

import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from difffilter.cli.progress import echo
from difffilter.cli.signals import raised_by_signals

__all__ = ["errors_in_one_line", "one_line", "summarize"]


@contextmanager
def errors_in_one_line():
    """Report warnings in one line, and so bad usage and bad input, with exit code 2.

    After a signal that ended the command, the exit code is 128 and its number, as in shells.
    """
    with raised_by_signals() as signals:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                yield
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.ctx.get_help())
            sys.exit(2)
        except (click.Abort, KeyboardInterrupt):
            _exit_after(signals)
        except Exception as error:
            if signals:  # which a library has turned into an error of its own
                _exit_after(signals)
            if isinstance(error, click.ClickException):
                message = " ".join(error.format_message().split())
            elif isinstance(error, (OSError, TypeError, ValueError, MemoryError)):
                message = one_line(error)
            else:
                raise
            click.echo(f"error: {message}", err=True)
            sys.exit(2)


def summarize(failures: list[tuple[Path, str]], count: int, what: str = "images") -> None:
    """Print the failures, after everything else so that they are seen; exit code 1 if any."""
    for source, reason in failures:
        named = "" if str(source) in reason else f"{source}: "
        click.echo(f"error: {named}{reason}", err=True)
    if failures:
        others = "the others are done" if count > len(failures) else "none is done"
        click.echo(f"{len(failures)} of {count} {what} failed; {others}", err=True)
        sys.exit(1)


def _exit_after(signals):
    number = signals[0] if signals else signal.SIGINT
    how = "interrupted" if number == signal.SIGINT else "terminated"
    below = "\n" if sys.stderr.isatty() else ""  # the ^C that a terminal shows
    with suppress(OSError):  # the terminal may be gone
        click.echo(f"{below}{how}; finished work is kept", err=True)
    sys.exit(128 + number)


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
