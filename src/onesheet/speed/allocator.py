"""How glibc's malloc keeps memory during training; another C library is left as it is."""

from __future__ import annotations

import contextlib
import ctypes
import os

from onesheet.speed import is_on

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_NEVER = -1


def share_one_heap() -> None:
    """Let the threads that start from now on allocate from one heap, unless `MALLOC_ARENA_MAX` is set.

    Call it before any thread starts. A heap of a thread's own is given back whenever it is empty: the thread that
    augments batches would pay for thousands of new pages at every step.
    """
    if is_on("allocator") and "MALLOC_ARENA_MAX" not in os.environ:
        _mallopt(_M_ARENA_MAX, 1)


def keep_freed_memory() -> None:
    """Keep large blocks that are freed, for the next batch; glibc would return each to the system."""
    if not is_on("allocator"):
        return
    if not _mallopt(_M_MMAP_THRESHOLD, 1 << 30):
        _mallopt(_M_MMAP_THRESHOLD, 1 << 25)  # the most that glibc before 2.35 takes
    _mallopt(_M_TRIM_THRESHOLD, _NEVER)


def _mallopt(parameter: int, value: int) -> bool:
    """Whether glibc accepted it."""
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL("libc.so.6").mallopt(parameter, value))
    return False
