"""Which column means what, and a table's rows in those terms."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onesheet.data.cells import genre_delimiter, genre_names, imdb_id, raw_text, text, title_and_year
from onesheet.data.poster_folders import is_image
from onesheet.data.tables import Table
from onesheet.errors import CatalogueError

# Headings are compared by their letters and digits alone: "Imdb_ID" = "imdbid". First come, first taken.
GENRES = (
    "genres",
    "genre",
    "genrenames",
    "genrelist",
    "moviegenre",
    "moviegenres",
    "labels",
    "label",
    "category",
)
IMDB_IDS = ("imdbid", "tconst", "imdbtitleid")
IDS = ("filmid", *IMDB_IDS, "id", "movieid", "tmdbid", "posterid", "imageid")
POSTERS = (
    *("poster", "posterpath", "posterfile", "posterfilename", "path", "file", "filename", "filepath"),
    *("image", "imagepath", "imagefile", "imagename", "img", "imgpath", "imgs"),
)
TITLES = ("title", "primarytitle", "movietitle", "filmtitle", "name", "originaltitle", "movie", "film")
YEARS = ("year", "startyear", "releaseyear", "releasedate", "released")
NEVER_GENRES = frozenset({"", "unnamed0", "index", "split", "fold", "isadult", "adult", "video", "group", "source"})
_ON = frozenset({"1", "1.0", "true", "yes"})
_OFF = frozenset({"0", "0.0", "false", "no", ""})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        table: name of the file.
        number: of the row, from 1.
        film_id: the film's id, an IMDb id where it can be one; "" where the row has none.
        ids: every id of the row as written, best first: a poster may be named by any.
        poster: the poster's path as written, "" where there is none.
        genres: names as written.
        problem: why the genres cannot be read, "" where they can.
    """

    table: str
    number: int
    film_id: str
    ids: tuple[str, ...]
    poster: str
    genres: tuple[str, ...]
    problem: str
    title: str
    year: int | None
    source: str
    group: str

    @property
    def where(self) -> str:
        """File and row, for a person."""
        return f"{self.table}, row {self.number}"


@dataclass(frozen=True)
class Columns:
    """The columns of a table by meaning; indices, None where there is none."""

    ids: tuple[int, ...]
    imdb: tuple[bool, ...]
    poster: int | None
    genre: int | None
    one_hot: tuple[int, ...]
    title: int | None
    year: int | None
    source: int | None
    group: int | None


def plain(heading: str) -> str:
    """Letters and digits of a heading, lower-case.

    Example:
        >>> plain("Imdb_ID")
        'imdbid'
    """
    return re.sub(r"[\W_]", "", heading).lower()


def check_columns(tables: Sequence[Table], named: Sequence[str | None]) -> None:
    """Refuse column names that no table has.

    Raises:
        CatalogueError: with the nearest right name.
    """
    seen = list(dict.fromkeys(column for table in tables for column in table.columns))
    for name in named:
        if name is not None and name not in seen:
            near = difflib.get_close_matches(name.lower(), [column.lower() for column in seen], 1, 0.4)
            hint = next((f"did you mean {c!r}? " for c in seen if near and c.lower() == near[0]), "")
            raise CatalogueError(f"no column {name!r}; {hint}seen: {_listing(seen)}")


def find_columns(
    table: Table, *, poster_column: str | None, id_column: str | None, genre_column: str | None
) -> Columns:
    """Which column means what, by name, or as told; one-hot genres by their values.

    Raises:
        CatalogueError: no column can be genres, or none can lead to a poster.
    """
    known = [plain(name) for name in table.columns]

    def find(names: Sequence[str], told: str | None = None) -> list[int]:
        if told in table.columns:
            return [table.columns.index(told)]
        return [known.index(name) for name in names if name in known]

    genre = find(GENRES, genre_column) or [i for i, name in enumerate(known) if "genre" in name and "id" not in name]
    poster = [table.columns.index(poster_column)] if poster_column in table.columns else poster_columns(table)
    title, year = [i for i in find(TITLES) if i not in poster], find(YEARS)
    ids = list(dict.fromkeys(find((), id_column) + find(IDS)))
    ours = "filmid" in known
    taken = {*poster, *title, *year, *ids, *(i for i, name in enumerate(known) if name in NEVER_GENRES)}
    one_hot = () if genre else tuple(i for i in range(len(known)) if i not in taken and _is_one_hot(table, i))
    if not genre and len(one_hot) < 2:
        raise CatalogueError(
            f"{str(table.path)!r} has no usable genre column; seen: {_listing(table.columns)}; "
            "name it with --genre-column"
        )
    if not poster and not ids:
        raise CatalogueError(
            f"{str(table.path)!r} has no column of posters or ids; seen: {_listing(table.columns)}; "
            "name it with --poster-column or --id-column"
        )
    return Columns(
        ids=tuple(ids),
        imdb=tuple(known[i] in IMDB_IDS for i in ids),
        poster=next(iter(poster), None),
        genre=next(iter(genre), None),
        one_hot=one_hot,
        title=next(iter(title), None),
        year=next(iter(year), None),
        source=next(iter(find(("source",))), None) if ours else None,
        group=next(iter(find(("group",))), None) if ours else None,
    )


def poster_columns(table: Table) -> list[int]:
    """The columns that name posters, best first: by their headings, or else by their values."""
    known = [plain(name) for name in table.columns]
    named = [known.index(name) for name in POSTERS if name in known]
    return named or [i for i in range(len(known)) if _names_images(table, i)]


def read_rows(table: Table, columns: Columns) -> Iterator[Row]:
    """The table's rows by meaning, in order; equal genres are one tuple, equal sources one string."""
    delimiter = genre_delimiter(row[columns.genre] for row in table.rows) if columns.genre is not None else ""

    def cell(row: Sequence[object], column: int | None) -> str:
        return "" if column is None else text(row[column])

    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, row in enumerate(table.rows, 1):
        ids = [(text(row[i]), imdb) for i, imdb in zip(columns.ids, columns.imdb, strict=True)]
        best = next(((written, imdb) for written, imdb in ids if written), ("", False))
        problem, genres = "", tuple(table.columns[i] for i in columns.one_hot if text(row[i]).lower() in _ON)
        if columns.genre is not None:
            try:
                genres = genre_names(row[columns.genre], delimiter)
            except ValueError as error:
                problem = str(error)
        title, year = title_and_year(cell(row, columns.title), cell(row, columns.year))
        yield Row(
            table=table.path.name,
            number=number,
            film_id=imdb_id(best[0], numbers=best[1]) or best[0],
            ids=tuple(written for written, _ in ids if written),
            poster="" if columns.poster is None else raw_text(row[columns.poster]),
            genres=shared.setdefault(genres, genres),
            problem=problem,
            title=title,
            year=year,
            source=sys.intern(cell(row, columns.source)),
            group=cell(row, columns.group),
        )


def _names_images(table: Table, column: int) -> bool:
    """Whether a column of any heading holds file names of images, judged by its first rows."""
    values = [raw_text(row[column]) for row in table.rows[:50]]
    return sum(map(is_image, values)) > len(values) / 2


def _is_one_hot(table: Table, column: int) -> bool:
    values = {text(row[column]).lower() for row in table.rows}
    return values <= _ON | _OFF and bool(values - {""})


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:30])
    return shown + (f" and {len(names) - 30} more" if len(names) > 30 else "")
