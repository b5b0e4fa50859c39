"""Files on any fsspec file system: read posters, and write files atomically."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError, MissingExtra, OnesheetError, UnreadablePoster, install, require
from onesheet.files import cannot_write, whole_file
from onesheet.formats import MAX_BYTES

ATOMIC = frozenset({"s3", "gs", "abfs"})  # stores in which an upload appears only when complete
RETRY_SECONDS = 1.0
_EXTRAS = ("s3", "gs")


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the absolute path on it.

    Raises:
        MissingExtra: the package for this kind of URL is not installed.
        ConfigError: unknown kind of URL.
    """
    fsspec = require("fsspec", purpose="batch", extra="batch")
    if "://" not in url:
        return fsspec.filesystem("file"), os.path.abspath(url)  # noqa: PTH100 - keeps links as they are
    kind = url.split("://")[0]
    try:
        system, path = fsspec.url_to_fs(url)
    except ImportError as error:
        cure = install(kind) if kind in _EXTRAS else str(error)
        raise MissingExtra(f"reading {kind}:// needs another package; {cure}") from error
    except ValueError as error:
        raise ConfigError(f"cannot read {url!r}: {error}; use a path or a URL that fsspec knows") from error
    return system, str(path)


def is_local(system: Any) -> bool:
    """Whether a file system is this machine's."""
    return "file" in _protocols(system)


def full_url(system: Any, path: str) -> str:
    """A URL that `file_system` reads as the same file; a plain path if it is local."""
    return path if is_local(system) else str(system.unstrip_protocol(path))


def fetch(location: str) -> str | bytes:
    """A poster's path if the file is local, else its bytes; a failed download is tried twice.

    Raises:
        UnreadablePoster: no such file, or it cannot be fetched.
        MissingExtra: a package that reads this kind of URL is not installed.
    """
    if "://" not in location:
        return location
    if "::" in location:  # fsspec would open one URL inside another, and some kinds run code
        raise UnreadablePoster(f"cannot read {location!r}: it is a chain of URLs; use a plain one", reason="unreadable")
    try:
        system, path = file_system(location)
    except ConfigError as error:
        raise UnreadablePoster(str(error), reason="unreadable") from error
    if is_local(system):
        return path
    try:
        return _downloaded(system, path)
    except UnreadablePoster:
        raise
    except FileNotFoundError as error:
        raise UnreadablePoster(f"cannot read {location!r}: no such file; check the path", reason="missing") from error
    except Exception as error:  # each file system has its own exceptions
        why = " ".join(str(error).split()) or type(error).__name__
        raise UnreadablePoster(
            f"cannot read {location!r}: {why}; check that it can be fetched", reason="unreadable"
        ) from error


def _downloaded(system: Any, path: str) -> bytes:
    try:
        return _read(system, path)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # aiohttp's and botocore's are no OSError
        if not isinstance(error, OSError) and getattr(error, "status", 0) < 500:
            raise
    time.sleep(RETRY_SECONDS)
    return _read(system, path)


def _read(system: Any, path: str) -> bytes:
    # over HTTP as one stream: fsspec would request the size first, and report any failure as a missing file
    options = {"block_size": 0, "size": 1} if "http" in _protocols(system) else {}
    data = bytearray()
    with system.open(path, "rb", **options) as file:
        while len(data) <= MAX_BYTES and (read := file.read(MAX_BYTES + 1 - len(data))):
            data += read
    if len(data) > MAX_BYTES:
        raise UnreadablePoster(
            f"cannot read {path!r}: more than {MAX_BYTES:,} bytes; scale the poster down", reason="too-large"
        )
    return bytes(data)


class Place:
    """A folder on any fsspec file system, with atomic writes.

    Attributes:
        url: its path or URL, absolute.
    """

    def __init__(self, url: str) -> None:
        self._system, self._root = file_system(url)
        self.url = full_url(self._system, self._root)
        self.local = is_local(self._system)

    def names(self) -> set[str]:
        """Names of the files and folders in it; empty if it does not exist."""
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._root, detail=False)
        except FileNotFoundError:
            return set()
        return {str(path).rstrip("/").rsplit("/", 1)[-1] for path in found}

    def open(self, name: str) -> Any:
        """Open a file in it for reading bytes.

        Raises:
            FileNotFoundError: there is no such file.
            OnesheetError: the folder is a file.
        """
        try:
            return self._system.open(self._path(name), "rb")
        except NotADirectoryError as error:
            raise cannot_write(self.url, error) from error

    def sweep(self) -> None:
        """Remove temporary files of killed writers; call it only when no writer is running."""
        for path in self._system.find(self._root):
            if path.endswith(".part"):
                self._system.rm_file(path)

    @contextmanager
    def whole(self, name: str) -> Iterator[Path]:
        """Yield a local path to write to; when the block ends without an error, it becomes the file.

        Raises:
            OnesheetError: it cannot be written.
        """
        if self.local:
            with whole_file(self._path(name)) as part:
                yield part
            return
        with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
            part = Path(folder) / "file"
            yield part
            try:
                self._upload(part, self._path(name))
            except OSError as error:
                raise OnesheetError(
                    f"cannot write {name!r} in {self.url!r}: {error}; run the same command again"
                ) from error

    def _upload(self, part: Path, path: str) -> None:
        if ATOMIC & _protocols(self._system):
            self._system.put_file(str(part), path)
            return
        half = f"{path}.{secrets.token_hex(4)}.part"
        self._system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self._system.put_file(str(part), half)
        self._system.mv(half, path)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _protocols(system: Any) -> set[str]:
    return {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)


@dataclass(frozen=True, slots=True)
class Entry:
    """One poster, or why it cannot be read; its `str` is its path.

    Attributes:
        path: as in the results.
        content: a path or URL, or the bytes of an image file.
        error: why there is no poster; "" if there is one.
    """

    path: str
    content: str | bytes = b""
    error: str = ""

    def __str__(self) -> str:
        return self.path

    def read(self) -> str | bytes:
        """The poster's bytes, or the path of a local file.

        Raises:
            UnreadablePoster: there is no poster, or it cannot be fetched.
        """
        if self.error:
            raise UnreadablePoster(self.error, reason="unreadable")
        return fetch(self.content) if isinstance(self.content, str) else self.content
