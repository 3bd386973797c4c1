"""Compiled functions on disk: never stale, and never in the way."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from importlib import resources

from numba import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["cache"]


class Cache(FunctionCache):
    """Numba's cache, but for three things.

    It notices a change in any file of the folder. Numba compiles a jitted function into its callers,
    but takes a caller's code for fresh as long as the caller's own file has not changed.

    It has files of their own for each signature. Numba's index of all signatures is read, extended
    and written back, so that of two processes which do so at once one might find the other's code
    under the name that it has given to its own.

    It only saves time: if it is damaged or its folder is full, functions are compiled anew.
    """

    def __init__(self, function):
        super().__init__(function)
        self._stamp = self._impl.locator.get_source_stamp(), _sources()

    def _use_file_of(self, signature):
        """(Numba compiles one function at a time.)"""
        name = hashlib.sha256(repr(signature).encode()).hexdigest()[:12]
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{name}",
            source_stamp=self._stamp,
        )

    def load_overload(self, signature, context):
        self._use_file_of(signature)
        try:
            return super().load_overload(signature, context)
        except Exception:  # of any type: what is read may be anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, result):
        self._use_file_of(signature)
        with suppress(OSError):
            super().save_overload(signature, result)


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
