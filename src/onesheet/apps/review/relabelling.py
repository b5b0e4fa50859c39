"""A table with other genres for some films: the same file, but for their genre cells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from onesheet.data.cells import text
from onesheet.data.genre_cells import GENRE_DELIMITERS, GenreCells
from onesheet.data.genre_map import NOT_GENRES, settle_genres, tidy
from onesheet.data.reading import TableRows
from onesheet.data.tables import DELIMITED, parse_delimited, read_delimited
from onesheet.errors import CatalogueError
from onesheet.spreadsheets import neutral


class Change(NamedTuple):
    """A film's genres as the catalogue has them, and as they shall be."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def is_one_table(found: Sequence[TableRows]) -> bool:
    """Whether a catalogue is one delimited file with a column of genres, which `relabelled` can change."""
    if len(found) != 1 or found[0].columns.genre is None or found[0].table.path.suffix.lower() not in DELIMITED:
        return False
    return read_delimited(found[0].table.path).columns == found[0].table.columns


def relabelled(found: TableRows, changes: Mapping[str, Change], mapping: Mapping[str, str]) -> bytes:
    """The table's bytes, where only the genre cells of the films changed are others.

    A cell keeps what it names besides: genres too rare for the catalogue, and the names as written.

    Args:
        found: what `is_one_table`.
        changes: film id -> its genres.
        mapping: what `read_genre_map` returned.

    Raises:
        CatalogueError: as `with_cells` does.
    """
    column = found.columns.genre
    assert column is not None
    changed = {film: change for film, change in changes.items() if {*change.before} != {*change.after}}
    rows = [row for row, film in zip(found.rows, found.film_ids, strict=True) if film in changed]
    written = sorted({name for row in rows for name in row.genres})
    settled = dict(zip(written, settle_genres([[name] for name in written], mapping)[0], strict=True))
    cells = [text(row[column]) for row in read_delimited(found.table.path).rows]
    style = _Style(cells)
    edited = {}
    for row in rows:
        names = _renamed(row.genres, settled, changed[found.film_ids[row.number - 1]])
        edited[row.number] = style.cell(names, like=cells[row.number - 1])
    changed_cells = [edited.get(n, cell) for n, cell in enumerate(cells, 1)]
    before, after = (GenreCells(each).delimiter for each in (cells, changed_cells))
    plain = [number for number, cell in edited.items() if not cell.startswith("[")]
    if plain and before and after and after != before:  # its last cell is gone; the others would be read by another
        edited[plain[0]] += before
    return with_cells(Path(found.table.path), column, edited)


def _renamed(names: Sequence[str], settled: Mapping[str, tuple[str, ...]], change: Change) -> list[str]:
    """A row's names without those that are wrong and with those that were missing."""
    wrong = {name.casefold() for name in {*change.before} - {*change.after}}
    kept: list[str] = []
    for name in names:
        means = settled[name]
        if any(genre.casefold() in wrong for genre in means):
            kept += [genre for genre in means if genre.casefold() not in wrong]
        elif tidy(name).casefold() not in NOT_GENRES:
            kept.append(name)
    known = {genre.casefold() for name in kept for genre in (*settled.get(name, ()), name)}
    return kept + [genre for genre in change.after if genre.casefold() not in known]


class _Style:
    """How a column writes several genres."""

    def __init__(self, cells: Sequence[str]) -> None:
        self._delimiter = GenreCells(cells).delimiter or "|"
        self._example = next(filter(None, cells), "")
        spaced = re.compile(rf"\s*{re.escape(self._delimiter)}\s*")
        plain = (cell for cell in cells if not cell.startswith("["))
        self._between = next((found[0] for found in map(spaced.search, plain) if found), self._delimiter)

    def cell(self, names: Sequence[str], *, like: str) -> str:
        """Names as a cell: a list where the old one (or, where that is empty, the first) is one."""
        if (like or self._example).startswith("["):
            return json.dumps(names, ensure_ascii=False) if '"' in (like or self._example) else str(names)
        if any(delimiter in name for name in names for delimiter in GENRE_DELIMITERS):  # would be the column's
            return json.dumps(names, ensure_ascii=False)
        return self._between.join(names)


_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def with_cells(path: Path, column: int, cells: Mapping[int, str]) -> bytes:
    """A delimited table's bytes with other cells in one column.

    Args:
        path: a file that `read_delimited` reads.
        column: its index.
        cells: number of the row, from 1 as in `Row.number` -> its new text.

    Raises:
        CatalogueError: the file cannot be read, or a row cannot be told apart into its cells.
    """
    try:
        data = path.read_bytes()
        bom, encoding, errors = _encoding(data)
        text = data.removeprefix(bom).decode(encoding, errors)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"cannot read {str(path)!r}: {error}; check the file") from error
    parsed = parse_delimited(text.replace("\r\n", "\n"))
    end = "\n" if "\n" in text else "\r"
    lines: list[str | None] = list(text.split(end))
    for number, cell in cells.items():
        first, last, fields = parsed.rows[number - 1]
        record = end.join(line for line in lines[first - 1 : last] if line is not None)
        lines[first - 1 : last] = [_replaced(record, parsed.delimiter, column, neutral(cell))] + [None] * (last - first)
        fields[column] = neutral(cell)
    new = end.join(line for line in lines if line is not None)
    if [row.fields for row in parse_delimited(new.replace("\r\n", "\n")).rows] != [row.fields for row in parsed.rows]:
        raise CatalogueError(
            f"the cells of {str(path)!r} cannot be told apart; close its quotes, or save it as CSV anew"
        )
    return bom + new.encode(encoding, errors)


def _encoding(data: bytes) -> tuple[bytes, str, str]:
    """Mark at the beginning, encoding, and what keeps bytes that are none of it."""
    if data[:2] in _UTF16:
        return data[:2], _UTF16[data[:2]], "surrogatepass"
    return b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b"", "utf-8", "surrogateescape"


def _replaced(record: str, delimiter: str, column: int, cell: str) -> str:
    """A record with another cell, in quotes where the old one was or where it needs them."""
    field = re.compile(rf'(?:"(?:[^"]|"")*")?[^{re.escape(delimiter)}]*')
    body, begin = record.removesuffix("\r"), 0
    for _ in range(column):
        found = field.match(body, begin)
        assert found  # it may be empty
        begin = found.end() + 1
    old = field.match(body, begin)
    assert old
    if old[0].startswith('"') or any(sign in cell for sign in (delimiter, '"', "\r", "\n")):
        cell = '"' + cell.replace('"', '""') + '"'
    return record[:begin] + cell + record[old.end() :]
