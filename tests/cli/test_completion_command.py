"""Completion as a shell does it: the script is sourced and asked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from onesheet.__main__ import build_parser, main
from onesheet.cli.completion_command import SHELLS

ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_onesheet "$1" "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "onesheet.bash"
    with pytest.MonkeyPatch.context() as patch, path.open("w") as file:
        patch.setattr("sys.stdout", file)
        assert main(["completion", "bash"]) == 0
    return path


def completed(script: Path, *words: str, folder: Path | None = None) -> set[str]:
    """What a TAB after the words offers."""
    command = ["bash", "-c", ASK, "ask", str(script), "onesheet", *words]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout
    return {word.strip() for word in said.splitlines() if word.strip()}


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_commands_options_choices_and_files(script: Path, tmp_path: Path) -> None:
    commands = set(next(action for action in build_parser()._actions if action.dest == "command").choices)  # type: ignore[arg-type]
    assert completed(script, "") == commands
    assert completed(script, "ex") == {"explain", "export"}
    assert completed(script, "predict", "--th") == {"--threads"}
    assert completed(script, "predict", "--at", "p") == {"precise"}
    assert completed(script, "library", "s") == {"scan", "suggest"}
    (tmp_path / "poster.jpg").touch()
    assert completed(script, "predict", "pos", folder=tmp_path) == {"poster.jpg"}
    assert completed(script, "predict", "--model", "pos", folder=tmp_path) == {"poster.jpg"}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_it_can_read(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    written = capsys.readouterr().out
    assert "poster" in written and "explain" in written and "adopt" in written
    if shutil.which(shell):
        (tmp_path / "script").write_text(written)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
