"""The command line, as a process of its own or in this one."""

import io
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout

from difffilter.cli import main


def run(*arguments, cwd, **options):
    """``difffilter arguments``: the finished process, which has shown no traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "difffilter", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def invoke(*arguments, cwd):
    """As `run`, in this process: for what does not depend on being a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(map(str, arguments)))
        except SystemExit as exit:
            code = exit.code or 0
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


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
