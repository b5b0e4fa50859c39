"""The most memory a command takes, watched from outside."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EVERY_SECONDS = 0.05


class Peak(NamedTuple):
    """What a command took.

    Attributes:
        seconds: wall time.
        resident: largest resident set, MB: pages of mapped files count, though the system may drop them.
        anonymous: most memory of its own at any moment looked at, MB: what the machine must have.
        status: exit status.
    """

    seconds: float
    resident: float
    anonymous: float
    status: int


def watch(command: Sequence[str], log: Path) -> Peak:
    """Run a command to its end (Linux: /proc); its output goes to `log`, or nowhere with os.devnull."""
    started = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        anonymous = 0.0
        while True:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            anonymous = max(anonymous, _anonymous(process.pid))
            time.sleep(EVERY_SECONDS)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    return Peak(seconds, usage.ru_maxrss * 1024 / 1e6, anonymous, process.returncode)


def _anonymous(process: int) -> float:
    """RssAnon + RssShmem in MB; 0 once the process is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem") if name in fields) * 1024 / 1e6
