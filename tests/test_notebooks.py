"""The notebooks: committed with their outputs, and every cell of them runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SHOWN = {  # what the outputs of each must hold: pictures and rich tables
    "1-from-posters-to-a-model": {"image/png", "text/html"},
    "2-alexnet-layer-by-layer": {"image/png"},
    "3-transfer-learning": {"image/png", "text/html"},
    "4-reading-an-evaluation": {"image/png", "text/html"},
    "5-your-own-posters": {"image/png", "text/html", "text/markdown"},
}
QUICKER = {
    "films=500": "films=100",
    "films=360": "films=120",
    "films=240": "films=40",
    "drop_rare(15)": "drop_rare(6)",
    "drop_rare(60)": "drop_rare(26)",
    "min_films=20": "min_films=6",
    "widths=(16, 32, 64)": "widths=(4, 8)",
    "size=(84, 56)": "size=(48, 32)",
    "draws=200": "draws=20",
    "epochs=20": "epochs=2",
    "epochs=15": "epochs=2",
    "epochs=6": "epochs=1",
    "numbers = [100, 150, len(train_rows)]": "numbers = [len(train_rows)]",
    'backbone = "hf:google/mobilenet_v2_1.0_224"': "from transformers import ResNetConfig, ResNetModel\n"
    "config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])\n"
    "ResNetModel(config).save_pretrained(work / 'backbone')\n"
    "backbone = f\"hf:{work / 'backbone'}\"",
}
"""What takes long, and what stands for it here."""

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_all_are_here() -> None:
    assert {path.stem for path in NOTEBOOKS} == SHOWN.keys()


@by_name
def test_outputs_are_kept_and_small(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert book.metadata.keys() == {"kernelspec", "language_info"}
    assert path.stat().st_size < 400_000, "run scripts/notebooks, which makes pictures small"
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run scripts/notebooks"
    outputs = [output for cell in code for output in cell.outputs]
    assert not {output.output_type for output in outputs} & {"error"}
    assert {kind for output in outputs for kind in output.get("data", ())} >= SHOWN[path.stem]
    assert not re.search(r"/(?:tmp|home|root|work|Users)/", json.dumps(outputs)), "a path of this machine"
    install = book.cells[1].source
    assert 'find_spec("onesheet") is None:\n    %pip install' in install  # first, and only where it is not there


@by_name
def test_objectives_duration_and_what_one_should_see_are_stated(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    first = book.cells[0].source
    assert "**You will learn**" in first and re.search(r"\*\*Duration\*\*: (?:half a|a|\d+) (?:minute|seconds)", first)
    assert sum("**You should see**" in cell.source for cell in book.cells) >= 2


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    """One for all notebooks: PyTorch is loaded once, and each notebook starts without the names of the others."""
    folder = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))  # where they draw and train
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        manager, client = start_new_kernel(cwd=str(folder))
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


@by_name
@pytest.mark.timeout(900)
def test_every_cell_runs(path: Path, kernel: KernelManager) -> None:
    book = nbformat.read(path, as_version=4)
    book.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    for cell in book.cells:
        for slow, quick in QUICKER.items():
            cell.source = cell.source.replace(slow, quick)
    NotebookClient(book, km=kernel, timeout=600).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert {kind for output in outputs for kind in output.get("data", ())} >= SHOWN[path.stem]


def test_what_stands_for_something_else_is_still_shown() -> None:
    shown = "".join(cell.source for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells)
    assert [slow for slow in QUICKER if slow not in shown] == []
