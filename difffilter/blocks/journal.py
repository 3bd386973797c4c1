"""The record of the finished blocks of a large result, from which a run resumes."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["Journal"]

FORMAT = "difffilter-blocks-1"


class Journal:
    """A text file with one line for each finished block, after a header that identifies the run.

    A line, with the block's checksum, is added once the block is in the result. On resuming, a
    block counts as finished only if its line is complete and its checksum matches the contents of
    the result, so that damage to either file does no harm. Only one process at a time can open a
    journal.

    Parameters
    ----------
    path : Path
        Created if it does not exist.
    request : dict
        The arguments of the run, as JSON types.
    anew : bool, default False
        Whether to discard what the file holds.

    Attributes
    ----------
    begun : dict or None
        The argument of `begin`, as recorded by the process that started the run; None for a new
        run.
    done : dict of int to int
        The checksum of each finished block.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If another process has it open, or it belongs to another run.
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
                raise ValueError(f"{self.path} is not a journal of difffilter; move it away")
            self.done = {entry["block"]: entry["crc"] for entry in map(json.loads, whole[1:])}
        except (IndexError, AttributeError, KeyError, TypeError, json.JSONDecodeError):
            self._file.truncate(0)  # incomplete or damaged: nothing in it can be relied on
            self.done = {}
            return
        if head["request"] != self.request:
            changed = next(k for k in self.request if head["request"].get(k) != self.request[k])
            raise ValueError(
                f"{self.path} belongs to an unfinished run with another {changed}; pass --overwrite "
                "to start over"
            )
        self.begun = head["begun"]
        self._file.truncate(sum(len(line.encode()) for line in whole))

    def begin(self, begun):
        """Write the header.

        Parameters
        ----------
        begun : dict
            State that a resumed run needs, as JSON types.
        """
        self.begun, self.done = json.loads(json.dumps(begun)), {}
        self._file.truncate(0)
        self._add({"format": FORMAT, "request": self.request, "begun": begun})

    def add(self, block, crc):
        """Record that block number `block`, of checksum `crc`, is in the result."""
        self._add({"block": block, "crc": crc})
        self.done[block] = crc

    def _add(self, record):
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def close(self, *, remove=False):
        """Close the file, after deleting it if `remove`."""
        if remove:
            self.path.unlink(missing_ok=True)
        self._file.close()


def _lock(file, path):
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows has no such locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is in use: another process is working on this result") from None
    except OSError:  # nor do some network file systems
        return
