"""How much of a mapped file this process holds in memory."""

from __future__ import annotations

import re
from pathlib import Path

SMAPS = Path("/proc/self/smaps")  # only Linux has it


def resident_kb(path: Path) -> int:
    """Of all mappings of the file, in kB."""
    found = re.findall(rf"{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB", SMAPS.read_text())
    return sum(map(int, found))
