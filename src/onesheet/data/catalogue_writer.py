"""A catalogue to a table that `read_catalogue` reads again."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from onesheet.data.catalogue import Catalogue
from onesheet.data.genre_cells import GenreCells
from onesheet.errors import CatalogueError, require
from onesheet.files import whole_file
from onesheet.spreadsheets import Writer

COLUMNS = ("film_id", "poster", "genres", "title", "year", "source", "group")


def write_catalogue(catalogue: Catalogue, path: str | Path) -> None:
    """Write one row a film to Parquet or CSV, by the suffix; whole or not at all.

    Columns `split` and `unknown` (genres) are there only if a film has either.

    Poster paths are relative to the table when they are below its folder, so that both can move together, and
    absolute otherwise. Genres are a list in Parquet, "Comedy|Drama" in CSV.

    Raises:
        CatalogueError: another suffix.
        MissingExtra: Parquet without pyarrow.
        OnesheetError: the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise CatalogueError(f"a catalogue is written as .parquet or .csv; got {path.name!r}")
    posters = [stored_path(film.poster, path.parent) for film in catalogue.films]
    if kind == ".csv":
        _write_csv(catalogue, posters, path)
    else:
        _write_parquet(catalogue, posters, path)


def catalogue_csv(catalogue: Catalogue) -> bytes:
    """As `write_catalogue` writes CSV, for a place not known yet: poster paths are absolute."""
    file = io.StringIO()
    _write_rows(catalogue, [os.path.abspath(film.poster) for film in catalogue.films], file)  # noqa: PTH100 - as below
    return file.getvalue().encode("utf-8", "surrogateescape")


def stored_path(poster: str, folder: Path) -> str:
    """A poster's path as a file in `folder` should name it."""
    absolute, base = os.path.abspath(poster), os.path.abspath(folder)  # noqa: PTH100 - keeps links as they are
    if absolute.startswith(base.rstrip(os.sep) + os.sep):
        return os.path.relpath(absolute, base)
    return absolute


def _write_csv(catalogue: Catalogue, posters: Sequence[str], path: Path) -> None:
    with (
        whole_file(path) as part,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        _write_rows(catalogue, posters, file)


def _write_rows(catalogue: Catalogue, posters: Sequence[str], file: IO[str]) -> None:
    cells = {"|".join(film.genres): film.genres for film in catalogue.films}
    read = GenreCells(cells)
    as_lists = any(read.read(cell) != genres for cell, genres in cells.items())
    writer = Writer(file)
    has_split, has_unknown = _more(catalogue)
    writer.write((*COLUMNS, *["split"] * has_split, *["unknown"] * has_unknown))
    for film, poster in zip(catalogue.films, posters, strict=True):
        genres = json.dumps(film.genres, ensure_ascii=False) if as_lists else "|".join(film.genres)
        more = [film.split] * has_split + [json.dumps(sorted(film.unknown), ensure_ascii=False)] * has_unknown
        writer.write((film.film_id, poster, genres, film.title, film.year, film.source, film.group, *more))


def _more(catalogue: Catalogue) -> tuple[bool, bool]:
    """Whether any film has a split, and whether any has unknown genres."""
    return any(film.split for film in catalogue.films), any(film.unknown for film in catalogue.films)


def _write_parquet(catalogue: Catalogue, posters: Sequence[str], path: Path) -> None:
    arrow = require("pyarrow", purpose="writing Parquet", extra="parquet")
    parquet = require("pyarrow.parquet", purpose="writing Parquet", extra="parquet")

    def texts(values: Sequence[str]) -> Any:
        """Text, or bytes where a name is no UTF-8 and Parquet's text could not hold it."""
        try:
            return arrow.array(values, arrow.string())
        except UnicodeEncodeError:
            return arrow.array([value.encode("utf-8", "surrogateescape") for value in values], arrow.binary())

    films = catalogue.films
    has_split, has_unknown = _more(catalogue)
    more: dict[str, Any] = {}
    if has_split:
        more["split"] = texts([film.split for film in films])
    if has_unknown:
        more["unknown"] = arrow.array([sorted(film.unknown) for film in films], arrow.list_(arrow.string()))
    table = arrow.table(
        {
            "film_id": texts([film.film_id for film in films]),
            "poster": texts(posters),
            "genres": arrow.array([list(film.genres) for film in films], arrow.list_(arrow.string())),
            "title": texts([film.title for film in films]),
            "year": arrow.array([film.year for film in films], arrow.int32()),
            "source": texts([film.source for film in films]),
            "group": texts([film.group for film in films]),
            **more,
        }
    )
    with whole_file(path) as part:
        parquet.write_table(table, part, compression="zstd")
