"""Fixtures of the commands' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from onesheet.data import Catalogue, write_catalogue


@pytest.fixture(scope="session")
def table(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "films.csv"
    write_catalogue(catalogue, path)
    return path
