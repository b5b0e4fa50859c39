from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onesheet.__main__ import COMMANDS, build_parser, main
from onesheet.cli.command_parser import is_rare
from onesheet.pipeline.recipe import OPTIONS


def help_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert not stop.value.code
    return capsys.readouterr().out


def parser_of(command: str) -> argparse.ArgumentParser:
    commands = next(action for action in build_parser()._actions if action.dest == "command")
    found: argparse.ArgumentParser = commands.choices[command]  # type: ignore[index, call-overload]
    return found


def test_commands_are_listed_in_groups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    page = help_of(capsys, monkeypatch, "--help")
    assert page.startswith("usage: onesheet [options] COMMAND ...\n")
    titles = [line.removesuffix(":") for line in page.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == [*COMMANDS, "options"]
    listed = [line.split()[0] for line in page.splitlines() if line.startswith("  ") and line[2] not in " -"]
    commands = next(action for action in build_parser()._actions if action.dest == "command")
    assert listed == list(commands.choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["train", "fit"])
def test_short_help_has_the_common_options_and_full_help_all(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short, full = (help_of(capsys, monkeypatch, command, page) for page in ("--help", "--help-all"))
    assert len(short.splitlines()) < 60
    assert f"onesheet {command} --help-all" in short
    for action in parser_of(command)._actions:
        for option in action.option_strings:
            assert re.search(rf"{option}\b", full)
            assert bool(re.search(rf"{option}\b(?!-)", short)) != is_rare(action), option


def test_options_of_train_are_in_the_groups_of_their_declarations() -> None:
    groups = {group.title: group for group in parser_of("train")._action_groups}
    for name, option in OPTIONS.items():
        if name != "catalogue":
            assert any(action.dest == name for action in groups[option.group]._group_actions), name
    for title in {option.group for option in OPTIONS.values()}:
        rare = [is_rare(action) for action in groups[title]._group_actions]
        assert rare == sorted(rare), f"common options of {title} come first"


WAITS = {
    "while posters are audited": "read 200 films",
    "in training": "packed 200 posters",
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize("line", WAITS.values(), ids=WAITS)
def test_ctrl_c_pressed_three_times_leaves_no_traceback(line: str, table: Path, tmp_path: Path) -> None:
    options = ["--model", "poster-cnn", "--widths", "8,16", "--size", "48x32", "--min-films", "5", "--epochs", "5000"]
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's job may ignore it
    code += "from onesheet.__main__ import run_command; run_command()"
    command = [sys.executable, "-c", code, "train", str(table), "--out", str(tmp_path / "run"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        before = ""
        while line not in before:
            before += process.stderr.readline() or pytest.fail(before)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors + output and "Exception ignored" not in errors, errors
    assert errors.strip().splitlines()[-1].startswith("onesheet: error: interrupted")
