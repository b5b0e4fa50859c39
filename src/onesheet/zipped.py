"""Files inside of zip files, named as if the zip file were a folder ("posters.zip/tt0086425.jpg"); never extracted."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

MAX_MEMBER_BYTES = 64_000_000  # no poster has more


def open_file(path: str | Path) -> io.BufferedReader | io.BytesIO:
    """Open a file, or one in a zip file, which is read into memory.

    Raises:
        OSError: it is not there, cannot be read, is encrypted, or unpacks to more than `MAX_MEMBER_BYTES`.
    """
    try:
        return Path(path).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        archive = zip_of(path)
        if archive is None:
            raise
    name = Path(path).relative_to(archive).as_posix()
    try:
        with _opened(archive).open(name) as file:
            data = file.read(MAX_MEMBER_BYTES + 1)
    except KeyError:
        raise FileNotFoundError(f"{archive.name} has no {name!r}") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise OSError(f"{archive.name}: {error}") from error
    if len(data) > MAX_MEMBER_BYTES:
        raise OSError(f"{name!r} in {archive.name} unpacks to more than {MAX_MEMBER_BYTES:,} bytes")
    return io.BytesIO(data)


def zip_of(path: str | Path) -> Path | None:
    """The zip file that a path is, or leads into; None where there is none.

    Example:
        >>> zip_of("no/such.zip/a.jpg") is None
        True
    """
    if ".zip" not in os.fspath(path).lower():
        return None
    places = (place for place in (Path(path), *Path(path).parents) if place.suffix.lower() == ".zip")
    return next((place for place in places if place.is_file()), None)


def names_in(archive: Path) -> list[str]:
    """The names of the files in a zip file; none where it is damaged.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return [one.filename for one in _opened(archive).infolist() if not one.is_dir()]
    except zipfile.BadZipFile:
        return []


def _opened(archive: Path) -> zipfile.ZipFile:
    found = archive.stat()
    return _kept_open(str(archive), found.st_size, found.st_mtime_ns, os.getpid())


@lru_cache(maxsize=8)
def _kept_open(archive: str, size: int, changed: int, process: int) -> zipfile.ZipFile:
    """Its list of files is long; threads may share it, processes may not."""
    return zipfile.ZipFile(archive)
