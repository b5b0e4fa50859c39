"""MovieLens: `movies.csv` and `links.csv`, with posters named `<movieId>.jpg`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onesheet.data.cells import imdb_id, text
from onesheet.data.columns import plain
from onesheet.data.poster_folders import Disk
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.tables import Table, read_headings, read_table
from onesheet.errors import CatalogueError

_MOVIES, _LINKS = ("movieid", "title", "genres"), ("movieid", "imdbid")


def _recognises(path: Path, disk: Disk) -> bool:
    """A folder with both tables, or its movies.csv."""
    folder = path if path.is_dir() else path.parent
    if not (path.is_dir() or path.name == "movies.csv") or not {"movies.csv", "links.csv"} <= set(
        disk.files(str(folder))
    ):
        return False
    try:
        return all(
            set(names) <= {plain(name) for name in read_headings(folder / name)}
            for name, names in (("movies.csv", _MOVIES), ("links.csv", _LINKS))
        )
    except CatalogueError:
        return False


def _read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """Films known by their IMDb ids where `links.csv` has them, posters by MovieLens' own numbers.

    A bare IMDb number names no poster here: it may be the MovieLens number of another film.
    """
    folder = path if path.is_dir() else path.parent
    movies, links = read_table(folder / "movies.csv"), read_table(folder / "links.csv")
    imdb = {text(number): imdb_id(text(imdb), numbers=True) for number, imdb in _columns(links, _LINKS)}
    rows: list[Sequence[object]] = []
    for number, title, genres in _columns(movies, _MOVIES):
        rows.append((imdb.get(text(number)) or text(number), text(number), title, genres))
    table = Table(movies.path, ("film_id", "poster", "title", "genres"), rows, movies.bad + links.bad)
    return Source(name_of(folder), (table,), folder=folder, imdb_numbers=False)


def _columns(table: Table, names: Sequence[str]) -> list[list[object]]:
    known = [plain(name) for name in table.columns]
    columns = [known.index(name) for name in names]
    return [[row[column] for column in columns] for row in table.rows]


MOVIELENS = Layout(_recognises, _read)
