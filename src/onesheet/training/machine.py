"""What the machine that trains has: device, precision, threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch

from onesheet.threads import keep_freed_memory, thread_count


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
    """Whether a second thread may work beside the one that trains, as on a CPU of which more than one core is ours.

    A GPU does its own work in turn; ask after `prepare`.
    """
    return device().type == "cpu" and torch.get_num_threads() > 1


def prepare(threads: int | None, *, processes: int = 1) -> None:
    """Let torch use so many threads (None = this process's share of the cores it may use), and keep freed memory."""
    threads = thread_count(threads) if threads else max(1, thread_count(None) // processes)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning chooses for processes that it starts
    keep_freed_memory()
