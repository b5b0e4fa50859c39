"""A few trials of each step; `make faults` makes hundreds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("step", "trials"), [("pack", 6), ("review", 6), ("fit", 3), ("fit-backbone", 1), ("export", 1)]
)
def test_a_killed_step_started_again_ends_as_if_nothing_had_been(step: str, trials: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name("kills.py")), "--step", step, "--trials", str(trials)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = re.match(rf"{step}: (\d+) of (\d+) trials right; (\d+) kills", ended.stdout)
    assert said and (int(said[1]), int(said[2])) == (trials, trials) and int(said[3]) >= 1
