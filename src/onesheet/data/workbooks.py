"""Excel workbooks (.xlsx): the sheet with the most rows, its size checked before it is read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from onesheet.errors import CatalogueError, require

MAX_XML_BYTES = 1_000_000_000  # of a workbook's parts, unpacked
MAX_CELLS = 50_000_000  # of a sheet, empty ones too: all are held in memory
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{0,3})(\d{1,9})["']""")  # of a row, or of a cell, as r="AB12"


class Sheet(NamedTuple):
    """A sheet's headings, its rows of as many cells, and the decisions that a person should know, each a clause."""

    columns: tuple[str, ...]
    rows: list[Sequence[object]]
    notes: tuple[str, ...]


def read_workbook(path: Path) -> Sheet:
    """Read a workbook's sheet with the most rows; its first row has the headings.

    Raises:
        CatalogueError: no workbook, damaged, or larger than `MAX_CELLS` or `MAX_XML_BYTES`.
        MissingExtra: python-calamine is not installed.
        OSError: the file cannot be read.
    """
    calamine = require("python_calamine", purpose="reading Excel", extra="excel")
    try:
        _check_size(path)
        with calamine.load_workbook(str(path)) as workbook:
            kinds = {one.name: one.typ for one in workbook.sheets_metadata}
            names = [name for name, kind in kinds.items() if kind == calamine.SheetTypeEnum.WorkSheet]
            sheets = {name: workbook.get_sheet_by_name(name) for name in names}
            best = max(sheets, key=lambda name: sheets[name].height, default=None)
            cells = [] if best is None else sheets[best].to_python()
    except (calamine.CalamineError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())
        raise CatalogueError(f"{str(path)!r} is no readable Excel workbook ({why}); save it as .xlsx or CSV") from error
    others = [name for name in sheets if name != best and sheets[name].height]
    notes = (f"sheet {best!r}, the longest; not read: {', '.join(map(repr, others))}",) if others else ()
    columns = tuple(str(name).strip() for name in cells[0]) if cells else ()
    return Sheet(columns, [row for row in cells[1:] if any(cell != "" for cell in row)], notes)


def _check_size(path: Path) -> None:
    """Reject a workbook that would take far more memory than its file.

    Raises:
        CatalogueError: it would.
    """
    with zipfile.ZipFile(path) as file:
        if sum(part.file_size for part in file.infolist()) > MAX_XML_BYTES:
            raise CatalogueError(f"{str(path)!r} unpacks to more than {MAX_XML_BYTES:,} bytes; save it as CSV")
        for part in file.infolist():
            if part.filename.startswith("xl/worksheets/") and _cells(file, part) > MAX_CELLS:
                raise CatalogueError(f"{str(path)!r} has a sheet of more than {MAX_CELLS:,} cells; save it as CSV")


def _cells(file: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """How many cells a sheet has from its first to its last, written or not."""
    row = column = written = 0
    for block in _blocks(file, part):
        written += block.count(b"<c")
        for letters, number in _PLACE.findall(block):
            row = max(row, int(number))
            column = max(column, _column(letters))
    return max(row * column, written)


def _blocks(file: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """The part's bytes, each block with the end of the one before, so that no place is cut in two."""
    tail = b""
    with file.open(part) as content:
        while block := content.read(1 << 20):
            yield tail + block
            tail = block[-40:]


def _column(letters: bytes) -> int:
    """The number of a column: b"AB" -> 28."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
