"""The most memory a command takes, watched from outside."""

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
        resident: largest resident set up to the last moment looked at, MB: pages of mapped files count, though the
            system may drop them.
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
        resident = anonymous = 0.0
        while process.poll() is None:
            sizes = _sizes(process.pid)
            resident = max(resident, sizes.get("VmHWM", 0.0))
            anonymous = max(anonymous, sizes.get("RssAnon", 0.0) + sizes.get("RssShmem", 0.0))
            time.sleep(EVERY_SECONDS)
    return Peak(time.perf_counter() - started, resident, anonymous, process.returncode)


def _sizes(process: int) -> dict[str, float]:
    """Its memory by kind, MB; nothing once the process is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    kinds = ("VmHWM", "RssAnon", "RssShmem")
    return {kind: int(fields[kind].split()[0]) * 1024 / 1e6 for kind in kinds if kind in fields}
