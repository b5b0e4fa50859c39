"""A few trials of each step; `make faults` makes hundreds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
def test_killed_steps_started_again_end_as_if_nothing_had_been() -> None:
    command = [sys.executable, Path(__file__).with_name("kills.py"), "--trials", "8"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = re.findall(r"^(\S+): (\d+) of (\d+) trials right; (\d+) kills, ", ended.stdout, re.MULTILINE)
    assert [step for step, *_ in said] == ["pack", "review", "batch", "export", "fit", "fit-backbone"]
    for step, right, trials, kills in said:
        assert right == trials and int(kills) >= int(trials), step
