"""PyTorch's errors for lack of memory, as MemoryError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["memory_errors"]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError where PyTorch raises a RuntimeError for lack of memory."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MemoryError(str(error).partition("\n")[0]) from error
