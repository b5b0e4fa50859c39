"""The same seed on the same machine: the same bytes, whatever the interpreter's own seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onesheet.__main__ import main
from onesheet.data import Catalogue, write_catalogue
from onesheet.training import open_run

OPTIONS = [
    *("--model", "poster-cnn", "--widths", "8,16", "--size", "48x32", "--epochs", "2", "--seed", "3"),
    *("--learning-rate", "0.01", "--threads", "1", "--draws", "20"),
]
EQUAL = ("split.csv", "catalogue.parquet", "findings.csv", "evaluation.json", "predictions.csv", "config.toml")
PACKED = ("posters.npy", "films.jsonl", "findings.csv", "manifest.json")


@pytest.fixture(scope="module")
def twice(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("twice")
    write_catalogue(catalogue, folder / "films.csv")
    runs = folder / "1" / "run", folder / "2" / "run"
    words = ["train", str(folder / "films.csv"), *OPTIONS, "--out"]
    assert main([*words, str(runs[0])]) == 0  # in this process, whose hashes have another seed
    seed = "7" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    ended = subprocess.run(
        [sys.executable, "-m", "onesheet", *words, str(runs[1])],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return runs


@pytest.mark.parametrize("name", [*EQUAL, *(f"packed/{name}" for name in PACKED)])
def test_the_same_seed_gives_the_same_bytes(name: str, twice: tuple[Path, Path]) -> None:
    assert twice[0].joinpath(name).read_bytes() == twice[1].joinpath(name).read_bytes()


def test_the_same_seed_gives_the_same_figures(twice: tuple[Path, Path]) -> None:
    first, second = (open_run(run) for run in twice)
    assert first.best_epoch == second.best_epoch
    for row, other in zip(first.history, second.history, strict=True):
        for metric in row.keys() - {"seconds"}:
            assert row[metric] == pytest.approx(other[metric], abs=1e-6), metric
