"""The journal of a packed store: how a pack that is interrupted, even killed, resumes.

A first line with the fingerprint, then a line for each chunk, written after the chunk's pixels are on the disk. Pixels
are written with `pwritev`, not through a memory map, so that memory stays flat.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onesheet.data.catalogue import Film
from onesheet.errors import PackError
from onesheet.files import whole_records
from onesheet.images import Resize, Size

if TYPE_CHECKING:
    from onesheet.packed.splitting import Split

PROTOCOL = 1
JOURNAL = "journal.jsonl"

Failure = tuple[int, str, str]
"""Index of a film whose poster could not be decoded, its flag, and the message."""


_FILM_COLUMNS = tuple(field.name for field in fields(Film) if field.name not in ("split", "unknown"))
COLUMNS = {*_FILM_COLUMNS, "part", "crc32"}  # of a store's films.jsonl; part = split in protocol 1


def film_record(film: Film) -> dict[str, Any]:
    """A film as plain values; `dataclasses.asdict` would copy deeply, ten times slower."""
    record = {name: getattr(film, name) for name in _FILM_COLUMNS}
    return record | {"unknown": sorted(film.unknown)} if film.unknown else record


class PackOrder:
    """What is to be packed."""

    def __init__(self, split: Split, size: Size, resize: Resize) -> None:
        self.films = split.catalogue.films
        self.genres = split.catalogue.genres.names
        self.understood = split.catalogue.understood
        self.splits = split.splits
        self.size = size
        self.resize: Resize = resize
        self.poster_bytes = size[0] * size[1] * 3
        self.header_bytes = len(self.header(0))
        digest = hashlib.sha256(json.dumps([PROTOCOL, self.genres, list(size), resize]).encode())
        for film, split in zip(self.films, self.splits, strict=True):
            digest.update(json.dumps(film_record(film) | {"part": str(split)}).encode())
        self.fingerprint = digest.hexdigest()

    def header(self, rows: int) -> bytes:
        """The head of a .npy file; equally long for any number of rows, so that it can be rewritten."""
        file = io.BytesIO()
        shape = (rows, *self.size, 3)
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return file.getvalue()


class Journal:
    """`posters.npy` while it grows, and the record of what has safely reached it.

    Attributes:
        done: films dealt with.
        checksums: CRC-32 of each row so far.
        kept: index of the film of each row so far.
        failed: [index of the film, flag, message] of each poster that could not be decoded.
    """

    def __init__(self, folder: Path, order: PackOrder) -> None:
        self.path = folder / JOURNAL
        self.posters_path = folder / "posters.npy"
        self.order = order
        self.done = 0
        self.checksums: list[int] = []
        self.kept: list[int] = []
        self.failed: list[Failure] = []
        self._checksums: list[int] = []
        self._failed: list[Failure] = []

    def __enter__(self) -> Journal:
        """Begin, or resume.

        Raises:
            PackError: the folder has no unfinished pack, or a damaged one.
        """
        if self.posters_path.exists() and not self.path.exists():
            raise PackError(
                f"{str(self.posters_path)!r} exists and is not from an unfinished pack; choose another folder"
            )
        resumed = self._resume()
        self.lines: IO[bytes] = self.path.open("r+b" if resumed else "w+b")
        if resumed:
            self.lines.seek(resumed)
            self.lines.truncate()
        else:
            self._write({"fingerprint": self.order.fingerprint})
        self.pixels: IO[bytes] = self.posters_path.open("r+b" if resumed else "w+b")
        if not resumed:
            self._make_room()
        return self

    def __exit__(self, *_: object) -> None:
        self.pixels.close()
        self.lines.close()

    def _resume(self) -> int:
        """Take over the finished chunks of a journal of this very order; returns how many of its bytes are good.

        Raises:
            PackError: a line of it, other than a last one cut short, is not what a pack writes.
        """
        if not self.path.exists() or not self.posters_path.exists():
            return 0
        good = 0
        try:
            for number, (record, end) in enumerate(whole_records(self.path)):
                if number:
                    self._take(record)
                elif record.get("fingerprint") != self.order.fingerprint:
                    return 0
                good = end
        except (KeyError, TypeError, ValueError) as error:
            raise PackError(f"{str(self.path)!r} is damaged; delete the folder and pack again") from error
        if self.posters_path.stat().st_size < self._offset(len(self.kept)):
            self.done, self.checksums, self.kept, self.failed = 0, [], [], []
            return 0
        return good

    def _take(self, record: dict[str, Any]) -> None:
        failed = [(int(index), str(flag), str(message)) for index, flag, message in record["failed"]]
        done, checksums = range(self.done, record["done"]), list(map(int, record["crc32"]))
        lost = {index for index, _, _ in failed}
        self.kept += [index for index in done if index not in lost]
        self.checksums += checksums
        self.failed += failed
        self.done = done.stop

    def _write(self, record: dict[str, Any]) -> None:
        self.lines.write(json.dumps(record).encode() + b"\n")
        self.lines.flush()
        os.fsync(self.lines.fileno())

    def _offset(self, rows: int) -> int:
        return self.order.header_bytes + rows * self.order.poster_bytes

    def _make_room(self) -> None:
        """Claim the whole file at once: a full disk is met now, not after an hour."""
        total = self._offset(len(self.order.films))
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.pixels.fileno(), 0, total)
            else:
                self.pixels.truncate(total)
        except OSError:
            self.discard()
            raise
        _write_at(self.pixels, [self.order.header(len(self.order.films))], 0)

    def add(self, pixels: list[NDArray[np.uint8]], checksums: list[int], failed: list[Failure]) -> None:
        """Write the pixels of the next posters; permanent only after `commit`."""
        start = len(self.kept) + len(self._checksums)
        _write_at(self.pixels, pixels, self._offset(start))
        self._checksums += checksums
        self._failed += failed

    def commit(self, done: int) -> None:
        """Make what was added permanent, up to film `done`: the pixels first, then a line."""
        os.fsync(self.pixels.fileno())
        with suppress(AttributeError, OSError):  # the next chunk takes the memory of what is on the disk
            os.posix_fadvise(self.pixels.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        record = {"done": done, "crc32": self._checksums, "failed": self._failed}
        self._write(record)
        self._take(record)
        self._checksums, self._failed = [], []

    def close_posters(self) -> None:
        """Give `posters.npy` its final length and header."""
        self.pixels.truncate(self._offset(len(self.kept)))
        _write_at(self.pixels, [self.order.header(len(self.kept))], 0)
        os.fsync(self.pixels.fileno())

    def discard(self) -> None:
        """Leave nothing behind."""
        self.posters_path.unlink()
        self.path.unlink()


def _write_at(file: IO[bytes], blocks: Sequence[NDArray[np.uint8] | bytes], offset: int) -> None:
    """Write blocks one behind the other, in one call where the disk takes them all."""
    if not hasattr(os, "pwritev"):  # Windows
        file.seek(offset)
        file.writelines(blocks)  # type: ignore[arg-type]  # as below
        file.flush()
        return
    views = [memoryview(block).cast("B") for block in blocks]  # type: ignore[arg-type]  # NumPy's arrays are buffers
    while views:
        written = os.pwritev(file.fileno(), views, offset)
        offset += written
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]
