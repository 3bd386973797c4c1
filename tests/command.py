"""The command line, run in a separate process or in this one."""

import contextlib
import io
import subprocess
import sys

from difffilter.cli import main


def run(*arguments, cwd, **options):
    """``difffilter arguments``: the finished process, which printed no traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "difffilter", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def invoke(*arguments, cwd):
    """``difffilter arguments`` in this process: as `run`, but without the seconds to start one."""
    arguments, code = [str(argument) for argument in arguments], 0
    out, error = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code
    return subprocess.CompletedProcess(arguments, code or 0, out.getvalue(), error.getvalue())


def invoke_ok(*arguments, cwd):
    """`invoke` a command that must succeed; returns its standard output."""
    result = invoke(*arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


def invoke_error(*arguments, cwd):
    """`invoke` a command that must fail with one line and exit code 2; returns that line."""
    result = invoke(*arguments, cwd=cwd)
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


class Terminal(io.StringIO):
    """A terminal that keeps what was written to it."""

    def isatty(self):
        return True

    def lines(self):
        """The lines that can be read on it at the end."""
        return [line.rpartition("\r")[2].rstrip() for line in self.getvalue().split("\n")]


@contextlib.contextmanager
def terminal():
    """Within the block, a terminal as standard output and standard error."""
    shown = Terminal()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        yield shown
