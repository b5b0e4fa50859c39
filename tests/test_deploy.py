"""The files for deployment say what the program takes; scripts/check-deploy runs them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from onesheet.__main__ import build_parser

ROOT = Path(__file__).parents[1]


def commands() -> list[list[str]]:
    """Arguments of onesheet in the Dockerfile, in compose.yaml and in the systemd units."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    units = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "deploy").glob("*.service"))
    return [
        re.findall(r'"([^"]*)"', dockerfile.split("\nCMD ")[1].splitlines()[0]),
        *(service["command"] for service in services.values() if "command" in service),
        *(shlex.split(line)[1:] for line in re.findall("^ExecStart=(.*)", units, re.MULTILINE)),
    ]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    assert build_parser().parse_args(words).command == words[0]


def test_the_dockerfile_copies_what_it_needs_and_installs_an_extra_that_exists() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)).split()
    assert {f"!{name}" for name in copied} == {name for name in allowed if name.startswith("!")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert re.findall(r"'\.\[(\w+)\]'", dockerfile) == ["serve"] and "serve" in extras


def test_no_container_runs_as_root_or_writes_to_its_root() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert lines.index("USER onesheet") < next(n for n, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and "/tmp" in service["tmpfs"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units() -> None:
    for unit in sorted((ROOT / "deploy").glob("*.[st]*")):
        said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True).stderr
        assert [line for line in said.splitlines() if "is not executable" not in line] == [], unit.name
