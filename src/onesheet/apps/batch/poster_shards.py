"""Read shards: many posters in one file, a tar as of WebDataset or Parquet with a column of image bytes.

A shard that is damaged in the middle yields the posters before the damage, then a row with the error.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import Any

from onesheet.apps.batch.storage import Entry, file_system
from onesheet.data.columns import IDS, POSTERS, plain
from onesheet.data.poster_folders import is_image
from onesheet.data.readers.shards import TAR_DAMAGE, image_columns, tar_members
from onesheet.errors import CatalogueError, OnesheetError, require
from onesheet.formats import MAX_BYTES

IMAGES = ("image", "poster", "img", "jpg", "jpeg", "png", "webp", "bytes", "content", "data")
NAMES = (*POSTERS, "key", "name", *IDS)
ROWS_AT_ONCE = 64


def read_shard(path: str, location: str, kind: str) -> Iterator[Entry]:
    """The posters of a shard, in order; a path is the shard's path and the poster's name in it.

    Args:
        path: the shard, as in the results.
        location: its path or URL.
        kind: "tar" or "parquet".

    Raises:
        OnesheetError: it cannot be read; another try may succeed.
    """
    system, where = file_system(location)
    try:
        with system.open(where, "rb") as file:
            yield from _tar_entries(path, file) if kind == "tar" else _parquet_entries(path, file)
    except FileNotFoundError:
        yield Entry(path, error=f"cannot read {path!r}: no such file; check the path")
    except OSError as error:
        raise OnesheetError(f"cannot read {path!r}: {error}; run the same command again") from error


def _tar_entries(path: str, file: Any) -> Iterator[Entry]:
    end = 0
    try:
        furthest = file.seek(0, os.SEEK_END) + tarfile.BLOCKSIZE
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in tar_members(archive, end=furthest):
                if is_image(member.name.rsplit("/", 1)[-1]) and not member.isdir():
                    yield _tar_entry(path, archive, member)
            end = archive.offset
        file.seek(end)
        whole = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)  # tarfile ignores a truncated header
        why = "" if whole else "its end is missing"
    except TAR_DAMAGE as error:
        why = str(error) or "it is damaged"
    if why:
        yield Entry(path, error=f"cannot read all of {path!r}: {why}; copy it again")


def _tar_entry(path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    name = f"{path}/{member.name}"
    if not member.isreg():
        return Entry(name, error=f"cannot read {name!r}: it is not a regular file; pack the file itself")
    if member.size > MAX_BYTES:
        return Entry(name, error=f"cannot read {name!r}: more than {MAX_BYTES:,} bytes; scale the poster down")
    content = archive.extractfile(member)
    return Entry(name, content=content.read() if content else b"")


def _parquet_entries(path: str, file: Any) -> Iterator[Entry]:
    arrow = require("pyarrow", purpose="reading Parquet", extra="parquet")
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    try:
        shard = parquet.ParquetFile(file)
        image, name = shard_columns(shard.schema_arrow, path)
        columns = [image] if name is None else [image, name]
        number = 0
        for batch in shard.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                yield _parquet_entry(path, number, row[image], row.get(name) if name else None)
                number += 1
    except (arrow.ArrowException, CatalogueError, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise  # from the file system; pyarrow's own errors have no number
        why = next(iter(str(error).splitlines()), "it is damaged")
        yield Entry(path, error=f"cannot read all of {path!r}: {why}; write it again")


def _parquet_entry(path: str, number: int, image: Any, name: Any) -> Entry:
    if isinstance(image, dict):
        image, name = image["bytes"], image.get("path") or name
    name = f"{path}/{number if name is None else name}"
    return (
        Entry(name, content=image)
        if image
        else Entry(name, error=f"cannot read {name!r}: the row has no bytes; add the image file")
    )


def shard_columns(schema: Any, path: str) -> tuple[str, str | None]:
    """The column of image bytes (binary, or a struct with `bytes`), and the column of names or None.

    Raises:
        CatalogueError: no column has bytes, or several have and none has a usual name.
    """
    images = {plain(name): name for name in image_columns(schema)}
    texts = {plain(name): name for name in schema.names if name not in images.values()}
    image = next((images[name] for name in IMAGES if name in images), None)
    if image is None and len(images) == 1:
        image = next(iter(images.values()))
    if image is None:
        raise CatalogueError(
            f"{path!r} has {'several columns' if images else 'no column'} of bytes; got "
            f"{', '.join(schema.names)}; name the column with image files 'image'"
        )
    return image, next((texts[name] for name in NAMES if name in texts), None)
