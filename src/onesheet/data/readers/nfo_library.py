"""A film library of Kodi, Jellyfin or Plex: the genres of its NFO files, and the posters beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from onesheet.data.film_library import LibraryFilm, scan_library
from onesheet.data.film_library.scanning import Kind
from onesheet.data.poster_folders import Disk
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.tables import Table
from onesheet.errors import LibraryError

KINDS: tuple[Kind, ...] = ("movies", "shows")
_DEPTH = 3  # of the folders in which NFO files are looked for
_LOOKED_AT = 2_000  # folders at most, before a folder is taken for something else


def _is_library(path: Path, disk: Disk) -> bool:
    """Whether an NFO file is in one of the first folders, parents first."""
    folders = islice(_parents_first(str(path), disk), _LOOKED_AT) if path.is_dir() else ()
    return any(name.lower().endswith(".nfo") for folder in folders for name in disk.files(folder))


def _parents_first(path: str, disk: Disk) -> Iterator[str]:
    level = [path]
    for _ in range(_DEPTH + 1):
        yield from level
        level = [below for folder in level for below in disk.folders(folder)]


def _read_library(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """Films and TV shows, each with the genres as its NFO writes them; one without NFO has no genres."""
    films = [film for kind in KINDS for film in _films(path, kind)]
    rows: list[Sequence[object]] = [
        (film.ids.get("imdb", film.name), str(film.poster or ""), list(film.genres), film.title, film.year)
        for film in films
        if not film.fault
    ]
    bad = [f"{film.name}: {film.fault}" for film in films if film.fault]
    table = Table(path, ("film_id", "poster", "genres", "title", "year"), rows, bad)
    return Source(name_of(path), (table,), folder=path)


def _films(path: Path, kind: Kind) -> tuple[LibraryFilm, ...]:
    try:
        return scan_library(path, kind=kind).films
    except LibraryError:  # none of this kind
        return ()


NFO_LIBRARY = Layout(_is_library, _read_library)
