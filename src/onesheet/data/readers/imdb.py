"""IMDb's `title.basics.tsv.gz`: the rows of those films whose posters, named by their ids, are there."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from onesheet.data.cells import imdb_id
from onesheet.data.poster_folders import Disk, folders_beside
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.tables import MAX_LINE_BYTES, Table, too_long
from onesheet.errors import CatalogueError

HEADING = (
    *("tconst", "titleType", "primaryTitle", "originalTitle", "isAdult"),
    *("startYear", "endYear", "runtimeMinutes", "genres"),
)
_COLUMNS = ("tconst", "primaryTitle", "startYear", "genres")
_TAKEN = tuple(HEADING.index(name) for name in _COLUMNS)


def _table_of(path: Path, disk: Disk) -> Path | None:
    """The table itself, or the one in a folder."""
    files = map(Path, disk.files(str(path)).values()) if path.is_dir() else [path]
    return next((file for file in files if _is_title_basics(file)), None)


def _is_title_basics(path: Path) -> bool:
    if not path.name.lower().endswith((".tsv", ".tsv.gz")) or not path.is_file():
        return False
    try:
        with _opened(path) as file:
            return file.readline(1000).rstrip(b"\r\n") == "\t".join(HEADING).encode()
    except CatalogueError:
        return False


def _read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """The table has millions of rows: it is read as a stream, and a row without a poster is no finding."""
    file = _table_of(path, disk)
    assert file is not None  # it was recognised
    if folders is None:
        folders = list(disk.walk(str(path)) if path.is_dir() else folders_beside(disk, file.parent))
    stems = (Path(image).stem for folder in folders for image in disk.images(folder))
    ids = {known.encode() for known in (imdb_id(stem, numbers=True) for stem in stems) if known}
    rows: list[Sequence[object]] = []
    bad = []
    with _opened(file) as lines:
        for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(line) > MAX_LINE_BYTES:
                raise too_long(file, MAX_LINE_BYTES)
            if line.partition(b"\t")[0] in ids:
                cells = line.decode("utf-8", "surrogateescape").rstrip("\r\n").split("\t")  # nothing is quoted
                if len(cells) == len(HEADING):
                    rows.append([cells[column] for column in _TAKEN])
                else:
                    bad.append(f"line {number}: {len(cells)} fields where the heading has {len(HEADING)}")
    table = Table(file, _COLUMNS, rows, bad)
    return Source(name_of(path), (table,), folder=path if path.is_dir() else None)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield cast("IO[bytes]", file)
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogueError(f"cannot read {str(path)!r}: {error}; download it again") from error


IMDB = Layout(lambda path, disk: _table_of(path, disk) is not None, _read)
