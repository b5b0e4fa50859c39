"""Tiny drawn catalogues that every room's tests may use."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onesheet.data import Catalogue, Film, Packed, Split, pack, split
from onesheet.genres import GenreSet
from onesheet.training import Run, TrainConfig, export, fit

# genre -> chance, and the patch (rows, columns, channel) that shows it
MOTIFS = {
    "Comedy": (0.5, slice(4, 16), slice(4, 16), 0),
    "Drama": (0.4, slice(28, 42), slice(4, 20), 1),
    "Horror": (0.3, slice(18, 30), slice(18, 30), 2),
}


def draw_films(folder: Path, films: int, seed: int = 0) -> Catalogue:
    """Posters of 48×32 noise with a bright patch for each genre."""
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(films):
        genres = [genre for genre, (chance, *_) in MOTIFS.items() if rng.random() < chance] or ["Comedy"]
        pixels = rng.integers(0, 110, (48, 32, 3)).astype(np.uint8)
        for genre in genres:
            _, rows, columns, channel = MOTIFS[genre]
            pixels[rows, columns, channel] += 110
        path = folder / f"{number:04d}.png"
        Image.fromarray(pixels).save(path)
        drawn.append(Film(f"tt{number:07d}", str(path), tuple(genres), title=f"Film {number}"))
    return Catalogue(tuple(drawn), GenreSet(MOTIFS))


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return draw_films(tmp_path_factory.mktemp("posters"), 200)


@pytest.fixture(scope="session")
def parts(catalogue: Catalogue) -> Split:
    return split(catalogue, seed=0, validation=0.2, test=0.2)


@pytest.fixture(scope="session")
def packed(parts: Split, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return pack(parts, tmp_path_factory.mktemp("packed"), size=(48, 32))


TINY = TrainConfig(model="poster-cnn", widths=(8, 16), epochs=4, batch_size=16, learning_rate=0.01, ema=0.9, threads=1)


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    return TINY


@pytest.fixture(scope="session")
def run(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(TINY, packed, folder=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def model_path(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "genres.onnx"
    export(run, path)
    return path
