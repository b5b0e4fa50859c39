"""Speed, fenced: nothing here changes a result, nothing happens on import, and everything can be switched off.

`ONESHEET_SPEED_OFF=kernels,allocator` in the environment switches some off, `ONESHEET_SPEED_OFF=all` all of them.
The measurements are in benchmarks/NOTES.md.

| switch | module | what it gains |
|---|---|---|
| `threads` | `thread_policy` | waiting threads sleep and do not spin: training keeps its speed on busy cores |
| `allocator` | `allocator` | freed memory is kept for the next batch: a frozen backbone runs 2.5 times as fast |
| `kernels` | `cpu_kernels` | MobileNets without copies for padding: a frozen one takes 15% less time in 32 bits |
| `prefetch` | `prefetch` | batches are read and augmented beside training: 0.96 of the speed of a bare step |
"""

import os

from onesheet.errors import ConfigError

SWITCHES = ("threads", "allocator", "kernels", "prefetch")


def is_on(switch: str) -> bool:
    """Whether a switch is on: all are but those that `ONESHEET_SPEED_OFF` lists.

    Raises:
        ConfigError: the variable lists an unknown switch.
    """
    off = {name.strip() for name in os.environ.get("ONESHEET_SPEED_OFF", "").split(",")} - {""}
    if unknown := sorted(off - {*SWITCHES, "all"}):
        raise ConfigError(f"ONESHEET_SPEED_OFF lists unknown {unknown[0]!r}; use {', '.join(SWITCHES)} or all")
    return not off & {switch, "all"}
