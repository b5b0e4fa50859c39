"""Tiny drawn catalogues and models that every package's tests may use; PyTorch loads with the fixtures that train."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from motifs import MOTIFS, draw_poster
from onesheet.bundle import CARD_KEY, POINTS, Card
from onesheet.data import Catalogue, Film
from onesheet.evaluation import Thresholds
from onesheet.genres import GenreSet
from onesheet.packed import Packed, Split, pack, split

if TYPE_CHECKING:
    from onesheet.models import PosterNetwork
    from onesheet.training import Run, TrainConfig

settings.register_profile("onesheet", deadline=None)  # no test is timed: a busy machine is no fault
settings.load_profile("onesheet")


def draw_films(folder: Path, films: int, seed: int = 0) -> Catalogue:
    """Posters of 48×32 noise with a bright patch for each genre."""
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(films):
        genres = [genre for genre, (chance, *_) in MOTIFS.items() if rng.random() < chance] or ["Comedy"]
        pixels = draw_poster(genres, rng)
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


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    pytest.importorskip("torch", reason="PyTorch is not installed; pip install 'onesheet-genres[train]'")
    from onesheet.training import TrainConfig

    return TrainConfig(
        model="poster-cnn", widths=(8, 16), epochs=4, batch_size=16, learning_rate=0.01, ema=0.9, threads=1
    )


@pytest.fixture(scope="session")
def run(tiny: TrainConfig, packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from onesheet.training import fit

    return fit(tiny, packed, folder=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def model_path(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from onesheet.exporting import export

    path = tmp_path_factory.mktemp("model") / "genres.onnx"
    export(run, path)
    return path


@pytest.fixture(scope="session")
def motif_network() -> PosterNetwork:
    """A network that knows every motif for sure, which the tiny one does not."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; pip install 'onesheet-genres[train]'")
    from onesheet.models import build_network

    rng, genres = np.random.default_rng(0), list(MOTIFS)
    torch.manual_seed(0)
    network = build_network("poster-cnn", genres=3, size=(48, 32), widths=(8, 16), dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        labels = rng.random((32, 3)) < 0.5
        pixels = np.stack([draw_poster(np.array(genres)[row], rng) for row in labels])
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="session")
def motif_model(motif_network: PosterNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its model file, uncalibrated."""
    from onesheet.calibrated_graph import finish_graph
    from onesheet.exporting.onnx_graph import ExportGraph, write_graph

    folder, ones = tmp_path_factory.mktemp("motifs"), np.ones(3)
    card = Card(
        genres=tuple(MOTIFS),
        size=(48, 32),
        resize="stretch",
        precision="fp32",
        calibration={"scale": [1.0] * 3, "bias": [0.0] * 3},
        operating_points=dict.fromkeys(POINTS, Thresholds((0.5,) * 3).to_dict()),
    )
    write_graph(ExportGraph(motif_network), folder / "raw.onnx", size=(48, 32))
    path = folder / "motifs.onnx"
    finish_graph(folder / "raw.onnx", path, scale=ones, bias=ones * 0, metadata={CARD_KEY: card.to_json()})
    return path


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


@pytest.fixture(scope="module")
def unrendered() -> Iterator[None]:
    """Plots are drawn but not rendered: for modules that evaluate on the way to something else."""
    matplotlib_figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    from unrendered import save_empty

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib_figure.Figure, "savefig", save_empty)
        yield
