"""Other cells in a delimited table; every other letter of the file stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from onesheet.data.tables import parse_delimited
from onesheet.errors import CatalogueError
from onesheet.spreadsheets import neutral

_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def with_cells(path: Path, column: int, cells: Mapping[int, str]) -> bytes:
    """A delimited table's bytes with other cells in one column.

    Args:
        path: a file that `read_delimited` reads.
        column: its index.
        cells: number of the row, from 1 as in `Row.number` -> what stands in it from now on.

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
