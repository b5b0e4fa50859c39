"""What the machine that trains has: device, precision, threads, memory, and how batches come to it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onesheet.threads import thread_count

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_NEVER = -1
_Result = TypeVar("_Result")


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic(wish: str) -> str:
    """ "fp32" or "bf16" for a wish of "auto", "fp32" or "bf16".

    bfloat16 pays where the machine has instructions for it: a GPU that says so, or a CPU with AVX-512 BF16 or AMX.
    """
    if wish != "auto":
        return wish
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"


def autocast(wish: str) -> AbstractContextManager[None]:
    """Autocast to the wished-for arithmetic on this machine's device."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=arithmetic(wish) == "bf16")


def spare_thread() -> bool:
    """Whether a second thread may work beside the one that trains: beside a GPU, or where more than one core is ours.

    Ask after `prepare`.
    """
    return device().type == "cuda" or torch.get_num_threads() > 1


def to_device(array: NDArray[Any], rows: NDArray[np.int64]) -> Tensor:
    """Rows of an array, all within it, on the device that trains; a GPU copies them itself, from pinned memory."""
    like = torch.from_numpy(np.empty(0, array.dtype))
    taken = like.new_empty((len(rows), *array.shape[1:]), pin_memory=device().type == "cuda")
    np.take(array, rows, axis=0, out=taken.numpy(), mode="clip")  # "raise" would copy once more
    return taken.to(device(), non_blocking=True)


def seed_dropout(seed: int) -> None:
    """Seed what the network draws from on the device that trains, so that a resumed run drops the same.

    `torch.manual_seed` also formats a stack trace for each kind of device that is absent, .4 ms a call.
    """
    seed_device = torch.cuda.manual_seed if device().type == "cuda" else torch.default_generator.manual_seed
    seed_device(seed)


class SideStream:
    """On a GPU a CUDA stream for another thread than the one that makes this, which then waits for its own work alone.

    All of a process share one stream a device, as torch keeps freed memory for the stream that had it.
    """

    def __init__(self) -> None:
        self._stream = _side_stream(torch.cuda.current_device()) if device().type == "cuda" else None

    def run(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call it, in the other thread, and wait until the device has done what it asked for."""
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


def prepare(threads: int | None, *, processes: int = 1) -> None:
    """Let torch use so many threads (None = this process's share of the cores it may use), and keep freed memory.

    glibc gives every large block back to the system when it is freed, and each batch then pays for the pages of its
    tensors anew: a frozen MobileNetV2 ran 71 posters/s so, and 182 with the blocks kept (2 cores, batch of 64).
    """
    threads = thread_count(threads) if threads else max(1, thread_count(None) // processes)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning chooses for processes that it starts
    if not _tell_malloc(_M_MMAP_THRESHOLD, 1 << 30):
        _tell_malloc(_M_MMAP_THRESHOLD, 1 << 25)  # the most that glibc before 2.35 takes
    _tell_malloc(_M_TRIM_THRESHOLD, _NEVER)


def _share_one_heap() -> None:
    """Let the threads that begin from now on claim memory from one heap, unless `MALLOC_ARENA_MAX` says otherwise.

    A heap of a thread's own is given back whenever it is empty: the thread that augments batches paid for thousands of
    pages at every step anew (benchmarks/NOTES.md).
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        _tell_malloc(_M_ARENA_MAX, 1)


def _tell_malloc(parameter: int, value: int) -> bool:
    """Whether glibc took it; another C library has no mallopt."""
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL("libc.so.6").mallopt(parameter, value))
    return False


_share_one_heap()  # on import, as the threads that read and decode posters come before those that train
