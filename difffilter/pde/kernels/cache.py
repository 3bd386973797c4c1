"""Compiled functions on disk: never stale, and never in the way."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from importlib import resources

from numba import config
from numba.core.caching import FunctionCache

__all__ = ["cache"]


class Cache(FunctionCache):
    """Numba's cache, which here notices a change in any file of the folder.

    Numba compiles a jitted function into its callers, but takes a caller's code for fresh as long
    as the caller's own file has not changed. The stamp it compares is extended by `_sources`.

    A cache only saves time: if it is damaged or its folder is full, functions are compiled anew.
    """

    def __init__(self, function):
        super().__init__(function)
        self._cache_file._source_stamp = self._cache_file._source_stamp, _sources()

    def load_overload(self, signature, context):
        try:
            return super().load_overload(signature, context)
        except Exception:  # of any type: what is read may be anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, result):
        with suppress(OSError), self._alone():
            super().save_overload(signature, result)

    @contextmanager
    def _alone(self):
        """While no other process writes to the folder.

        Numba replaces files as a whole, but its index is read, extended and written back: of two
        processes that add to it at once, one may note a name under which the other put its code.
        """
        try:
            import fcntl
        except ModuleNotFoundError:  # there are no such locks on Windows
            yield
            return
        os.makedirs(self.cache_path, exist_ok=True)
        with open(os.path.join(self.cache_path, ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@functools.cache
def _sources():
    """A digest of all files of this folder."""
    digest = hashlib.sha256()
    for file in sorted(resources.files(__package__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def cache(compiled):
    """Cache where Numba does: in NUMBA_CACHE_DIR, `__pycache__` or the user's cache folder.

    If none of them can be written to, in a temporary folder; if there is none, not at all.
    """
    try:
        compiled._cache = Cache(compiled.py_func)
    except (OSError, RuntimeError):
        if (folder := _temporary_folder()) is None:
            return
        before, config.CACHE_DIR = config.CACHE_DIR, folder
        try:
            compiled._cache = Cache(compiled.py_func)
        except (OSError, RuntimeError):
            pass
        finally:
            config.CACHE_DIR = before


@functools.cache
def _temporary_folder():
    """This user's own temporary folder, the same in every process, or None.

    Code is loaded from it, so nobody else may be able to write there.
    """
    try:
        user = os.getuid() if hasattr(os, "getuid") else "cache"
        folder = os.path.join(tempfile.gettempdir(), f"difffilter-{user}")
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
    except OSError:
        return None
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o022
    ):
        return None
    return folder
