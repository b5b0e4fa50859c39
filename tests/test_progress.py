"""Long functions of the library show progress where a person looks, and nothing elsewhere."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from onesheet.drawn import draw_catalogue
from onesheet.progress import silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    draw_catalogue(tmp_path, films=3, faults=False)
    assert terminal.getvalue().endswith("\r\x1b[Kdraw: 3 of 3\n")
    assert terminal.getvalue().count("\n") == 1


def test_silent_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    draw_catalogue(tmp_path, films=3, faults=False, progress=silent)
    assert terminal.getvalue() == ""


def test_a_pipe_shows_nothing(tmp_path: Path) -> None:
    code = "from onesheet.drawn import draw_catalogue; draw_catalogue('.', films=3, faults=False)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_a_notebook_keeps_the_last_state_alone(tmp_path: Path) -> None:
    book = nbformat.v4.new_notebook()
    code = "from onesheet.drawn import draw_catalogue\ndraw_catalogue('.', films=3, faults=False);"
    book.cells = [nbformat.v4.new_code_cell(code)]
    NotebookClient(book, timeout=120).execute(cwd=str(tmp_path))
    shown = [output for output in book.cells[0].outputs if output.output_type == "display_data"]
    assert [output.data["text/plain"] for output in shown] == ["draw: 3 of 3"]
