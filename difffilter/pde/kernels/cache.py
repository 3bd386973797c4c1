"""The on-disk cache of compiled functions, which is never stale and never raises an error."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import tempfile
import warnings
from contextlib import suppress
from importlib import resources

from numba import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["cache"]


class Cache(FunctionCache):
    """Numba's cache, invalidated by a change in any file of this folder, and safe in several processes.

    Numba compiles a jitted function into its callers, but considers a caller's code up to date as
    long as the caller's own file is unchanged. Here the stamp that it compares includes `_sources`.

    Numba reads, extends and writes back one index of all signatures, so that of two processes which
    do so at once one might find the other's code under the name it gave to its own. Here each
    signature has its own files.

    Numba writes the index before the code. Code of older sources is removed before that, so that a
    process killed in between leaves none under a new index.

    If the cache is damaged or its folder is full, functions are compiled again.
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
        except Exception:  # unpickling a damaged file may raise anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, result):
        self._use_file_of(signature)
        file = self._cache_file
        with suppress(OSError):
            with suppress(FileNotFoundError):
                os.unlink(file._data_path(file._data_name(1)))
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
    """Cache a function where Numba does: NUMBA_CACHE_DIR, `__pycache__` or the user's cache folder.

    If none of these can be written, a temporary folder is used; failing that, there is no cache, of
    which a warning tells.
    """
    try:
        compiled._cache = Cache(compiled.py_func)
        return
    except (OSError, RuntimeError):
        folder = _temporary_folder()
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        if folder is None:
            raise FileNotFoundError("there is no temporary folder")
        compiled._cache = Cache(compiled.py_func)
    except (OSError, RuntimeError):
        _warn_once()
    finally:
        config.CACHE_DIR = before


@functools.cache
def _warn_once():
    warnings.warn(
        "filters are compiled anew in every process, since no folder for compiled code can be "
        "written; set NUMBA_CACHE_DIR to one that can",
        RuntimeWarning,
        stacklevel=2,
    )


@functools.cache
def _temporary_folder():
    """A temporary folder that only this user can write, the same in every process, or None.

    Code is loaded from it, so a folder that others can write is not accepted.
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
