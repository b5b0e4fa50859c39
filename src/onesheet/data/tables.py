"""Any table to rows: CSV and TSV of any delimiter and encoding, JSON lines, JSON, Parquet."""

from __future__ import annotations

import csv
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from onesheet.errors import CatalogueError, require
from onesheet.files import parse_json
from onesheet.spreadsheets import original

DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
TABLE_SUFFIXES = DELIMITED | {".jsonl", ".ndjson", ".json", ".parquet", ".pq"}
DELIMITERS = (",", ";", "\t", "|")
MAX_LINE_BYTES = 10_000_000
MAX_DOCUMENT_BYTES = 100_000_000  # of JSON, which is one value and takes ten times its size
MAX_RECORD_LINES = 500  # a quoted cell over more lines is a quote that was never closed
_END = "\x00end of table"
_CSV_LIMIT = threading.Lock()


@dataclass(frozen=True)
class Table:
    """A table as it stands in the file.

    Attributes:
        path: the file (or the folder that stands for one).
        columns: the headings.
        rows: one value a column; text may hold surrogate-escaped bytes where the file is not UTF-8.
        bad: what was wrong with each row that could not be read.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Sequence[object]]
    bad: list[str] = field(default_factory=list)


class Record(NamedTuple):
    """A record of a delimited table: its lines, counted from 1, and its fields."""

    first: int
    last: int
    fields: list[str]


class Parsed(NamedTuple):
    """A delimited table's text: delimiter, headings, records of as many fields, and what is wrong with the others."""

    delimiter: str
    columns: tuple[str, ...]
    rows: list[Record]
    bad: list[str]


def read_table(path: Path) -> Table:
    """Read a table by its suffix.

    Args:
        path: a file with one of `TABLE_SUFFIXES`.

    Raises:
        CatalogueError: the file cannot be read, is of an unknown kind, damaged or empty.
        MissingExtra: the file is Parquet and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in DELIMITED:
            table = read_delimited(path)
        elif suffix in (".parquet", ".pq"):
            table = _read_parquet(path)
        elif suffix in TABLE_SUFFIXES:
            table = _read_json(path)
        else:
            raise CatalogueError(f"{str(path)!r} is no table; use CSV, TSV, JSON lines or Parquet, or a folder")
    except OSError as error:
        raise _cannot_read(path, error) from error
    if not table.columns or not (table.rows or table.bad):
        raise CatalogueError(f"the table {str(path)!r} is empty; give one with a heading and at least one row")
    return table


def read_headings(path: Path) -> tuple[str, ...]:
    """The headings alone, without reading the whole of a delimited or Parquet file.

    Raises:
        CatalogueError: the file cannot be read.
        MissingExtra: the file is Parquet and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in DELIMITED:
        return read_delimited(path, headings_only=True).columns
    if suffix not in (".parquet", ".pq"):
        return read_table(path).columns
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    try:
        return tuple(parquet.read_schema(path).names)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise CatalogueError(f"{str(path)!r} is no readable Parquet file; write it again") from error


def read_delimited(path: Path, *, headings_only: bool = False) -> Table:
    """Read CSV or TSV; it may be empty.

    Raises:
        CatalogueError: the file cannot be read.
    """
    try:
        text = _decode(_first_line(path) if headings_only else _read_lines(path, MAX_LINE_BYTES))
    except OSError as error:
        raise _cannot_read(path, error) from error
    parsed = parse_delimited(text)
    return Table(path, parsed.columns, [list(map(original, fields)) for _, _, fields in parsed.rows], parsed.bad)


def parse_delimited(text: str) -> Parsed:
    """The records of CSV or TSV, its line ends made one."""
    lines = text.split("\n" if "\n" in text else "\r")
    with _long_fields():
        heading = lines[0].replace("\r", " ")
        delimiter = max(DELIMITERS, key=lambda d: len(next(csv.reader([heading], delimiter=d), [])))
        try:
            records = _records(lines, delimiter)
        except csv.Error:  # a stray carriage return outside quotes
            records = _records([line.replace("\r", " ") for line in lines], delimiter)
    if not records:
        return Parsed(delimiter, (), [], [])
    columns = tuple(original(name.strip()) for name in records[0].fields)
    rows = []
    bad = []
    for record in records[1:]:
        fields = record.fields
        while len(fields) > len(columns) and not fields[-1].strip():
            fields.pop()
        if len(fields) == len(columns):
            rows.append(record)
        else:
            bad.append(f"line {record.last}: {len(fields)} fields where the heading has {len(columns)}")
    return Parsed(delimiter, columns, rows, bad)


def _cannot_read(path: Path, error: OSError) -> CatalogueError:
    return CatalogueError(f"cannot read {str(path)!r}: {error.strerror or error}; check the file")


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise too_long(path, MAX_LINE_BYTES)
    return line


def _read_lines(path: Path, longest: int) -> bytes:
    """The whole file; a line of more than about `longest` bytes is no table, and is not read to its end."""
    parts, since_line_end = [], 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            parts.append(part)
            line_end = max(part.rfind(b"\n"), part.rfind(b"\r"))
            since_line_end = len(part) - line_end - 1 + (since_line_end if line_end < 0 else 0)
            if since_line_end > longest:
                raise too_long(path, longest)
    return b"".join(parts)


def too_long(path: Path, longest: int) -> CatalogueError:
    """The one-line error for a line that never ends."""
    return CatalogueError(f"{str(path)!r} has a line of more than {longest:,} bytes; give a table, a line a film")


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what Excel calls Unicode text
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return text.replace("\r\n", "\n")


def _records(lines: list[str], delimiter: str) -> list[Record]:
    """The records that are not empty; line by line when a quote is never closed."""
    records = []
    reader = csv.reader(chain((line + "\n" for line in lines), [_END]), delimiter=delimiter)
    before = 0
    for fields in reader:
        if reader.line_num - before > MAX_RECORD_LINES:
            break
        records.append(Record(before + 1, reader.line_num, fields))
        before = reader.line_num
    if records and records[-1].fields == [_END]:
        return [record for record in records[:-1] if any(record.fields)]
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    alone = (next(csv.reader([line], delimiter=delimiter, quoting=quoting), []) for line in lines)
    return [Record(line, line, fields) for line, fields in enumerate(alone, 1) if any(fields)]


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let csv read fields of any length; its limit is global, so it is put back."""
    with _CSV_LIMIT:
        before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _read_json(path: Path) -> Table:
    with path.open("rb") as file:
        one_value = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if one_value and path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise CatalogueError(
            f"{str(path)!r} is one JSON value of more than {MAX_DOCUMENT_BYTES:,} bytes; use JSON lines"
        )
    text = _decode(_read_lines(path, MAX_DOCUMENT_BYTES if one_value else MAX_LINE_BYTES)).strip()
    bad: list[str] = []
    records: list[dict[str, object]] = []
    for place, value in _json_values(text, path):
        if isinstance(value, dict):
            records.append(value)
        else:
            bad.append(f"{place}: not a JSON object")
    columns = tuple(dict.fromkeys(name for record in records for name in record))
    return Table(path, columns, [[record.get(name) for name in columns] for record in records], bad)


def _json_values(text: str, path: Path) -> Iterator[tuple[str, object]]:
    if text.startswith("["):
        try:
            values = parse_json(text)
        except ValueError as error:
            raise CatalogueError(f"{str(path)!r} is no JSON: {error}; repair the file") from error
        yield from ((f"entry {number}", value) for number, value in enumerate(values, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", parse_json(line)
            except ValueError:
                yield f"line {number}", None


def _read_parquet(path: Path) -> Table:
    arrow = require("pyarrow", purpose="reading Parquet", extra="parquet")
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    try:
        data = parquet.read_table(path)
    except arrow.ArrowException as error:
        message = str(error).splitlines()[0]
        raise CatalogueError(f"{str(path)!r} is no readable Parquet file: {message}; write it again") from error
    columns = [column.to_pylist() for column in data.columns]
    return Table(path, tuple(data.column_names), [list(row) for row in zip(*columns, strict=True)])
