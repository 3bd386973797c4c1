"""What of a large result is done, kept beside it until all is."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["Journal"]

FORMAT = "difffilter-blocks-1"


class Journal:
    """The blocks that were written, one line each, after a line that says of what.

    A line is added when its block is in the file, with the block's checksum: a block counts as
    done if its line is whole and the checksum is that of what the file holds, whatever happened to
    either in between. While it is open no other process can open it.

    Parameters
    ----------
    path : Path
        Made if there is no such file.
    request : dict
        What is asked for, in JSON's types.

    Attributes
    ----------
    begun : dict or None
        What `begin` was told by the process that began; None if it is still to be begun.
    done : dict of int to int
        The checksum of each block that has a line.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If another process has it open, or it is a journal of something else.
    """

    def __init__(self, path, request, *, anew=False):
        self.path = Path(path)
        self.request = json.loads(json.dumps(request))
        self._file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        try:
            _lock(self._file, path)
            self.begun, self.done = None, {}
            if anew:
                self._file.truncate(0)
            else:
                self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self):
        self._file.seek(0)
        text = self._file.read()
        lines = text.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        try:
            head = json.loads(whole[0])
            if head.get("format") != FORMAT:
                raise ValueError(f"{self.path} is no journal of difffilter; move it away")
            self.done = {entry["block"]: entry["crc"] for entry in map(json.loads, whole[1:])}
        except (IndexError, AttributeError, KeyError, TypeError, json.JSONDecodeError):
            self._file.truncate(0)  # it was being begun, or is damaged: nothing can be relied on
            self.done = {}
            return
        if head["request"] != self.request:
            changed = next(k for k in self.request if head["request"].get(k) != self.request[k])
            raise ValueError(
                f"{self.path} is of an unfinished run with another {changed}; pass --overwrite to "
                "begin anew"
            )
        self.begun = head["begun"]
        self._file.truncate(sum(len(line.encode()) for line in whole))

    def begin(self, begun):
        """Write the first line; `begun` is in JSON's types."""
        self.begun, self.done = json.loads(json.dumps(begun)), {}
        self._file.truncate(0)
        self._add({"format": FORMAT, "request": self.request, "begun": begun})

    def add(self, block, crc):
        """Note that a block is in the file."""
        self._add({"block": block, "crc": crc})
        self.done[block] = crc

    def _add(self, record):
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self, *, remove=False):
        """Let go of it; and delete it, when all is done."""
        if remove:
            self.path.unlink(missing_ok=True)
        self._file.close()


def _lock(file, path):
    try:
        import fcntl
    except ModuleNotFoundError:  # no such locks on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is in use: another process is working on this result") from None
    except OSError:  # not on every network file system
        return
