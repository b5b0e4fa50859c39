"""Posters inside of Parquet files and of WebDataset's tar files."""

from __future__ import annotations

import math
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from onesheet.data.cells import imdb_id
from onesheet.data.columns import IMDB_IDS, POSTERS, plain
from onesheet.data.own_splits import split_in_name
from onesheet.data.poster_folders import Disk, image_suffix, is_image
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.readers.unpacking import Unpacked, identity, unpack
from onesheet.data.tables import DELIMITED
from onesheet.errors import CatalogueError, require
from onesheet.files import parse_json
from onesheet.formats import MAX_BYTES

_BATCH = 64  # rows read at a time
_TARS = (".tar", ".tar.gz", ".tgz")
TAR_DAMAGE = (tarfile.TarError, EOFError, ValueError, IndexError, OverflowError, RecursionError, MemoryError)
"""What tarfile raises where a file is damaged or made to do harm."""


def _files(path: Path, disk: Disk, suffixes: tuple[str, ...]) -> list[Path]:
    """The path itself, or the files of its folder and below, by suffix; hidden ones left out."""
    if not path.is_dir():
        return [path] if path.name.lower().endswith(suffixes) and path.is_file() else []
    found = ((name, file) for folder in disk.walk(str(path)) for name, file in disk.files(folder).items())
    return [Path(file) for name, file in found if name.lower().endswith(suffixes) and not name.startswith(".")]


def image_columns(schema: Any) -> list[str]:
    """The columns of an Arrow schema that may hold posters: bytes, or a struct of bytes and path."""
    arrow = require("pyarrow", purpose="reading Parquet", extra="parquet")

    def holds_bytes(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    return [
        field.name
        for field in schema
        if holds_bytes(field.type)
        or (arrow.types.is_struct(field.type) and any(f.name == "bytes" and holds_bytes(f.type) for f in field.type))
    ]


def _image_column(schema: Any) -> str | None:
    return min(image_columns(schema), key=lambda name: plain(name) not in POSTERS, default=None)


def arrow_rows(batches: Iterable[Any], column: str, features: Mapping[str, Any]) -> Iterator[Unpacked]:
    """Rows of Arrow batches; numbers that stand for names become names.

    Args:
        batches: Arrow tables or record batches.
        column: the column of posters.
        features: Hugging Face's description of the columns, {} where there is none.
    """
    names = {name: classes for name, feature in features.items() if (classes := _classes(feature))}
    for batch in batches:
        for row in batch.to_pylist():
            image = row.pop(column)
            data, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
            record = {name: _named(value, names[name]) if name in names else value for name, value in row.items()}
            if path and (known := imdb_id(Path(path).stem)) and not any(plain(name) in IMDB_IDS for name in record):
                record["imdb_id"] = known
            yield (record if data or not path else {**record, "poster": path}), data


def _classes(feature: Any) -> list[str]:
    """The names of a ClassLabel, alone or as a list's item; [] for any other feature."""
    while isinstance(feature, dict | list):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif feature.get("_type") == "ClassLabel":
            names = feature.get("names")
            return names if isinstance(names, list) else []
        else:
            feature = feature.get("feature")
    return []


def _features(schema: Any) -> Mapping[str, Any]:
    """Hugging Face's description of the columns, {} where there is none.

    Raises:
        ValueError: it is no JSON.
    """
    found = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
    for part in ("info", "features"):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _with_images(path: Path, disk: Disk) -> list[Path]:
    """Parquet files whose posters are inside; none where the folder has a plain table."""
    if any(Path(name).suffix.lower() in DELIMITED - {".txt"} for name in disk.files(str(path))):
        return []
    files = _files(path, disk, (".parquet", ".pq"))
    return [file for file in files if _first_image(file)]


def _first_image(path: Path) -> bool:
    """Whether the first rows of a file hold a picture; a path in bytes is none."""
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    try:
        file = parquet.ParquetFile(path)
        column = _image_column(file.schema_arrow)
        if column is None:
            return False
        first = next(file.iter_batches(_BATCH, columns=[column]), None)
    except (OSError, ValueError):  # ArrowInvalid is a ValueError; reading the table says what is wrong
        return False
    return first is not None and any(data and image_suffix(data) for _, data in arrow_rows([first], column, {}))


def _parquet_rows(paths: Sequence[Path]) -> Iterator[Unpacked]:
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    for path in paths:
        try:
            file = parquet.ParquetFile(path, memory_map=True)
            column = _image_column(file.schema_arrow)
            split = {"split": found} if (found := split_in_name(path.stem)) else {}
            for record, image in arrow_rows(file.iter_batches(_BATCH), column or "", _features(file.schema_arrow)):
                yield {**split, **record}, image
        except (OSError, ValueError) as error:
            message = str(error).splitlines()[0]
            raise CatalogueError(f"cannot read {str(path)!r}: {message}; download or write it again") from error


def _tar_rows(paths: Sequence[Path]) -> Iterator[Unpacked]:
    """One row for each key, the name up to the first dot of its last part; a key's members are adjacent."""
    for path in paths:
        try:
            with tarfile.open(path) as tar:
                yield from _samples(tar, path.name)
        except (OSError, *TAR_DAMAGE) as error:
            raise CatalogueError(f"cannot read {str(path)!r}: {error}; download or write it again") from error


def tar_members(tar: tarfile.TarFile, *, end: float = math.inf) -> Iterator[tarfile.TarInfo]:
    """What is in a tar file that can be sought in, in its order; memory does not grow with it.

    Args:
        tar: the open file.
        end: where its last member may end, in bytes.

    Raises:
        One of `TAR_DAMAGE`: among others, a length that would bring members again, for ever.
    """
    while member := tar.next():
        tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
        if not member.offset < tar.offset <= end:
            raise tarfile.ReadError(f"{member.name!r} has not the length it says")
        yield member


def _samples(tar: tarfile.TarFile, name: str) -> Iterator[Unpacked]:
    key = ""
    record: dict[str, object] = {}
    image: bytes | None = None
    for member in tar_members(tar):
        folder, _, last = member.name.rpartition("/")
        stem, _, extension = last.partition(".")
        file = tar.extractfile(member) if member.isfile() and stem and extension else None
        if file is None:
            continue
        data = file.read(MAX_BYTES + 1)  # no poster has more: one that does is found too large
        if f"{folder}/{stem}" != key:
            if key:
                yield record, image
            key, record, image = f"{folder}/{stem}", {"id": stem}, None
        if is_image(last):
            image = data
        elif last.endswith(".json"):
            record |= _json_object(data, f"{member.name} in {name}")
        else:
            record[extension] = data.decode("utf-8", "replace").strip()
    if key:
        yield record, image


def _json_object(data: bytes, where: str) -> dict[str, object]:
    try:
        found = parse_json(data)
    except ValueError as error:
        raise CatalogueError(f"{where} is no JSON: {error}; write the tar file again") from error
    if not isinstance(found, dict):
        raise CatalogueError(f"{where} is no JSON object; write the tar file again")
    return found


def _layout(find: Callable[[Path, Disk], list[Path]], rows: Callable[[Sequence[Path]], Iterator[Unpacked]]) -> Layout:
    def read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
        files = find(path, disk)
        return unpack(name_of(path), identity(files), lambda: rows(files))

    return Layout(lambda path, disk: bool(find(path, disk)), read)


PARQUET_SHARDS = _layout(_with_images, _parquet_rows)
WEBDATASET = _layout(lambda path, disk: _files(path, disk, _TARS), _tar_rows)
