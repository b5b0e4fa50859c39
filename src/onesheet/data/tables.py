"""Any table to rows: CSV and TSV of any delimiter and encoding, JSON lines, JSON, Parquet, Excel."""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from onesheet.data.cells import imdb_id
from onesheet.data.poster_folders import is_image
from onesheet.data.workbooks import read_workbook
from onesheet.errors import CatalogueError, require
from onesheet.files import encodable, parse_json
from onesheet.spreadsheets import original

DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
TABLE_SUFFIXES = DELIMITED | {".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".xlsx"}
DELIMITERS = (",", ";", "\t", "|")
MAX_LINE_BYTES = 10_000_000
MAX_DOCUMENT_BYTES = 100_000_000  # of JSON, which is one value and takes ten times its size
MAX_RECORD_LINES = 500  # a quoted cell over more lines is a quote that was never closed
_END = "\x00end of table"
_CSV_LIMIT = threading.Lock()
_SEP_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_MONGO = re.compile(r'(?:ObjectId|ISODate|NumberInt|NumberLong|NumberDecimal)\(\s*("[^"]*"|-?[\d.]+)\s*\)')


@dataclass(frozen=True)
class Table:
    """A table as it is in the file.

    Attributes:
        path: the file (or the folder that is read as one).
        columns: the headings.
        rows: one value a column; text may hold surrogate-escaped bytes where the file is not UTF-8.
        bad: what was wrong with each row that could not be read.
        split: the split that all rows are in, "" where the file's name says none.
        notes: decisions of the reading that a person should know, each a clause.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Sequence[object]]
    bad: list[str] = field(default_factory=list)
    split: str = ""
    notes: tuple[str, ...] = ()


class Record(NamedTuple):
    """A record of a delimited table: its lines, counted from 1, and its fields."""

    first: int
    last: int
    fields: list[str]


class Parsed(NamedTuple):
    """A delimited table's text: delimiter, headings, records of as many fields, and what is wrong with the others.

    `short` counts the rows whose last cells were not written.
    """

    delimiter: str
    columns: tuple[str, ...]
    rows: list[Record]
    bad: list[str]
    short: int


def read_table(path: Path) -> Table:
    """Read a table by its suffix.

    Args:
        path: a file with one of `TABLE_SUFFIXES`.

    Raises:
        CatalogueError: the file cannot be read, is of an unknown kind, damaged or empty.
        MissingExtra: the file is Parquet or Excel, and what reads it is not installed.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in DELIMITED:
            table = read_delimited(path)
        elif suffix in (".parquet", ".pq"):
            table = _read_parquet(path)
        elif suffix == ".xlsx":
            columns, rows, notes = read_workbook(path)
            table = Table(path, columns, rows, notes=notes)
        elif suffix in TABLE_SUFFIXES:
            table = _read_json(path)
        else:
            raise CatalogueError(
                f"{str(path)!r} is no table; use CSV, TSV, JSON lines, Parquet or Excel (.xlsx), or a folder"
            )
    except OSError as error:
        raise _cannot_read(path, error) from error
    if not table.columns or not (table.rows or table.bad):
        raise CatalogueError(f"the table {str(path)!r} is empty; give one with a heading and at least one row")
    return table


def read_headings(path: Path) -> tuple[str, ...]:
    """The headings alone, without reading the whole of a delimited or Parquet file.

    Raises:
        CatalogueError: the file cannot be read.
        MissingExtra: the file is Parquet or Excel, and what reads it is not installed.
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
    if path.suffix.lower() == ".txt" and text.lstrip()[:1] in ("{", "["):
        return _json_table(text, path)
    parsed = parse_delimited(text)
    rows: list[Sequence[object]] = [list(map(original, fields)) for _, _, fields in parsed.rows]
    notes = (f"{parsed.short:,} short rows filled with empty cells",) if parsed.short else ()
    return Table(path, parsed.columns, rows, parsed.bad, notes=notes)


def parse_delimited(text: str) -> Parsed:
    """The records of CSV or TSV, its line ends made one; short rows are filled with empty cells."""
    lines = text.split("\n" if "\n" in text else "\r")
    sep_line = _SEP_LINE.fullmatch(lines[0].strip('"\r'))  # Excel's own first line
    if sep_line and len(lines) > 1:
        lines[0] = ""
    with _long_fields():
        heading = next((line for line in lines if line.strip()), "").replace("\r", " ")
        delimiter = sep_line[1] if sep_line else _delimiter(heading)
        try:
            records, whole = _records(lines, delimiter)
        except csv.Error:  # a stray carriage return outside quotes
            records, whole = _records([line.replace("\r", " ") for line in lines], delimiter)
    if not records:
        return Parsed(delimiter, (), [], [], 0)
    names = records[0].fields
    if not sep_line and delimiter not in heading:  # one column, or separated by spaces
        split = [record._replace(fields=record.fields[0].split()) for record in records if len(record.fields) == 1]
        if len(split) == len(records) and len(split[0].fields) > 2 and _same_length(split[:200]):
            records, names, delimiter = split, split[0].fields, " "
    while len(names) > 1 and not names[-1].strip() and all(len(record.fields) < len(names) for record in records[1:]):
        names = names[:-1]
    if len(records) > 1 and all(len(record.fields) == len(names) + 1 for record in records[1:]):
        names = ["", *names]  # an index without a heading, as R writes it
    columns = tuple(original(name.strip()) for name in names)
    rows, bad, short = [], [], 0
    for record in records[1:]:
        fields = record.fields
        while len(fields) > len(columns) and not fields[-1].strip():
            fields.pop()
        if 1 < len(fields) < len(columns) and whole:
            fields += [""] * (len(columns) - len(fields))
            short += 1
        if len(fields) == len(columns):
            rows.append(record)
        else:
            bad.append(f"line {record.last}: {len(fields)} fields where the heading has {len(columns)}")
    return Parsed(delimiter, columns, rows, bad, short)


def _delimiter(heading: str) -> str:
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([heading], delimiter=d), [])))


def _same_length(records: Sequence[Record]) -> bool:
    """Whether most records have as many fields as the first."""
    return sum(len(record.fields) == len(records[0].fields) for record in records) * 2 > len(records)


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
    zeros = data[:200:2].count(0), data[1:200:2].count(0)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what Excel calls Unicode text
        text = data.decode("utf-16", "replace")
    elif max(zeros) > 0.8 * min(len(data) // 2, 100) > 3:  # the same without its mark
        text = data.decode("utf-16-be" if zeros[0] > zeros[1] else "utf-16-le", "replace")
    else:
        text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return text.replace("\r\n", "\n")


def _records(lines: list[str], delimiter: str) -> tuple[list[Record], bool]:
    """The records that are not empty, and True; line by line, and False, when a quote is never closed."""
    records = []
    reader = csv.reader(chain((line + "\n" for line in lines), [_END]), delimiter=delimiter)
    before = 0
    for fields in reader:
        if reader.line_num - before > MAX_RECORD_LINES:
            break
        records.append(Record(before + 1, reader.line_num, fields))
        before = reader.line_num
    if records and records[-1].fields == [_END]:
        return [record for record in records[:-1] if any(record.fields)], True
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    alone = (next(csv.reader([line], delimiter=delimiter, quoting=quoting), []) for line in lines)
    return [Record(line, line, fields) for line, fields in enumerate(alone, 1) if any(fields)], False


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
        begins = _decode(file.read(4096)).lstrip()
    lines = begins.startswith("{") and _is_json(begins.split("\n")[0], whole="\n" in begins)
    if not lines and path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise CatalogueError(
            f"{str(path)!r} is one JSON value of more than {MAX_DOCUMENT_BYTES:,} bytes; use JSON lines"
        )
    return _json_table(_decode(_read_lines(path, MAX_LINE_BYTES if lines else MAX_DOCUMENT_BYTES)), path)


def _is_json(line: str, *, whole: bool) -> bool:
    """Whether a line is a JSON value; one that is longer than what was read may be one."""
    if not whole:
        return True
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _json_table(text: str, path: Path) -> Table:
    """JSON lines; a list of objects; an object around one, or of columns; objects one after the other."""
    bad: list[str] = []
    records: list[dict[str, object]] = []
    for place, value in _json_values(text.strip(), path):
        if isinstance(value, dict):
            records.append({name: _plain_value(item) for name, item in value.items()})
        else:
            bad.append(f"{place}: not a JSON object")
    columns = tuple(dict.fromkeys(name for record in records for name in record))
    return Table(path, columns, [[record.get(name) for name in columns] for record in records], bad)


def _plain_value(value: object) -> object:
    """A value without MongoDB's wrapping: {"$oid": "…"}, {"$numberInt": "1999"}."""
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))).startswith("$"):
        return _plain_value(value[name])
    return [_plain_value(item) for item in value] if isinstance(value, list) else value


def _json_values(text: str, path: Path) -> Iterator[tuple[str, object]]:
    """Each record and its place."""
    first = text.partition("\n")[0]
    if text.startswith("{") and "\n" in text and _is_json(first, whole=True):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    yield f"line {number}", parse_json(line)
                except ValueError:
                    yield f"line {number}", None
        return
    try:
        values = _documents(text)
    except ValueError:
        try:
            values = _documents(_MONGO.sub(r"\1", text))
        except ValueError as error:
            raise CatalogueError(f"{str(path)!r} is no JSON: {error}; repair the file") from error
    found = _records_of(values[0]) if len(values) == 1 else values
    yield from ((f"entry {number}", value) for number, value in enumerate(found, 1))


def _documents(text: str) -> list[object]:
    """JSON values one after the other, or with commas between.

    Raises:
        ValueError: something else is between them.
    """
    found: list[object] = []
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except RecursionError:
            raise ValueError("nested too deep") from None
        found.append(encodable(value) if "\\ud" in text or "\\uD" in text else value)
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing, too
    return found


_BETWEEN = re.compile(r"[\s,]*")


def _records_of(value: object) -> Sequence[object]:
    """The records in one JSON value: its own, those of its only list of objects, or pandas' columns."""
    if isinstance(value, list):
        return _with_heading(value)
    if not isinstance(value, dict):
        return [value]
    if value and all((imdb_id(name) or is_image(name)) and not isinstance(item, dict) for name, item in value.items()):
        kind = "poster" if is_image(next(iter(value))) else "imdb_id"
        return [{kind: name, "genres": item} for name, item in value.items()]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [
            dict(zip(map(str, value["columns"]), row, strict=False)) for row in value["data"] if isinstance(row, list)
        ]
    lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
    if lists and any(not isinstance(item, list | dict) or item in lists for item in value.values()):
        return max(lists, key=len) if not _is_film(value) else [value]
    inner = [item for item in value.values() if isinstance(item, dict)]
    if len(inner) == 1 and not _is_film(value) and any(isinstance(item, list) for item in inner[0].values()):
        return _records_of(inner[0])  # {"response": {"movies": […]}}
    if value and all(isinstance(item, dict) for item in value.values()):
        return _keyed(value)
    if value and all(isinstance(item, list) for item in value.values()):  # name -> column
        return [dict(zip(value, row, strict=False)) for row in zip(*value.values(), strict=False)]
    return [value]


def _with_heading(rows: list[object]) -> Sequence[object]:
    """Lists below a list of headings, as objects."""
    first = rows[0] if rows else None
    if not isinstance(first, list) or not all(isinstance(name, str) for name in first):
        return rows
    return [dict(zip(first, row, strict=False)) for row in rows[1:] if isinstance(row, list)]


def _is_film(value: Mapping[str, object]) -> bool:
    return any(name.lower().startswith("genre") for name in value)


def _keyed(value: Mapping[str, dict[str, object]]) -> Sequence[object]:
    """Objects by id, or by the name of their column."""
    rows = list(value.values())
    if len({tuple(row) for row in rows}) == 1 and any(_is_film({name: 0}) for name in value):
        return [{name: column[key] for name, column in value.items()} for key in rows[0]]
    return [row if "id" in map(str.lower, row) else {"id": key, **row} for key, row in value.items()]


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
