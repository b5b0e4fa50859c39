"""The device that trains: which one, its arithmetic, threads and memory, and how arrays reach it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onesheet.speed.allocator import keep_freed_memory, share_one_heap
from onesheet.threads import thread_count


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic(wish: str) -> str:
    """ "fp32" or "bf16" for a wish of "auto", "fp32" or "bf16".

    bfloat16 pays where the machine has instructions for it: a GPU that reports so, or a CPU with AVX-512 BF16 or AMX.
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


def prepare(threads: int | None, *, processes: int = 1) -> None:
    """Set torch's number of threads (None = this process's share of the cores it may use) and how memory is kept."""
    share_one_heap()
    keep_freed_memory()
    threads = thread_count(threads) if threads else max(1, thread_count(None) // processes)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning chooses for processes that it starts
