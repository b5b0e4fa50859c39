"""How OpenMP's threads wait: set by the command before torch loads, by nothing on import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onesheet.errors import ConfigError
from onesheet.speed import SWITCHES, is_on

FINDER = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "torch":
            print(*map(os.environ.get, ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")))
            os._exit(os.EX_OK if sys.stdout.flush() is None else 1)
sys.meta_path.insert(0, Finder())
"""
TRAIN = "from onesheet.__main__ import main\nmain(['export', 'no-run', '--out', 'genres.onnx'])"


@pytest.mark.parametrize(
    ("code", "variables", "expected"),
    [
        (TRAIN, {}, ["passive", "2000"]),
        (TRAIN, {"OMP_WAIT_POLICY": "active"}, ["active", "None"]),
        (TRAIN, {"ONESHEET_SPEED_OFF": "threads"}, ["None", "None"]),
        ("import onesheet.training, onesheet.models", {}, ["None", "None"]),
    ],
)
def test_the_command_sets_the_policy_before_torch_loads(
    code: str, variables: dict[str, str], expected: list[str]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    done = subprocess.run(
        [sys.executable, "-c", FINDER + code],
        env=environment | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == expected


def test_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    for off, expected in (("", SWITCHES), ("kernels, prefetch", ("threads", "allocator")), ("all", ())):
        monkeypatch.setenv("ONESHEET_SPEED_OFF", off)
        assert tuple(switch for switch in SWITCHES if is_on(switch)) == expected
    monkeypatch.setenv("ONESHEET_SPEED_OFF", "kernel")
    with pytest.raises(ConfigError, match="unknown 'kernel'; use threads, allocator, kernels, prefetch or all"):
        is_on("kernels")
