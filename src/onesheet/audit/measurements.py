"""Measurements of posters that an audit needs: a few numbers each, so that memory stays flat."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onesheet.audit.perceptual_hashes import THUMBNAIL, grey, perceptual_hash
from onesheet.data.catalogue import Film
from onesheet.errors import UnreadablePoster
from onesheet.images import open_poster
from onesheet.progress import Progress
from onesheet.threads import in_order
from onesheet.zipped import open_file

_BATCH = 16  # posters measured by a thread at a time

_RECORD = np.dtype(
    [
        ("seen", np.bool_),
        ("digest", np.uint64, 2),
        ("hash", np.uint64, 4),
        ("width", np.int32),
        ("height", np.int32),
        ("spread", np.float32),
        ("detail", np.float32),
    ]
)


@dataclass(frozen=True, eq=False)
class Measurements:
    """Measurements of N posters, in the order of the films.

    Attributes:
        seen: whether the poster could be decoded; where not, the other numbers are 0. bool N.
        digest: BLAKE2b of the file, 128 bits, uint64 N×2.
        hash: perceptual hash, uint64 N×4.
        width: pixels, int32 N.
        height: pixels, int32 N.
        spread: largest standard deviation of a colour channel of the 64×64 thumbnail, grey levels, float32 N.
        detail: mean difference between neighbouring pixels of that thumbnail's luma, grey levels, float32 N.
        failures: index of the film, reason and message of each poster that could not be decoded.
    """

    seen: NDArray[np.bool_]
    digest: NDArray[np.uint64]
    hash: NDArray[np.uint64]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    spread: NDArray[np.float32]
    detail: NDArray[np.float32]
    failures: tuple[tuple[int, str, str], ...]


def measure_posters(films: tuple[Film, ...], *, threads: int | None, progress: Progress) -> Measurements:
    """Decode every poster once, in threads, and measure it."""
    table = np.zeros(len(films), _RECORD)
    failures: list[tuple[int, str, str]] = []

    def look(batch: range) -> range:
        for index in batch:
            try:
                table[index] = _look(films[index].poster)
            except UnreadablePoster as error:
                failures.append((index, error.reason, str(error)))
        return batch

    batches = (range(start, min(start + _BATCH, len(films))) for start in range(0, len(films), _BATCH))
    with closing(in_order(look, batches, threads=threads)) as done:
        for batch in done:
            progress("audit", batch.stop, len(films))
    columns = {name: table[name] for name in _RECORD.names or ()}
    return Measurements(**columns, failures=tuple(sorted(failures)))


def _look(path: str) -> tuple[object, ...]:
    poster = open_poster(path, at_least=(THUMBNAIL, THUMBNAIL))
    try:
        with open_file(path) as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise UnreadablePoster(
            f"cannot read {path!r}: {error.strerror or error}; copy it again", reason="unreadable"
        ) from error
    thumbnail = poster.resized((THUMBNAIL, THUMBNAIL))
    luma = grey(thumbnail)
    steps = (np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()) / 2
    return (
        True,
        np.frombuffer(digest, np.uint64),
        perceptual_hash(luma),
        poster.width,
        poster.height,
        thumbnail.reshape(-1, 3).std(axis=0).max(),
        steps,
    )
