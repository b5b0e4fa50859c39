"""Work in threads with bounded memory and results in order. Decoding holds no interpreter lock."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from onesheet.errors import ConfigError

CGROUPS, SELF_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_order(
    work: Callable[[_T], _R], items: Iterable[_T], *, threads: int | None = None, ahead: int = 4
) -> Generator[_R, None, None]:
    """`map` in threads: results in order, at most `ahead` items a thread begun before they are taken.

    Args:
        work: called in a thread.
        items: what to work on; taken lazily.
        threads: None = one for each processor this process may use.
        ahead: items a thread may be ahead; bounds the memory.

    Raises:
        ConfigError: threads below 1. Whatever `work` raises, in its turn.

    Example:
        >>> list(in_order(abs, [-1, 2, -3], threads=2))
        [1, 2, 3]
    """
    threads = thread_count(threads)
    waiting = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="onesheet")
    try:
        begun: deque[Future[_R]] = deque(pool.submit(work, item) for item in islice(waiting, threads * ahead))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(waiting, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def thread_count(threads: int | None) -> int:
    """How many threads to use; None = one for each processor this process may use, a container's limit included.

    Raises:
        ConfigError: below 1.
    """
    if threads is None:
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(processors, _container_limit() or processors)
    if threads < 1:
        raise ConfigError(f"threads must be at least 1; got {threads}")
    return threads


def _container_limit() -> int | None:
    """Processors' worth of time that this process's control group (version 2) may take, rounded up; None = no limit."""
    try:
        group = SELF_CGROUP.read_text().rpartition("0::/")[2].strip()
        quota, period = (CGROUPS / group / "cpu.max").read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # not Linux, version 1, or "max"
        return None
