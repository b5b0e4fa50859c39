"""What the machine that trains has: device, precision, threads."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from onesheet.threads import thread_count


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


def use_threads(threads: int | None) -> None:
    """Let torch use so many threads; None = every core this process may use."""
    torch.set_num_threads(thread_count(threads))
