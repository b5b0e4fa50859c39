"""The published collections, from small files in their true form that the test makes."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from onesheet.audit import audit
from onesheet.data import read_catalogue
from onesheet.data.readers.imdb import HEADING
from onesheet.errors import CatalogueError, MissingExtra
from onesheet.packed import pack, read_split, split

# What the tables of MovieLens-20M hold besides "(no genres listed)".
MOVIELENS_GENRES = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where posters are unpacked to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onesheet"


def poster(seed: int, kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (72, 48, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def films(catalogue) -> dict[str, tuple[str, ...]]:
    return {film.film_id: film.genres for film in catalogue.films}


def refused(*paths, **options) -> str:
    with pytest.raises(CatalogueError) as error:
        read_catalogue(*paths, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def movielens(folder: Path) -> Path:
    rows = [f'{n},"Film, The ({1990 + n})",{genre}' for n, genre in enumerate(MOVIELENS_GENRES, 1)]
    put(folder / "movies.csv", "\r\n".join(["movieId,title,genres", *rows, "20,B,(no genres listed)", "21,C,War|IMAX"]))
    links = [f"{n},{n + 100:07d},{n if n % 2 else ''}" for n in range(1, 22)]
    put(folder / "links.csv", "\r\n".join(["movieId,imdbId,tmdbId", *links]))
    put(folder / "ratings.csv", "userId,movieId,rating,timestamp\r\n1,2,3.5,1112486027\r\n")
    return folder


@pytest.mark.parametrize("given", ["", "movies.csv"])
def test_movielens_has_19_genres_and_drops_films_without_poster(tmp_path, given):
    folder = movielens(tmp_path / "ml")
    for number in range(1, 21):
        put(folder / "posters" / f"{number}.jpg", poster(number))
    catalogue = read_catalogue(folder / given)
    assert catalogue.genres.names == MOVIELENS_GENRES
    assert catalogue.findings.counts == {"no-poster": 1, "no-genre": 1}
    first = catalogue.films[0]
    assert (first.film_id, first.title, first.year, Path(first.poster).name) == (
        "tt0000101",
        "Film, The",
        1991,
        "1.jpg",
    )


def test_a_movielens_poster_is_never_found_by_an_imdb_number(tmp_path):
    put(tmp_path / "ml" / "movies.csv", "movieId,title,genres\n1,A,War\n101,B,Drama\n102,C,Comedy\n")
    put(tmp_path / "ml" / "links.csv", "movieId,imdbId,tmdbId\n1,0000101,\n101,0000500,\n102,,\n")
    put(tmp_path / "art" / "101.jpg", poster(1)), put(tmp_path / "art" / "102.jpg", poster(2))
    catalogue = read_catalogue(tmp_path / "ml", posters=tmp_path / "art")
    assert films(catalogue) == {"tt0000500": ("Drama",), "102": ("Comedy",)}
    assert [finding.film_id for finding in catalogue.findings.of("no-poster")] == ["tt0000101"]


def test_a_movielens_poster_may_be_named_by_the_whole_imdb_id(tmp_path):
    movielens(tmp_path / "ml")
    put(tmp_path / "art" / "tt0000101.jpg", poster(1)), put(tmp_path / "art" / "tt0000102.jpg", poster(2))
    assert films(read_catalogue(tmp_path / "ml", posters=tmp_path / "art")).keys() == {"tt0000101", "tt0000102"}


def title_basics(*rows: tuple[str, str, str, str]) -> bytes:
    """Rows of id, title, year and genres."""
    lines = ["\t".join(HEADING)]
    lines += ["\t".join((i, "movie", title, title, "0", year, r"\N", "90", genres)) for i, title, year, genres in rows]
    return ("\n".join(lines) + "\n").encode()


ROWS = (
    ("tt0000001", 'An "unclosed quote', "1999", "Action,Crime"),
    ("tt0000002", "Amélie", r"\N", "Comedy"),
    ("tt0000003", "No genre", "2001", r"\N"),
    ("tt0000004", "No poster", "2001", "Drama"),
    ("tt10000005", "Eight digits", "2020", "Drama,Comedy"),
)


@pytest.mark.parametrize("form", ["folder", "apart", "plain"])
def test_imdb_title_basics_is_joined_to_a_folder_of_posters(tmp_path, form):
    for number, name in enumerate(["tt0000001.jpg", "2.png", "0000003.jpg", "tt10000005.webp", "cover.jpg"]):
        put(tmp_path / "art" / "deep" / name, poster(number))
    where = tmp_path / ("art" if form == "folder" else "imdb")
    plain, packed = title_basics(*ROWS), gzip.compress(title_basics(*ROWS))
    table = put(where / "data.tsv", plain) if form == "plain" else put(where / "title.basics.tsv.gz", packed)
    catalogue = read_catalogue(where) if form == "folder" else read_catalogue(table, posters=tmp_path / "art")
    wanted = {"tt0000001": ("Action", "Crime"), "tt0000002": ("Comedy",), "tt10000005": ("Comedy", "Drama")}
    assert films(catalogue) == wanted
    assert [(film.title, film.year) for film in catalogue.films][:2] == [('An "unclosed quote', 1999), ("Amélie", None)]
    assert catalogue.findings.counts == {"no-row": 1, "no-genre": 1}


def test_imdb_title_basics_is_read_in_little_memory(tmp_path):
    put(tmp_path / "art" / "tt0000001.jpg", poster(1)), put(tmp_path / "art" / "tt0199999.jpg", poster(2))
    rows = (
        (f"tt{number:07d}", "A title of some length", "1999", "Drama" if number else "War") for number in range(200000)
    )
    data = (
        title_basics(*rows)
        .replace(b"tt0000001\tmovie", b"tt0000001\tshort")
        .replace(b"Drama\ntt0000002", b"War\ntt0000002")
    )
    table = put(tmp_path / "title.basics.tsv.gz", gzip.compress(data, 1))
    tracemalloc.start()
    catalogue = read_catalogue(table, posters=tmp_path / "art")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert films(catalogue) == {"tt0000001": ("War",), "tt0199999": ("Drama",)}
    assert peak < len(data) / 4


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_title_basics_is_refused(tmp_path, damage):
    put(tmp_path / "art" / "tt0000001.jpg", poster(1))
    data = bytearray(gzip.compress(title_basics(*((f"tt{n:07d}", str(n * 7919), "1999", "War") for n in range(5000)))))
    if damage == "cut":
        del data[-2000:]
    else:
        data[-2000] ^= 0xFF
    assert "download it again" in refused(put(tmp_path / "title.basics.tsv.gz", bytes(data)), posters=tmp_path / "art")


def mm_imdb(folder: Path) -> Path:
    put(folder / "split.json", json.dumps({"train": ["0000001"], "dev": ["0000002"], "test": ["0000003"]}))
    for number, genres in enumerate((["Drama"], ["Comedy", "Drama"], ["War"], ["War"]), 1):
        film = {"title": f"Film {number}", "year": 1990 + number, "genres": genres, "plot": ["…"], "rating": 7.1}
        put(folder / "dataset" / f"{number:07d}.json", json.dumps(film))
        if number < 4:
            put(folder / "dataset" / f"{number:07d}.jpeg", poster(number))
    put(folder / "dataset" / "0000005.json", '{"title": "no genres"}')
    put(folder / "dataset" / "0000006.json", "{")
    put(folder / "dataset" / "0000007.jpeg", poster(7))
    return folder


def test_mm_imdb_folder_and_its_own_split(tmp_path):
    folder = mm_imdb(tmp_path / "mmimdb")
    catalogue = read_catalogue(folder)
    assert films(catalogue) == {"tt0000001": ("Drama",), "tt0000002": ("Comedy", "Drama"), "tt0000003": ("War",)}
    assert (catalogue.films[0].title, catalogue.films[0].year) == ("Film 1", 1991)
    assert catalogue.findings.counts == {"no-poster": 1, "no-row": 1, "bad-row": 2}
    assert read_split(catalogue, folder / "split.json").splits.tolist() == ["train", "validation", "test"]


def mm_imdb_hdf5(path: Path, images: np.ndarray) -> Path:
    """Pixels uint8 N×H×W×3, stored as the data set's authors did."""
    h5py = pytest.importorskip("h5py")
    stored = images[..., ::-1].astype("float32") - np.array([103.939, 116.779, 123.68], "float32")
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=stored.transpose(0, 3, 1, 2).astype("int32"))
        genres = file.create_dataset("genres", data=np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]], "int32"))
        genres.attrs["target_names"] = json.dumps(["Drama", "Comedy", "Sci-Fi"])
        file.create_dataset("imdb_ids", data=np.array(["0000007", "0114709", "0000003"], "S7"))
        file.create_dataset("features", data=np.zeros((3, 300), "float32"))
    return path


def test_mm_imdb_hdf5_gives_the_pixels_back(tmp_path, cache):
    images = np.random.default_rng(0).integers(0, 256, (3, 256, 160, 3), np.uint8)
    path = mm_imdb_hdf5(tmp_path / "multimodal_imdb.hdf5", images)
    catalogue = read_catalogue(path)
    assert films(catalogue) == {"tt0000007": ("Drama", "Sci-Fi"), "tt0114709": ("Comedy",), "tt0000003": ("Sci-Fi",)}
    for film, pixels in zip(catalogue.films, images, strict=True):
        found = np.asarray(Image.open(film.poster)).astype(int)
        assert np.abs(found - pixels).max() <= 1  # only pixels next to the mean colour are one off
        assert (found != pixels).mean() < 0.01
    assert not catalogue.findings


def test_mm_imdb_hdf5_may_list_its_genres(tmp_path, cache):
    images = np.zeros((3, 256, 160, 3), np.uint8)
    path = mm_imdb_hdf5(tmp_path / "multimodal_imdb.hdf5", images)
    with pytest.importorskip("h5py").File(path, "a") as file:
        file["genres"].attrs["target_names"] = ["Drama", "Comedy", "War"]
    assert films(read_catalogue(path))["tt0000003"] == ("War",)
    with pytest.importorskip("h5py").File(path, "a") as file:
        file["genres"].attrs["target_names"] = 3
    assert "is not MM-IMDb's HDF5 file" in refused(path)


def test_other_hdf5_files_are_refused(tmp_path, cache):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1]
    assert "is not MM-IMDb's HDF5 file" in refused(tmp_path / "other.h5")
    assert "is not MM-IMDb's HDF5 file" in refused(put(tmp_path / "text.h5", "no HDF5"))
    assert not list(cache.iterdir())


def test_hdf5_without_h5py_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"reading HDF5 needs h5py; run: pip install 'onesheet-genres\[hdf5\]'"):
        read_catalogue(put(tmp_path / "a.hdf5", "x"))


def parquet_shard(path: Path, rows: list[tuple[bytes | None, str | None, list[int], str]], *, described: bool) -> Path:
    """As Hugging Face writes them: a struct of bytes and path, genres as numbers with names in the metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["Comedy", "Drama", "War"]
    columns = {
        "image": pa.array([{"bytes": data, "path": name} for data, name, _, _ in rows]),
        "genres": pa.array([g if described else [names[i] for i in g] for *_, g, _ in rows]),
        "title": pa.array([title for *_, title in rows]),
    }
    genres = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"}
    info = {"info": {"features": {"image": {"_type": "Image"}, "genres": genres, "title": {"dtype": "string"}}}}
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}) if described else table, path)
    return path


@pytest.mark.parametrize("described", [True, False])
def test_parquet_shards_are_unpacked_once(tmp_path, cache, described):
    parquet_shard(
        tmp_path / "set" / "data" / "train-00000-of-00001.parquet",
        [(poster(1), "tt0000001.jpg", [0, 1], "A (1999)"), (poster(2, "PNG"), None, [2], "B")],
        described=described,
    )
    rows = [(poster(3), "tt0000003.jpg", [1], "C"), (None, None, [1], "D"), (poster(5)[:300], "x.jpg", [2], "E")]
    parquet_shard(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", rows, described=described)
    put(tmp_path / "set" / "README.md", "a data set")
    catalogue = read_catalogue(tmp_path / "set")
    assert sorted(film.genres for film in catalogue.films) == [("Comedy", "Drama"), ("Drama",), ("War",), ("War",)]
    assert {"tt0000001", "tt0000003"} <= set(films(catalogue))
    assert catalogue.findings.counts == {"bad-row": 1}  # neither id nor poster
    assert audit(catalogue, threads=1).of("truncated", "unreadable").counts != {}
    (unpacked,) = cache.iterdir()
    times = {path: path.stat().st_mtime_ns for path in unpacked.rglob("*")}
    assert films(read_catalogue(tmp_path / "set")) == films(catalogue)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir().__next__().rglob("*")} == times
    parquet_shard(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", rows[:1], described=described)
    assert len(read_catalogue(tmp_path / "set")) == 3


def test_one_parquet_file_of_bare_bytes_goes_all_the_way_to_a_packed_store(tmp_path):
    genres = [["War", "Drama"], ["Drama"], ["War"], ["Comedy"]] * 6
    table = pa.table({"poster": pa.array([poster(n) for n in range(24)]), "genres": genres})
    pq.write_table(table, tmp_path / "films.parquet")
    catalogue = read_catalogue(tmp_path / "films.parquet")
    assert len(catalogue) == 24
    packed = pack(split(catalogue, seed=0, validation=0.2, test=0.2), tmp_path / "packed", size=(36, 24), threads=1)
    assert packed.posters.shape == (24, 36, 24, 3)


def test_paths_as_bytes_are_a_table_as_before(tmp_path):
    put(tmp_path / "a.jpg", poster(1)), put(tmp_path / "b.jpg", poster(2))
    pq.write_table(pa.table({"poster": [b"a.jpg", b"b.jpg"], "genres": [["War"], ["Drama"]]}), tmp_path / "t.parquet")
    assert films(read_catalogue(tmp_path / "t.parquet")) == {"a": ("War",), "b": ("Drama",)}


def tar(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as file:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("given", ["folder", "file"])
def test_webdataset(tmp_path, given):
    first = [
        ("./a/tt0000001.jpg", poster(1)),
        ("./a/tt0000001.json", b'{"genres": ["War", "Drama"], "title": "A (1999)"}'),
        ("./b/tt0000001.png", poster(2, "PNG")),  # another film, as its folder says
        ("./b/tt0000001.json", b'{"genres": ["Comedy"], "imdb_id": "tt0000002"}'),
        ("../../escape.jpg", poster(3)),
        ("../../escape.genres", b"Drama|War\n"),
    ]
    path = tar(tmp_path / "set" / "shard-000000.tar", first)
    wanted = {"tt0000001": ("Drama", "War"), "tt0000002": ("Comedy",), "escape": ("Drama", "War")}
    if given == "folder":
        tar(tmp_path / "set" / "shard-000001.tar.gz", [("x.jpg", poster(4)), ("x.json", b'{"genres": "War"}')], "w:gz")
        wanted["x"] = ("War",)
    catalogue = read_catalogue(path if given == "file" else path.parent)
    assert films(catalogue) == wanted
    assert (catalogue.films[0].title, catalogue.films[0].year) == ("A", 1999)
    assert not list(tmp_path.parent.rglob("escape*"))  # nothing is written where the tar file says


def test_damaged_shards_are_refused_and_leave_nothing(tmp_path, cache):
    whole = tar(tmp_path / "a.tar", [("a.jpg", poster(1)), ("a.json", b'{"genres": ["War"]}')]).read_bytes()
    assert "download or write it again" in refused(put(tmp_path / "cut.tar", whole[:900]))
    assert "a.json in bad.tar is no JSON" in refused(tar(tmp_path / "bad.tar", [("a.jpg", b"x"), ("a.json", b"{")]))
    assert "is no JSON object" in refused(tar(tmp_path / "list.tar", [("a.jpg", b"x"), ("a.json", b"[]")]))
    assert not list(cache.iterdir())


def test_no_place_to_unpack_to_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(put(tmp_path / "a file", "x")))
    path = tar(tmp_path / "a.tar", [("a.jpg", poster(1)), ("a.json", b'{"genres": ["War"]}')])
    assert "set XDG_CACHE_HOME to a folder with room" in refused(path)


def test_a_tar_file_beside_a_table_does_not_count(tmp_path):
    tar(tmp_path / "backup.tar", [("a.jpg", poster(1))])
    put(tmp_path / "a.jpg", poster(1)), put(tmp_path / "b.jpg", poster(2))
    put(tmp_path / "films.csv", "poster,genres\na.jpg,War\nb.jpg,Drama\n")
    assert films(read_catalogue(tmp_path)) == {"a": ("War",), "b": ("Drama",)}


@pytest.mark.parametrize("form", ["saved", "saved-split", "parquet"])
def test_hugging_face_datasets_from_a_folder(tmp_path, form, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    columns = {
        "poster": [{"bytes": poster(n), "path": f"tt000000{n}.jpg"} for n in (1, 2, 3)],
        "labels": [[0, 1], [1], [2]],
        "title": ["A", "B", "C"],
    }
    genres = datasets.ClassLabel(names=["Comedy", "Drama", "War"])
    features = {"poster": datasets.Image(), "labels": datasets.List(genres), "title": datasets.Value("string")}
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    folder = tmp_path / "set"
    if form == "saved":
        made.save_to_disk(folder)
    elif form == "saved-split":
        datasets.DatasetDict(train=made.select([0, 1]), test=made.select([2])).save_to_disk(folder)
    else:
        folder.mkdir()
        made.to_parquet(folder / "train.parquet")
    catalogue = read_catalogue(f"hf-dataset:{folder}")
    wanted = {"tt0000001": ("Comedy", "Drama"), "tt0000002": ("Drama",), "tt0000003": ("War",)}
    assert films(catalogue) == wanted
    assert [film.title for film in catalogue.films] == ["A", "B", "C"]


def test_a_hugging_face_data_set_may_hold_image_files_without_saying_so(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    for number, cells in enumerate(([{"bytes": poster(n), "path": None} for n in (1, 2)], [poster(1), poster(2)])):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = pa.table({"image": cells, "genres": [["War"], ["Drama"]]})
        pq.write_table(rows, folder / "train.parquet")
        assert sorted(films(read_catalogue(f"hf-dataset:{folder}")).values()) == [("Drama",), ("War",)]
    pq.write_table(pa.table({"image": ["a"], "genres": [["War"]]}), folder / "train.parquet")
    with pytest.raises(CatalogueError, match=r"no column of images or of image files; seen: image \(.*string"):
        read_catalogue(f"hf-dataset:{folder}")


def test_hugging_face_datasets_in_memory_are_not_taken_for_each_other(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "IN_MEMORY_MAX_SIZE", 1 << 30)  # so that they have no files
    features = datasets.Features({"poster": datasets.Image(), "genres": datasets.List(datasets.Value("string"))})
    for number, genre in ((1, "War"), (2, "Drama")):
        columns = {"poster": [{"bytes": poster(number), "path": f"tt000000{number}.jpg"}], "genres": [["A", genre]]}
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / genre)
        assert datasets.load_from_disk(tmp_path / genre).cache_files == []
    for genre, film in (("War", "tt0000001"), ("Drama", "tt0000002")):
        assert films(read_catalogue(f"hf-dataset:{tmp_path / genre}")) == {film: ("A", genre)}


def test_a_configuration_of_a_hugging_face_dataset(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    features = datasets.Features({"poster": datasets.Image(), "genres": datasets.List(datasets.Value("string"))})
    head = ["---", "configs:"]
    for number, genre in ((1, "War"), (2, "Drama")):
        columns = {"poster": [{"bytes": poster(number), "path": f"tt000000{number}.jpg"}], "genres": [["A", genre]]}
        made = datasets.Dataset.from_dict(columns, features=features)
        (tmp_path / "set" / genre).mkdir(parents=True)
        made.to_parquet(tmp_path / "set" / genre / "train.parquet")
        head += [f"- config_name: {genre}", f"  data_files: {genre}/*.parquet"]
    put(tmp_path / "set" / "README.md", "\n".join([*head, "---", ""]))
    for genre, film in (("War", "tt0000001"), ("Drama", "tt0000002")):
        assert films(read_catalogue(f"hf-dataset:{tmp_path / 'set'}:{genre}")) == {film: ("A", genre)}
    assert ":CONFIGURATION behind it where it has several" in refused(f"hf-dataset:{tmp_path / 'set'}")


def test_hugging_face_datasets_that_cannot_be_read(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "set")
    assert "has no column of images or of image files; seen: text (Value('string'))" in refused(
        f"hf-dataset:{tmp_path / 'set'}"
    )
    (tmp_path / "empty").mkdir()
    assert "cannot load the data set" in refused(f"hf-dataset:{tmp_path / 'empty'}")


def test_hugging_face_datasets_without_the_library_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        MissingExtra, match=r"hf-dataset: needs datasets; run: pip install 'onesheet-genres\[hf-datasets\]'"
    ):
        read_catalogue("hf-dataset:user/posters")
