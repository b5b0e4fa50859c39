"""The notebooks: clean as committed, and every cell of them runs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SHOWN = {  # what the outputs of each must hold: pictures and rich tables
    "1-from-posters-to-a-model": {"image/png", "text/html"},
    "2-alexnet-layer-by-layer": {"image/png"},
    "3-transfer-learning": {"image/png", "text/html"},
    "4-reading-an-evaluation": {"image/png", "text/html"},
    "5-your-own-posters": {"image/png", "text/html", "text/markdown"},
}

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_all_are_here() -> None:
    assert {path.stem for path in NOTEBOOKS} == SHOWN.keys()


@by_name
def test_nothing_is_kept_of_a_run(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert book.metadata.keys() == {"kernelspec", "language_info"}
    for cell in book.cells:
        assert not cell.get("outputs") and not cell.get("execution_count") and not cell.metadata
    install = book.cells[1].source
    assert 'find_spec("onesheet") is None:\n    %pip install' in install  # first, and only where it is not there


@by_name
@pytest.mark.timeout(900)
def test_every_cell_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where they draw and train
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert {kind for output in outputs for kind in output.get("data", ())} >= SHOWN[path.stem]
