"""Out of memory, whatever PyTorch calls it."""

from __future__ import annotations

from contextlib import contextmanager

__all__ = ["memory_errors"]


@contextmanager
def memory_errors():
    """Have PyTorch's errors that say there is no memory be a MemoryError, as everyone else's are."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MemoryError(str(error).partition("\n")[0]) from error
