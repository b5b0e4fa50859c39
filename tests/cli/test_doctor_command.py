from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import onesheet.doctor
from onesheet.__main__ import main
from onesheet.doctor import Extra, examine
from onesheet.errors import BundleError

COLOUR = re.compile(rb"\x1b\[[\d;]*3[0-7]")


def test_a_whole_installation_is_well_and_says_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["versions"]["onesheet"] == onesheet.__version__ and said["problem"] == ""
    assert said["core"]["packages"]["onnxruntime"] == version("onnxruntime") and not said["core"]["missing"]
    assert said["extras"]["train"]["packages"]["torch"] == version("torch")
    assert said["extras"]["train"]["packages"]["pyarrow"] == version("pyarrow")  # by way of onesheet-genres[parquet]
    assert "dev" not in said["extras"] and not any("onesheet" in extra["packages"] for extra in said["extras"].values())
    assert said["genres"] > 1 and said["threads"] >= 1 and Path(said["model"]).exists()
    assert said["trains_on"] == "" and said["torch_seconds"] is None
    assert main(["doctor"]) == 0
    assert f"knows {said['genres']} genres" in capsys.readouterr().out


def test_torch_is_asked_only_when_told_to() -> None:
    code = (
        "import sys; from onesheet.doctor import examine; examine(); assert 'torch' not in sys.modules;"
        "found = examine(device=True); assert 'torch' in sys.modules and found.torch_seconds > 0;"
        "print(found.trains_on)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"(processor|cuda.*), (fp32|bf16)\n", said)


def test_the_cache_is_where_posters_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert examine().cache == str(tmp_path / "onesheet") and not (tmp_path / "onesheet").exists()


def test_what_is_missing_comes_with_its_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onesheet.doctor._version
    monkeypatch.setattr(onesheet.doctor, "_version", lambda name: None if name == "usearch" else real(name))
    similar = next(extra for extra in examine().extras if extra.name == "similar")
    assert similar == Extra("similar", {"usearch": None}) and similar.cure == "pip install 'onesheet-genres[similar]'"
    assert main(["doctor"]) == 0  # predicting needs none of it
    assert re.search(r"similar\s+absent\s+usearch: pip install 'onesheet-genres\[similar\]'", capsys.readouterr().out)
    monkeypatch.setattr(onesheet.doctor, "_version", lambda name: None if name == "pillow" else real(name))
    assert main(["doctor"]) == 2
    assert "not installed: pillow; pip install onesheet-genres" in capsys.readouterr().out


def test_a_model_that_does_not_load_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(**_: object) -> None:
        raise BundleError("the model is not whole")

    monkeypatch.setattr("onesheet.predict.load", load)
    assert main(["doctor", "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["problem"] == "the model is not whole" and said["genres"] == 0


def output_of(*, terminal: bool, **environment: str) -> bytes:
    """What `onesheet doctor` writes, into a terminal or a pipe."""
    command = [sys.executable, "-m", "onesheet", "doctor"]
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    variables |= {"TERM": "xterm-256color", "COLUMNS": "140", **environment}
    if not terminal:
        return subprocess.run(command, env=variables, check=True, capture_output=True).stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=variables, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        try:
            while block := os.read(ours, 4096):
                written += block
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return written


def test_colour_is_for_terminals_and_for_who_wants_it() -> None:
    assert COLOUR.search(output_of(terminal=True))
    assert not COLOUR.search(output_of(terminal=True, NO_COLOR="1"))
    assert b"\x1b" not in output_of(terminal=False)
    assert COLOUR.search(output_of(terminal=False, FORCE_COLOR="1"))
