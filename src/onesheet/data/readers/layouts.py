"""The layouts of catalogues: how a path is recognised and which tables and folders it stands for."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from onesheet.data.columns import GENRES, plain
from onesheet.data.components import connected
from onesheet.data.poster_folders import USUAL_FOLDERS, Disk
from onesheet.data.readers.hf_datasets import HF_DATASET
from onesheet.data.readers.imdb import IMDB
from onesheet.data.readers.mm_imdb import MM_IMDB_FOLDER, MM_IMDB_HDF5
from onesheet.data.readers.movielens import MOVIELENS
from onesheet.data.readers.shards import PARQUET_SHARDS, WEBDATASET
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.tables import TABLE_SUFFIXES, Table, read_headings, read_table
from onesheet.errors import CatalogueError

_PARTS = ("train", "val", "valid", "validation", "test")
_BARE_NUMBER = re.compile(r"\d+")


def read_source(path: Path, disk: Disk, folders: Sequence[str] | None = None) -> Source:
    """Read a path by the first layout of `LAYOUTS` that recognises it.

    Args:
        path: a file or folder, or "hf-dataset:" and a name.
        disk: the shared listings.
        folders: where posters lie, if that was told.

    Raises:
        CatalogueError: no such path, an empty folder, or nothing that any layout knows.
    """
    for layout in LAYOUTS.values():
        if layout.recognises(path, disk):
            return layout.read(path, disk, folders)
    if not path.exists():
        raise CatalogueError(f"no such path: {str(path)!r}; check its spelling")
    if not any(path.iterdir()):
        raise CatalogueError(f"the folder {str(path)!r} is empty; give one with a table or a folder per genre")
    raise CatalogueError(
        f"{str(path)!r} holds neither a table with genres nor a folder per genre; "
        "give the table itself, and its posters with --posters"
    )


def _part_tables(path: Path, disk: Disk) -> list[Path]:
    """Chu & Guo: train.csv (val.csv, test.csv) at the root or beside the images, or train/metadata.csv."""
    for folder in (path, path / "Images"):
        files = disk.files(str(folder))
        found = [Path(files[f"{part}.csv"]) for part in _PARTS if f"{part}.csv" in files]
        if found and all(_has_genres(table) for table in found):
            return found
    parts = [disk.files(str(path / part)) for part in _PARTS]
    return [Path(files["metadata.csv"]) for files in parts if "metadata.csv" in files]


def _movie_genre(path: Path, disk: Disk) -> list[Path]:
    """Kaggle's "Movie Genre from its Poster"."""
    return [Path(file) for name, file in disk.files(str(path)).items() if name.lower() == "moviegenre.csv"]


def _only_table(path: Path, disk: Disk) -> list[Path]:
    """The one table of a folder; split files and findings beside it have no genres."""
    files = [Path(file) for name, file in disk.files(str(path)).items() if not name.startswith(".")]
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES - {".json", ".txt"}]
    found = [table for table in tables if _has_genres(table)] or tables
    if len(found) > 1:
        names = ", ".join(table.name for table in found[:10])
        raise CatalogueError(f"{str(path)!r} holds several tables: {names}; give the one that names the genres")
    return found


def _has_genres(table: Path) -> bool:
    try:
        known = {plain(name) for name in read_headings(table)}
    except CatalogueError:
        return False
    return any(name in known for name in GENRES)


def _from(tables: Callable[[Path, Disk], list[Path]]) -> Layout:
    """A folder that stands for its tables, with posters anywhere in it."""

    def recognises(path: Path, disk: Disk) -> bool:
        return path.is_dir() and bool(tables(path, disk))

    def read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
        return Source(name_of(path), tuple(read_table(table) for table in tables(path, disk)), folder=path)

    return Layout(recognises, read)


def _read_file(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    return Source(path.name, (read_table(path),))


def _genre_folders(path: Path, disk: Disk) -> list[str]:
    """The sub-folders, or those of train/ and test/ where there is nothing else."""
    folders = disk.folders(str(path))
    if folders and all(Path(folder).name.lower() in _PARTS for folder in folders):
        return [genre for folder in folders for genre in disk.folders(folder)]
    return folders


def _is_genre_folders(path: Path, disk: Disk) -> bool:
    folders = _genre_folders(path, disk)
    return any(Path(folder).name.lower() not in USUAL_FOLDERS for folder in folders) and any(
        disk.images(below) for folder in folders for below in disk.walk(folder)
    )


def _read_genre_folders(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """A folder per genre: a film stands in each of its genres' folders, known by its file name or content."""
    posters = [
        (image, Path(genre).name)
        for genre in _genre_folders(path, disk)
        for folder in disk.walk(genre)
        for image in disk.images(folder)
    ]
    films = _same_films([poster for poster, _ in posters])
    first: dict[int, str] = {}
    for film, (poster, _) in zip(films, posters, strict=True):
        first[film] = min(first.get(film, poster), poster)
    stems = Counter(Path(poster).stem for poster in first.values())
    ids = {}
    for film, poster in first.items():
        stem = Path(poster).stem
        ids[film] = stem if stems[stem] == 1 else Path(poster).relative_to(path).as_posix()
    rows: list[Sequence[object]] = [
        (ids[film], str(Path(poster).absolute()), [genre]) for film, (poster, genre) in zip(films, posters, strict=True)
    ]
    table = Table(path, ("film_id", "poster", "genres"), rows)
    return Source(name_of(path), (table,), folder=path, one_row_a_film=False)


def _same_films(posters: list[str]) -> list[int]:
    """A film's number for each poster: one film has one file name, or one content.

    Bare numbers ("1.jpg") say nothing: each folder may count its own.
    """
    same = chain(_same_names(posters), same_contents(posters))
    return connected(len(posters), ((numbers[0], number) for numbers in same for number in numbers[1:]))


def _same_names(posters: list[str]) -> Iterator[list[int]]:
    named = defaultdict(list)
    for number, poster in enumerate(posters):
        if not _BARE_NUMBER.fullmatch(Path(poster).stem):
            named[Path(poster).name].append(number)
    yield from named.values()


def same_contents(posters: list[str]) -> Iterator[list[int]]:
    """Positions of identical files, two or more; only files of one size are read."""
    sized: dict[int, list[int]] = defaultdict(list)
    for number, poster in enumerate(posters):
        try:
            sized[os.stat(poster).st_size].append(number)  # noqa: PTH116 - speed
        except OSError:
            continue  # the audit says it
    for size, numbers in sized.items():
        digests = defaultdict(list)
        for number in numbers if size and len(numbers) > 1 else ():
            try:
                digests[hashlib.sha256(Path(posters[number]).read_bytes()).digest()].append(number)
            except OSError:
                continue
        yield from (same for same in digests.values() if len(same) > 1)


# First recognised, first read.
LAYOUTS: dict[str, Layout] = {
    "hf-dataset": HF_DATASET,
    "mm-imdb hdf5": MM_IMDB_HDF5,
    "mm-imdb folder": MM_IMDB_FOLDER,
    "imdb": IMDB,
    "movielens": MOVIELENS,
    "chu2017": _from(_part_tables),
    "movie-genre": _from(_movie_genre),
    "parquet shards": PARQUET_SHARDS,
    "folder with a table": _from(_only_table),
    "folder per genre": Layout(_is_genre_folders, _read_genre_folders),
    "webdataset": WEBDATASET,  # after those that a stray tar file does not make another
    "table": Layout(lambda path, disk: path.is_file(), _read_file),
}
