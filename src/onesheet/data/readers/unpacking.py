"""Posters that are not files of their own (in Parquet, tar or HDF5) are unpacked once, into a folder that is kept.

It is in `$XDG_CACHE_HOME/onesheet` (by default `~/.cache/onesheet`), is a catalogue like any other (`films.jsonl`
and `posters/`), and may be deleted at any time: the next reading makes it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from onesheet.data.poster_folders import image_suffix
from onesheet.data.readers.source import Source
from onesheet.data.tables import read_table
from onesheet.errors import CatalogueError

_PROTOCOL = "2"
_FILMS = "films.jsonl"

Unpacked = tuple[Mapping[str, object], bytes | None]
"""A row's cells by heading, and the bytes of its poster's file."""


def identity(paths: Iterable[Path]) -> list[str]:
    """What tells whether files have changed: their places, sizes and times."""
    found = []
    for path in paths:
        stat = path.stat()
        found.append(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
    return found


def unpack(name: str, identity: Sequence[str], rows: Callable[[], Iterator[Unpacked]]) -> Source:
    """Rows to a folder of posters and a table of the same columns; only read where it is there already.

    Args:
        name: the source's name.
        identity: what the rows depend on; anything else is unpacked elsewhere.
        rows: called if they are not unpacked yet.

    Raises:
        CatalogueError: the folder cannot be written. Whatever `rows` raises.
    """
    key = hashlib.sha256("\n".join((_PROTOCOL, *identity)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    base = cache_folder()
    folder = base / key
    if not folder.exists():
        try:
            base.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=base, prefix=f"{key}.part-"))
            try:
                _write(part, rows())
                _place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            raise CatalogueError(
                f"cannot unpack the posters of {name!r} into {str(base)!r}: {error.strerror or error}; "
                "set XDG_CACHE_HOME to a folder with room"
            ) from error
    return Source(name, (read_table(folder / _FILMS),), folder=folder)


def cache_folder() -> Path:
    """The folder of unpacked posters; it need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onesheet"


def _write(folder: Path, rows: Iterator[Unpacked]) -> None:
    (folder / "posters").mkdir()
    with (folder / _FILMS).open("w", encoding="utf-8", errors="surrogateescape") as table:
        for number, (record, image) in enumerate(rows, 1):
            poster = {}
            if image is not None:
                poster = {"poster": f"posters/{number:07d}{image_suffix(image) or '.jpg'}"}
                (folder / poster["poster"]).write_bytes(image)
            table.write(json.dumps({**record, **poster}, default=str) + "\n")


def _place(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another process was faster
            raise
