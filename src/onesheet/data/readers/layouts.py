"""The layouts of catalogues: how a path is recognised and which tables and folders it consists of."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from onesheet.data.columns import GENRES, plain
from onesheet.data.components import connected
from onesheet.data.genre_synonyms import is_known
from onesheet.data.own_splits import split_in_name, split_name
from onesheet.data.poster_folders import USUAL_FOLDERS, Disk, is_image
from onesheet.data.readers.hf_datasets import HF_DATASET
from onesheet.data.readers.imdb import IMDB
from onesheet.data.readers.mm_imdb import MM_IMDB_FOLDER, MM_IMDB_HDF5
from onesheet.data.readers.movielens import MOVIELENS
from onesheet.data.readers.nfo_library import NFO_LIBRARY
from onesheet.data.readers.shards import PARQUET_SHARDS, WEBDATASET
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.tables import TABLE_SUFFIXES, Table, read_headings, read_table
from onesheet.errors import CatalogueError, MissingExtra

_READ = TABLE_SUFFIXES | {".gz", ".tar", ".h5", ".hdf5", ".arrow", ".tgz"}
_BARE_NUMBER = re.compile(r"\d+")


def read_source(path: Path, disk: Disk, folders: Sequence[str] | None = None) -> Source:
    """Read a path by the first layout of `LAYOUTS` that recognises it.

    Args:
        path: a file or folder, or "hf-dataset:" and a name.
        disk: the shared listings.
        folders: folders of posters, if passed.

    Raises:
        CatalogueError: no such path, an empty folder, or nothing that any layout knows.
    """
    path = _unwrapped(path, disk)
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


def _unwrapped(path: Path, disk: Disk) -> Path:
    """The folder inside a folder that holds nothing else, as archives are unpacked."""
    while path.is_dir():
        folders = [folder for folder in disk.folders(str(path)) if Path(folder).name != "__MACOSX"]
        files = [name for name in disk.files(str(path)) if not name.startswith(".")]
        if len(folders) != 1 or any(is_image(name) or Path(name).suffix.lower() in _READ for name in files):
            break
        inside = Path(folders[0])
        tables = any(Path(name).suffix.lower() in _READ for name in disk.files(str(inside)))
        if split_name(inside.name) or not (tables or disk.folders(str(inside))):
            break
        path = inside
    return path


def _split_tables(path: Path, disk: Disk) -> list[tuple[Path, str]]:
    """Tables of splits and their splits: train.csv and test.csv at the root or beside the images, or
    train/metadata.csv and the like."""
    for folder in (path, path / "Images"):
        files = [Path(file) for name, file in disk.files(str(folder)).items() if not name.startswith(".")]
        tables = [(file, split_in_name(file.stem)) for file in files if file.suffix.lower() in TABLE_SUFFIXES]
        exact = [(file, split) for file, split in tables if split_name(file.stem)]
        exact += [(file, split) for file, split in tables if split and split not in {name for _, name in exact}]
        for found in (exact, [(file, split) for file, split in tables if split]):
            splits = {split for _, split in found}
            named = any(split_name(file.stem) for file, _ in found)
            if "train" in splits and (named or len(splits) > 1) and any(_has_genres(file) for file, _ in found):
                return found
    found = []
    for folder in map(Path, disk.folders(str(path))):
        if split := split_name(folder.name):
            inside = [Path(file) for name, file in disk.files(str(folder)).items() if not name.startswith(".")]
            inside = [file for file in inside if file.suffix.lower() in TABLE_SUFFIXES - {".txt"}]
            found += [(file, split) for file in inside if len(inside) == 1 or file.stem == "metadata"]
    return found if any(_has_genres(file) for file, _ in found) else []


def _has_split_tables(path: Path, disk: Disk) -> bool:
    return path.is_dir() and bool(_split_tables(path, disk))


def _read_split_tables(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    tables, unlabelled = [], []
    for file, split in _split_tables(path, disk):
        if _has_genres(file):
            tables.append(replace(read_table(file), split=split))
        else:
            unlabelled.append(f"{file.name} has no genres")
    return Source(name_of(path), tuple(tables), folder=path, unlabelled=tuple(unlabelled))


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
        headings = read_headings(table)
    except (CatalogueError, MissingExtra):
        return False
    known = {plain(name) for name in headings}
    genres = sum(is_known(name) or is_known(re.split(r"[_.]", name)[-1]) for name in headings)
    return any(name in known for name in GENRES) or any("genre" in name for name in known) or genres > 1


def _from(tables: Callable[[Path, Disk], list[Path]]) -> Layout:
    """A folder that is read as its tables, with posters anywhere in it."""

    def recognises(path: Path, disk: Disk) -> bool:
        return path.is_dir() and bool(tables(path, disk))

    def read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
        return Source(name_of(path), tuple(read_table(table) for table in tables(path, disk)), folder=path)

    return Layout(recognises, read)


def _read_file(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    return Source(path.name, (replace(read_table(path), split=split_in_name(path.stem)),))


def _genre_folders(path: Path, disk: Disk) -> list[tuple[str, str]]:
    """The sub-folders and their split, "" for none; those of train/ and test/ where there is nothing else."""
    folders = disk.folders(str(path))
    splits = [split_in_name(Path(folder).name) for folder in folders]
    if folders and all(splits) and (len(set(splits)) > 1 or all(split_name(Path(folder).name) for folder in folders)):
        pairs = zip(folders, splits, strict=True)
        return [(genre, split) for folder, split in pairs for genre in disk.folders(folder)]
    return [(folder, "") for folder in folders]


def _is_genre_folders(path: Path, disk: Disk) -> bool:
    folders = [folder for folder, _ in _genre_folders(path, disk)]
    return any(Path(folder).name.lower() not in USUAL_FOLDERS for folder in folders) and any(
        disk.images(below) for folder in folders for below in disk.walk(folder)
    )


def _read_genre_folders(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """A folder per genre: a film is in each of its genres' folders, known by its file name or content."""
    genres = _genre_folders(path, disk)
    posters = [
        (image, Path(genre).name, split)
        for genre, split in genres
        for folder in disk.walk(genre)
        for image in disk.images(folder)
    ]
    films = _same_films([poster for poster, *_ in posters])
    first: dict[int, str] = {}
    for film, (poster, *_) in zip(films, posters, strict=True):
        first[film] = min(first.get(film, poster), poster)
    stems = Counter(Path(poster).stem for poster in first.values())
    ids = {}
    for film, poster in first.items():
        stem = Path(poster).stem
        ids[film] = stem if stems[stem] == 1 else Path(poster).relative_to(path).as_posix()
    rows: list[Sequence[object]] = [
        (ids[film], str(Path(poster).absolute()), [genre], split)
        for film, (poster, genre, split) in zip(films, posters, strict=True)
    ]
    table = Table(path, ("film_id", "poster", "genres", "split"), rows)
    bare = [folder for folder in disk.folders(str(path)) if split_name(Path(folder).name) and disk.images(folder)]
    unlabelled = tuple(
        f"{Path(folder).name}/ has {len(disk.images(folder)):,} posters outside of genres" for folder in bare
    )
    return Source(name_of(path), (table,), folder=path, one_row_a_film=False, unlabelled=unlabelled)


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
    "movie-genre": _from(_movie_genre),
    "parquet shards": PARQUET_SHARDS,
    "tables of splits": Layout(_has_split_tables, _read_split_tables),
    "folder with a table": _from(_only_table),
    "film library": NFO_LIBRARY,
    "folder per genre": Layout(_is_genre_folders, _read_genre_folders),
    "webdataset": WEBDATASET,  # after those that a stray tar file does not make another
    "table": Layout(lambda path, disk: path.is_file(), _read_file),
}
