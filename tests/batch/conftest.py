"""Posters whose names say nothing, three of them broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from onesheet.data import Catalogue


@pytest.fixture(scope="session")
def posters(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """53 posters in the order of their paths: 50 drawn, an empty file, a text and one cut short."""
    folder = tmp_path_factory.mktemp("batch") / "posters"
    (folder / "deep").mkdir(parents=True)
    for number, film in enumerate(catalogue.films[:50]):
        shutil.copy(film.poster, folder / ("deep" if number % 5 == 0 else "") / Path(film.poster).name)
    (folder / "0007-empty.jpg").touch()
    (folder / "0011-text.png").write_text("no poster")
    (folder / "0013-cut.png").write_bytes(Path(catalogue.films[13].poster).read_bytes()[:700])
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=str)
