"""Tables without a heading, such as `posters/1.jpg 0 1 0`: their genres' names come from a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onesheet.data.cells import imdb_id
from onesheet.data.poster_folders import is_image
from onesheet.data.tables import MAX_LINE_BYTES, Table
from onesheet.errors import CatalogueError
from onesheet.files import parse_json, read_within


def read_genre_names(path: str | Path) -> list[str]:
    """The names in a file: a line each (the first column where there are several), or a JSON list.

    Raises:
        CatalogueError: the file cannot be read, or has fewer than two names.
    """
    path = Path(path)
    try:
        written = read_within(path, MAX_LINE_BYTES).decode("utf-8-sig")
        if path.suffix.lower() == ".json":
            names = [str(name).strip() for name in parse_json(written)]
        else:
            names = [row[0].strip() for row in csv.reader(written.splitlines()) if row and row[0].strip()]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise CatalogueError(
            f"cannot read the genres' names from {str(path)!r}: {error}; give a name a line"
        ) from error
    if len(names) < 2:
        raise CatalogueError(f"{str(path)!r} has {len(names)} names of genres; give two or more, a line each")
    return names


def with_headings(table: Table, names: Sequence[str]) -> Table:
    """A table whose first line is a row like all others, with headings.

    Args:
        table: as read, its first line taken for headings.
        names: of the genres, or of all columns.

    Raises:
        CatalogueError: their number fits neither.
    """
    if not is_headless(table.columns):
        return table
    flags = [i for i, cell in enumerate(table.columns) if cell in ("0", "1")]
    if len(names) == len(table.columns):
        headings = list(names)
    elif len(names) == len(flags):
        headings = [f"column {i + 1}" for i in range(len(table.columns))]
        for i, name in zip(flags, names, strict=True):
            headings[i] = name
    else:
        raise CatalogueError(
            f"{str(table.path)!r} has {len(table.columns)} columns without headings, {len(flags)} of them 0 or 1; got "
            f"{len(names)} names with --genres: give one for each of either"
        )
    poster = next((i for i, cell in enumerate(table.columns) if is_image(cell)), None)
    if poster is not None:
        headings[poster] = "poster"
    return replace(table, columns=tuple(headings), rows=[list(table.columns), *table.rows])


def is_headless(columns: Sequence[str]) -> bool:
    """Whether a table's first line is no heading: it has a poster's name, an IMDb id or several cells of 0 and 1."""
    return any(is_image(cell) or imdb_id(cell) for cell in columns) or sum(cell in ("0", "1") for cell in columns) > 1
