"""A few rounds of faults; `make faults` makes a thousand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_in_twenty_rounds() -> None:
    command = [sys.executable, Path(__file__).with_name("library_faults.py"), "--rounds", "20"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = dict(re.findall(r"^([a-z -]+): (\d+) rounds", ended.stdout, re.MULTILINE))
    assert {found.pop(kind) for kind in ("kill", "writer", "kill and writer")} == {"4"}
    assert found in ({"full disk": "4", "read-only disk": "4"}, {"left out": "8"})
