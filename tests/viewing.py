"""A running `difffilter view`, for tests."""

import contextlib
import subprocess
import sys

# As `difffilter`, in a process that cannot reach any other machine.
OFFLINE = """
import socket, sys
connect = socket.socket.connect
def local(self, address):
    assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", f"the network is used: {address}"
    return connect(self, address)
socket.socket.connect = socket.socket.connect_ex = local
from difffilter.__main__ import main
main()
"""


@contextlib.contextmanager
def running(*arguments, cwd):
    """``difffilter view arguments``: the process, and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", OFFLINE, "view", *map(str, arguments), "--no-open"],
        cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
