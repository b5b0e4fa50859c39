"""Batches prepared beside training: in another thread on one core, and on a GPU in a stream of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from onesheet.speed import is_on

_Result = TypeVar("_Result")


def spare_thread() -> bool:
    """Whether a second thread may work beside the one that trains: beside a GPU, or where torch uses several cores.

    Ask after torch's number of threads is set.
    """
    return is_on("prefetch") and (torch.cuda.is_available() or torch.get_num_threads() > 1)


def use_one_core(pool: ThreadPoolExecutor) -> None:
    """Let torch use one core in `pool`'s only thread, and as many as before in all others.

    With more threads than cores, OpenMP lets each that waits sleep at once, those that train too.
    """

    def in_its_thread() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes up the number set last when it first asks

    threads = torch.get_num_threads()
    pool.submit(in_its_thread).result()
    torch.set_num_threads(threads)


class SideStream:
    """On a GPU a CUDA stream for another thread than the one that makes this, which then waits for its own work alone.

    All of a process share one stream per device, as torch keeps freed memory for the stream that had it.
    """

    def __init__(self) -> None:
        enabled = torch.cuda.is_available() and is_on("prefetch")
        self._stream = _side_stream(torch.cuda.current_device()) if enabled else None

    def run(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call it, in the other thread, and wait until the device has done it."""
        if not self._stream:
            return work(*arguments)
        torch.cuda.set_device(self._stream.device)  # a new thread's is the first
        with torch.cuda.stream(self._stream):
            result = work(*arguments)
            self._stream.synchronize()
            return result

    def hand_over(self, *tensors: Tensor) -> None:
        """Keep their memory until this thread's work on them is done."""
        if self._stream:
            for tensor in tensors:
                tensor.record_stream(torch.cuda.current_stream())


@cache
def _side_stream(device_index: int) -> torch.cuda.Stream:
    """Of high priority: what it does is short, and the next step waits for it."""
    return torch.cuda.Stream(device_index, priority=-1)  # type: ignore[no-untyped-call]
