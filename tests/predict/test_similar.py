"""The nearest posters: exact against an independent search; an index that follows its folder and outlives faults."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from onesheet.data import Catalogue
from onesheet.errors import CatalogueError, ConfigError, MissingExtra, OnesheetError, UnreadablePoster
from onesheet.images import read_poster
from onesheet.predict import (
    Failure,
    Predictor,
    index_files,
    index_posters,
    load,
    similar,
)
from onesheet.predict import (
    neighbour_graph as approximate,
)
from onesheet.predict.index_files import File, Stored


class Counting(Predictor):
    """Remembers which posters it was asked to read into an index."""

    def embed_many(self, posters: Iterable[str | Path]) -> Iterator[NDArray[np.float32] | Failure]:
        for poster, answer in zip(named := list(posters), super().embed_many(named), strict=True):
            self.read.append(Path(poster).name)
            yield answer


@pytest.fixture
def predictor(motif_model: Path) -> Counting:
    counting = Counting(load(motif_model)._bundle, threads=1)
    counting.read = []
    return counting


@pytest.fixture
def folder(catalogue: Catalogue, tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    (folder / "more").mkdir(parents=True)
    for number, film in enumerate(catalogue.films[:60]):
        shutil.copy2(film.poster, folder / ("more" if number % 2 else "") / Path(film.poster).name)
    return folder


def names(index: similar.PosterIndex, poster: Path | str | bytes, top: int = 5) -> list[str]:
    return [Path(neighbour.path).name for neighbour in index.nearest(poster, top=top)]


def test_it_finds_what_an_independent_search_finds(predictor: Counting, folder: Path, catalogue: Catalogue) -> None:
    paths = sorted(folder.rglob("*.png"))
    pixels = np.stack([read_poster(path, size=(48, 32)) for path in paths])
    search = NearestNeighbors(n_neighbors=7, metric="cosine").fit(predictor.score(pixels).embedding)
    index = index_posters(folder, predictor=predictor)
    assert len(index) == 60 and index.failures == [] and index.notice == ""
    for film in catalogue.films[100:110]:
        query = predictor.score(read_poster(film.poster, size=(48, 32))[None]).embedding
        distances, _ = search.kneighbors(query)
        found = index.nearest(film.poster, top=7)
        similarities = [neighbour.similarity for neighbour in found]
        np.testing.assert_allclose(similarities, 1 - distances[0], atol=1e-5)
        assert similarities == sorted(similarities, reverse=True)
        for neighbour in found:
            place = paths.index(Path(neighbour.path))
            one = predictor.score(pixels[place : place + 1]).embedding[0]
            cosine = float(one @ query[0] / np.linalg.norm(one) / np.linalg.norm(query[0]))
            assert neighbour.similarity == pytest.approx(cosine, abs=1e-5)
        assert index.nearest(Path(film.poster).read_bytes(), top=7) == found


def test_the_poster_itself_is_left_out_under_every_name_but_not_its_copies(predictor: Counting, folder: Path) -> None:
    poster = folder / "0000.png"
    os.link(poster, folder / "more" / "link.png")
    shutil.copy(poster, folder / "copy.png")
    index = index_posters(folder, predictor=predictor)
    found = index.nearest(poster, top=62)
    assert len(found) == 60 and Path(found[0].path).name == "copy.png"
    assert found[0].similarity == pytest.approx(1, abs=1e-5)
    assert not {"0000.png", "link.png"} & {Path(neighbour.path).name for neighbour in found}
    assert len(index.nearest(poster.read_bytes(), top=62)) == 62


def test_the_index_follows_the_folder(predictor: Counting, folder: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    index_posters(folder, predictor=predictor)
    assert len(predictor.read) == 60
    predictor.read.clear()
    before = {path.name: path.stat().st_mtime_ns for path in (folder / ".onesheet-index").iterdir()}
    index_posters(folder, predictor=predictor)
    assert predictor.read == []
    assert {path.name: path.stat().st_mtime_ns for path in (folder / ".onesheet-index").iterdir()} == before
    shutil.copy(catalogue.films[150].poster, folder / "new.png")
    shutil.copy(catalogue.films[151].poster, folder / "0002.png")
    (folder / "0004.png").unlink()
    index = index_posters(folder, predictor=predictor)
    assert sorted(predictor.read) == ["0002.png", "new.png"]
    fresh = index_posters(folder, predictor=predictor, index=tmp_path / "fresh")
    for query in (catalogue.films[150].poster, catalogue.films[151].poster, catalogue.films[4].poster):
        near, expected = index.nearest(query, top=60), fresh.nearest(query, top=60)
        assert {one.path: one.similarity for one in near} == {one.path: one.similarity for one in expected}
    assert names(index, catalogue.films[151].poster)[0] == "0002.png"
    assert "0004.png" not in names(index, catalogue.films[4].poster, top=60)
    predictor.read.clear()
    (folder / "new.png").unlink()
    assert len(index_posters(folder, predictor=predictor)) == 59 and predictor.read == []
    assert len(list((folder / ".onesheet-index").iterdir())) == 2


def test_another_models_index_is_made_anew(
    predictor: Counting, folder: Path, motif_model: Path, tmp_path: Path
) -> None:
    index_posters(folder, predictor=predictor)
    file = onnx.load(motif_model)
    for weights in file.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim == 4 and values.dtype == np.float32:
            weights.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), weights.name))
    onnx.save(file, tmp_path / "other.onnx")
    other = load(tmp_path / "other.onnx", threads=1)
    index = index_posters(folder, predictor=other)
    assert "was another model's; it is made anew" in index.notice
    fresh = index_posters(folder, predictor=other, index=tmp_path / "fresh")
    assert fresh.notice == "" and index.nearest(folder / "0000.png") == fresh.nearest(folder / "0000.png")


DAMAGES = {
    "text": lambda place: (place / "index.json").write_text("hello"),
    "bytes": lambda place: (place / "index.json").write_bytes(b"\xff\xfe\x00"),
    "cut": lambda place: os.truncate(place / "index.json", 500),
    "empty": lambda place: os.truncate(place / "index.json", 0),
    "list": lambda place: (place / "index.json").write_text("[]"),
    "fields": lambda place: (place / "index.json").write_text('{"protocol": 1, "posters": 5}'),
    "newer": lambda place: (place / "index.json").write_text('{"protocol": 2}'),
    "array gone": lambda place: next(place.glob("*.npy")).unlink(),
    "array cut": lambda place: os.truncate(next(place.glob("*.npy")), 600),
    "array empty": lambda place: os.truncate(next(place.glob("*.npy")), 0),
    "array of objects": lambda place: np.save(next(place.glob("*.npy")), np.array([{}] * 60), allow_pickle=True),
    "array of others": lambda place: np.save(next(place.glob("*.npy")), np.zeros((7, 16), np.float32)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_made_anew(damage: str, predictor: Counting, folder: Path) -> None:
    expected = names(index_posters(folder, predictor=predictor), folder / "0000.png")
    DAMAGES[damage](folder / ".onesheet-index")
    index = index_posters(folder, predictor=predictor)
    assert "was damaged; it is made anew" in index.notice
    assert len(predictor.read) == 120 and names(index, folder / "0000.png") == expected
    assert index_posters(folder, predictor=predictor).notice == ""


def test_what_was_read_before_a_stop_is_kept(
    predictor: Counting, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "STEP", 16)

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_posters(folder, predictor=predictor, progress=stop)
    predictor.read.clear()
    assert len(index_posters(folder, predictor=predictor)) == 60
    assert len(predictor.read) == 60 - 32  # 16, and as many again


def test_a_stop_between_the_two_files_leaves_the_old_index(
    predictor: Counting, folder: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_posters(folder, predictor=predictor)
    shutil.copy(catalogue.films[150].poster, folder / "new.png")

    def stop(_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(index_files.json, "dumps", stop)
        index_posters(folder, predictor=predictor)
    predictor.read.clear()
    index = index_posters(folder, predictor=predictor)
    assert predictor.read == ["new.png"] and index.notice == ""
    assert names(index, catalogue.films[150].poster)[0] == "new.png"
    assert len(list((folder / ".onesheet-index").iterdir())) == 2  # what the stop left is gone


def test_a_folder_that_cannot_be_written_names_the_cure(predictor: Counting, folder: Path, tmp_path: Path) -> None:
    (folder / ".onesheet-index").touch()  # stands for a read-only disk: nothing can be made there
    with pytest.raises(OnesheetError, match=r"cannot write .*choose another place with --index FOLDER"):
        index_posters(folder, predictor=predictor)
    assert len(index_posters(folder, predictor=predictor, index=tmp_path / "a" / "b")) == 60


def test_files_of_the_users_in_an_indexs_folder_stay(predictor: Counting, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "writable").write_text("mine")
    index_posters(folder, predictor=predictor, index=tmp_path / "index")
    assert (tmp_path / "index" / "writable").read_text() == "mine"
    assert not list((tmp_path / "index").glob("writable-*"))


def test_unreadable_posters_are_said_and_tried_again(predictor: Counting, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    for read in (62, 2):
        predictor.read.clear()
        index = index_posters(folder, predictor=predictor)
        assert len(predictor.read) == read and len(index) == 60
        assert sorted(Path(failure.path).name for failure in index.failures) == ["broken.jpg", "gone.png"]
    assert not {"broken.jpg", "gone.png"} & set(names(index, folder / "0000.png", top=60))
    with pytest.raises(UnreadablePoster):
        index.nearest(folder / "broken.jpg")


def test_a_folder_whose_last_good_poster_goes(predictor: Counting, folder: Path) -> None:
    shutil.rmtree(folder / "more")
    index_posters(folder, predictor=predictor)
    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture")
    for _ in range(2):
        index = index_posters(folder, predictor=predictor)
        assert len(index) == 0 and len(index.failures) == 30 and index.notice == ""


def test_wrong_arguments(predictor: Counting, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        index_posters(tmp_path / "none", predictor=predictor)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="no poster in the folder"):
        index_posters(tmp_path / "empty", predictor=predictor)
    with pytest.raises(ConfigError, match="top must be at least 1; got 0"):
        index_posters(folder, predictor=predictor).nearest(folder / "0000.png", top=0)


def test_an_exact_search_takes_memory_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    embeddings = similar._unit(np.random.default_rng(0).normal(size=(40_000, 256)).astype(np.float32))
    tracemalloc.start()
    rows, _ = similar._exact(embeddings, embeddings[17].astype(np.float32), 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows[0] == 17 and peak < embeddings.nbytes / 2


class TestManyPosters:
    """Above the limit, here lowered, a graph is searched."""

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("usearch")

    def test_it_nearly_always_finds_what_the_exact_search_finds(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(50, 32))
        vectors = similar._unit((centres[rng.integers(50, size=4000)] + rng.normal(size=(4000, 32))).astype(np.float32))
        stored = Stored("model", [File(f"{number}.png", 1, number) for number in range(4000)], vectors)
        graph = approximate.Graph(tmp_path, stored, threads=1)
        found = [
            len(set(similar._nearest(vectors, graph, query, 10)[0]) & set(similar._exact(vectors, query, 10)[0])) / 10
            for query in vectors[:200].astype(np.float32)
        ]
        assert np.mean(found) >= 0.97
        again = approximate.Graph(tmp_path, stored, threads=1)
        np.testing.assert_array_equal(again.candidates(vectors[5], 10), graph.candidates(vectors[5], 10))

    def test_the_graph_follows_the_folder(
        self, predictor: Counting, folder: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queries = [film.poster for film in catalogue.films[100:110]]
        exact = [index_posters(folder, predictor=predictor).nearest(query) for query in queries]
        monkeypatch.setattr(similar, "EXACT", 20)
        index = index_posters(folder, predictor=predictor)
        assert [index.nearest(query) for query in queries] == exact
        written = next((folder / ".onesheet-index").glob("graph-*")).stat().st_mtime_ns
        index_posters(folder, predictor=predictor)
        assert next((folder / ".onesheet-index").glob("graph-*")).stat().st_mtime_ns == written
        shutil.copy(queries[0], folder / "new.png")
        (folder / "0004.png").unlink()
        index = index_posters(folder, predictor=predictor)
        assert names(index, queries[0])[0] == "new.png"
        assert "0004.png" not in names(index, catalogue.films[4].poster, top=60)
        assert len(names(index, catalogue.films[4].poster, top=60)) == 60
        for path in list(folder.rglob("00[0-2]*.png")):  # half of the graph
            path.unlink()
        index = index_posters(folder, predictor=predictor)
        few = [index.nearest(query) for query in queries]
        monkeypatch.setattr(similar, "EXACT", 100)
        assert few == [index_posters(folder, predictor=predictor).nearest(query) for query in queries]

    def test_a_damaged_graph_is_made_anew(self, tmp_path: Path) -> None:
        vectors = similar._unit(np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32))
        stored = Stored("model", [File(f"{number}.png", 1, number) for number in range(300)], vectors)
        expected = approximate.Graph(tmp_path, stored, threads=1).candidates(vectors[5], 5)
        path = next(tmp_path.glob("graph-*"))
        whole = path.read_bytes()
        for damaged in (b"", b"hel", whole[:3000], whole[:3000] + b"\0" * 50 + whole[3050:]):
            path.write_bytes(damaged)
            found = approximate.Graph(tmp_path, stored, threads=1).candidates(vectors[5], 5)
            np.testing.assert_array_equal(found, expected)
            assert path.read_bytes() != damaged


def test_without_the_library_the_extra_is_named(
    predictor: Counting, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "EXACT", 20)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(
        MissingExtra,
        match=r"searching 60 posters needs usearch; run: pip install 'onesheet-genres\[similar\]'",
    ):
        index_posters(folder, predictor=predictor)
