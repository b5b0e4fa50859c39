"""Recognise and list a source of posters: a folder, a table of paths or URLs, or shards."""

from __future__ import annotations

import glob
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from onesheet.apps.batch.poster_shards import shard_columns
from onesheet.apps.batch.storage import file_system, full_url, is_local
from onesheet.data.cells import raw_text
from onesheet.data.columns import poster_columns
from onesheet.data.poster_folders import is_image, reason_left_out
from onesheet.data.tables import TABLE_SUFFIXES, Table, read_table
from onesheet.errors import CatalogueError, require

Kind = Literal["folder", "table", "tar", "parquet"]
PARQUET = (".parquet", ".pq")
ROWS_AT_ONCE = 65_536


class Listed(NamedTuple):
    """A poster, or a shard, of a source.

    Attributes:
        path: as in the results.
        location: path or URL; "" if a table's row has no poster.
        size: of a shard in bytes; 0 for a poster.
    """

    path: str
    location: str
    size: int = 0


@dataclass(frozen=True)
class Source:
    """Where posters come from.

    Attributes:
        location: absolute path or URL.
        kind: "folder" and "table" list posters; "tar" and "parquet" list shards.
        listing: the posters or shards, always in the same order.
        left_out: reason -> the files of a folder that are left out.
    """

    location: str
    kind: Kind
    listing: Callable[[], Iterator[Listed]]
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def open_source(source: str) -> Source:
    """Recognise a source.

    Args:
        source: a folder, a table (CSV, TSV, JSON lines, Parquet), a shard or a pattern: path or URL.

    Raises:
        CatalogueError: there is no such source, or it is empty.
        ConfigError, MissingExtra: as `file_system`.
    """
    system, root = file_system(source)
    location = full_url(system, root)
    suffix = _suffix(root)
    if suffix in TABLE_SUFFIXES | {".tar"} and system.isfile(root):
        if suffix == ".tar" or (suffix in PARQUET and _is_shard(system, root)):
            return _shards(location, [root], lambda _: source, system)
        return Source(location, "table", lambda: _table_rows(source, system, root))
    if system.isdir(root):
        start = len(root.rstrip("/"))
        paths = _below(root) if is_local(system) else _not_in_hidden(system.find(root), start)
        return _files(source, location, paths, lambda path: source.rstrip("/") + path[start:], system)
    if glob.has_magic(root):
        return _files(source, location, system.glob(root), lambda path: full_url(system, path), system)
    raise CatalogueError(f"no such source: {source!r}; use a folder, a table, or shards (.tar, .parquet)")


def _below(folder: str) -> Iterator[str]:
    """Files at any depth but in hidden folders; a listing by fsspec would keep a dictionary of each."""

    def rejected(error: OSError) -> None:
        raise CatalogueError(f"cannot list {error.filename!r}: {error.strerror}; check its permissions") from error

    for where, folders, names in os.walk(folder, onerror=rejected):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (f"{where.rstrip('/')}/{name}" for name in names)


def _not_in_hidden(paths: Iterable[str], start: int) -> Iterator[str]:
    """Files that are not in a hidden folder below the first `start` letters."""
    return (path for path in paths if "/." not in path[start:].rsplit("/", 1)[0])


def _files(source: str, location: str, paths: Iterable[str], name: Callable[[str], str], system: Any) -> Source:
    """A folder's or a pattern's files: posters or shards, never both."""
    kinds, left_out = defaultdict(list), defaultdict(list)
    paths = sorted(paths)
    for path in paths:
        file = path.rsplit("/", 1)[-1]
        kinds["hidden" if file.startswith(".") else "image" if is_image(file) else _suffix(path)].append(path)
    images, shards = kinds["image"], kinds[".tar"] or kinds[".parquet"] + kinds[".pq"]
    if images and kinds[".tar"]:
        raise CatalogueError(f"{source!r} contains both posters and shards; pass one kind, such as '{source}/*.tar'")
    if not images and not shards:
        raise CatalogueError(f"no poster and no shard in {source!r}; looked for images, .tar and .parquet")
    used = set(images or shards)
    for path in (path for path in paths if path not in used):
        left_out[reason_left_out(path.rsplit("/", 1)[-1]) if images else "beside the shards"].append(name(path))
    if not images:
        return _shards(location, shards, name, system, left_out)
    listing = lambda: (Listed(name(path), full_url(system, path)) for path in images)  # noqa: E731
    return Source(location, "folder", listing, left_out)


def _shards(
    location: str,
    paths: list[str],
    name: Callable[[str], str],
    system: Any,
    left_out: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Source:
    return Source(
        location,
        "tar" if _suffix(paths[0]) == ".tar" else "parquet",
        lambda: (Listed(name(path), full_url(system, path), system.size(path) or 0) for path in paths),
        left_out,
    )


def _is_shard(system: Any, path: str) -> bool:
    """Whether a Parquet file holds images; else it is a table of paths."""
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="batch")
    try:
        with system.open(path, "rb") as file:
            shard_columns(parquet.read_schema(file), path)
    except CatalogueError:
        return False
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise CatalogueError(f"{path!r} is no readable Parquet file; write it again") from error
    return True


def _table_rows(source: str, system: Any, path: str) -> Iterator[Listed]:
    """Each row's poster: a URL, or a path from the table's folder."""
    base = full_url(system, path.rsplit("/", 1)[0])
    for written in _parquet_column(system, path) if _suffix(path) in PARQUET else _column(source, system, path):
        relative = written and "://" not in written and not os.path.isabs(written)  # noqa: PTH117 - also of URLs
        yield Listed(written, f"{base}/{written}" if relative else written)


def _column(source: str, system: Any, path: str) -> Iterator[str]:
    if is_local(system):
        table = read_table(Path(path))
    else:
        with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
            copy = Path(folder) / path.rsplit("/", 1)[-1].split("?")[0]
            system.get_file(path, str(copy))
            table = read_table(copy)
    column = _poster_column(source, table)
    yield from (raw_text(row[column]) for row in table.rows)
    yield from (
        f"{source}: {problem}" for problem in table.bad
    )  # a row that cannot be read becomes a row with an error


def _parquet_column(system: Any, path: str) -> Iterator[str]:
    """The column with the posters, a few rows at a time."""
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="batch")
    with system.open(path, "rb") as opened:
        file = parquet.ParquetFile(opened)
        head = next(file.iter_batches(batch_size=50), None)
        if head is None:
            return
        rows: list[Sequence[object]] = [list(row.values()) for row in head.to_pylist()]
        name = head.schema.names[_poster_column(path, Table(Path(path), tuple(head.schema.names), rows))]
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[name]):
            yield from map(raw_text, batch.column(0).to_pylist())


def _poster_column(source: str, table: Table) -> int:
    if any(map(is_image, table.columns)):
        raise CatalogueError(f"{source!r} has no header; add the first line 'path'")
    columns = [0] if len(table.columns) == 1 else poster_columns(table)
    if not columns:
        raise CatalogueError(
            f"no column of {source!r} has posters; got {', '.join(table.columns)}; name the column 'path'"
        )
    return columns[0]


def _suffix(path: str) -> str:
    return os.path.splitext(path.split("?")[0] if "://" in path else path)[1].lower()  # noqa: PTH122 - also of URLs
