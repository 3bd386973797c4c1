"""The command line, run as a process of its own."""

import subprocess
import sys


def run(*arguments, cwd, **options):
    """``difffilter arguments``: the finished process, which has shown no traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "difffilter", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result
