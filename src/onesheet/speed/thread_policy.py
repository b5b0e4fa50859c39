"""How OpenMP's threads wait for each other while torch computes."""

from __future__ import annotations

import os

from onesheet.speed import is_on


def let_waiting_threads_sleep() -> None:
    """Set OpenMP's wait policy to passive unless `OMP_WAIT_POLICY` is set; call it before torch loads, which reads it.

    Threads that spin while they wait collapse on busy cores. GNU's OpenMP spins for some tens of microseconds all the
    same, as most waits end sooner than a thread that sleeps is awake.
    """
    if is_on("threads") and "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
