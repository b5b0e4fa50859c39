"""pack: every poster decoded once, into a packed store (`packed.py`)."""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import onesheet
from onesheet.data.findings import Finding, Findings
from onesheet.errors import ConfigError, OnesheetError, PackError, UnreadablePoster
from onesheet.files import LOCK, cannot_write, sole_use, whole_file, write_text
from onesheet.genres import GenreSet
from onesheet.images import RESIZES, Resize, Size, read_poster
from onesheet.packed.pack_journal import JOURNAL, PROTOCOL, Failure, Journal, PackOrder, film_record
from onesheet.packed.store import FilmLines, Packed, known_labels, open_packed
from onesheet.progress import Progress, shown
from onesheet.threads import in_order, thread_count

if TYPE_CHECKING:
    from onesheet.packed.splitting import Split

CHUNK = 256
_SLAB = 16  # posters a thread decodes at a time
_BYTES_AHEAD = 64 << 20


def pack(
    split: Split,
    folder: str | Path,
    *,
    size: Size = (224, 160),
    resize: Resize = "stretch",
    threads: int | None = None,
    progress: Progress = shown,
) -> Packed:
    """Decode and resize every poster into a packed store; resume an interrupted call.

    A finished store of the same films, genres, splits, size and resize is opened as it is. Memory does not grow with
    the catalogue; the result does not depend on the number of threads.

    Args:
        split: films, genres and which split each film is in.
        folder: of the store.
        size: height and width in pixels, 1..2048 each.
        resize: "stretch" or "pad".
        threads: decoding threads; None = one for each processor.
        progress: reports every slab of posters.

    Raises:
        PackError: the folder holds something else, or fewer than 2 posters can be decoded.
        ConfigError: an option out of range.
        OnesheetError: the disk is full, the folder cannot be written, or another process packs into it.
    """
    if resize not in RESIZES:
        raise ConfigError(f"unknown resize {resize!r}; use {' or '.join(RESIZES)}")
    if not all(1 <= pixels <= 2048 for pixels in size):
        raise ConfigError(f"height and width must be 1 to 2048 pixels; got {size[0]} x {size[1]}")
    threads = thread_count(threads)
    folder = Path(folder)
    order = PackOrder(split, size, resize)
    if finished := _finished(folder, order):
        return finished
    with sole_use(folder):
        if finished := _finished(folder, order):  # by another process meanwhile
            return finished
        try:
            with Journal(folder, order) as journal:
                if journal.done < len(order.films):
                    _decode(order, journal, threads, progress)
                return _finish(folder, order, journal)
        except OSError as error:
            raise cannot_write(folder, error) from error


def _finished(folder: Path, order: PackOrder) -> Packed | None:
    """The store in the folder, if it is finished.

    Raises:
        PackError: it is not the requested one.
    """
    if not (folder / "manifest.json").exists():
        return None
    packed = open_packed(folder)
    if packed.fingerprint != order.fingerprint:
        raise PackError(
            f"{str(folder)!r} holds a packed store of other films or settings; choose another folder or delete this one"
        )
    if any((folder / name).exists() for name in (JOURNAL, LOCK)):  # killed after the manifest
        with suppress(OnesheetError), sole_use(folder):  # what cannot be written or is in use keeps them
            (folder / JOURNAL).unlink(missing_ok=True)
    return packed


def _decode(order: PackOrder, journal: Journal, threads: int, progress: Progress) -> None:
    """Decode what the journal does not hold yet; threads continue to decode while a chunk is made permanent."""
    total = len(order.films)
    slabs = (range(start, min(start + _SLAB, total)) for start in range(journal.done, total, _SLAB))
    ahead = max(1, min(4, _BYTES_AHEAD // (threads * _SLAB * order.poster_bytes)))
    results = in_order(lambda slab: _slab(order, slab), slabs, threads=threads, ahead=ahead)
    with closing(results):
        for slab, pixels, checksums, failed in results:
            journal.add(pixels, checksums, failed)
            if slab.stop % CHUNK == 0 or slab.stop == total:
                journal.commit(slab.stop)
            progress("pack", slab.stop, total)


def _slab(order: PackOrder, slab: range) -> tuple[range, list[NDArray[np.uint8]], list[int], list[Failure]]:
    """Decode a few posters, in a thread."""
    pixels, failed = [], []
    for index in slab:
        try:
            pixels.append(read_poster(order.films[index].poster, size=order.size, resize=order.resize))
        except UnreadablePoster as error:
            failed.append((index, error.reason, str(error)))
    return slab, pixels, [zlib.crc32(poster.data) for poster in pixels], failed


def _finish(folder: Path, order: PackOrder, journal: Journal) -> Packed:
    """Write everything beside the pixels, the manifest last; the films are not read again to open the store."""
    if len(journal.kept) < 2:
        journal.discard()
        first = f" (first: {journal.failed[0][2]})" if journal.failed else ""
        raise PackError(
            f"{len(journal.kept)} of {len(order.films)} posters can be decoded{first}; at least 2 are needed"
        )
    journal.close_posters()
    digest, starts = hashlib.sha256(), array("Q", [0])
    with whole_file(folder / "films.jsonl") as part, part.open("wb") as file:
        for index, checksum in zip(journal.kept, journal.checksums, strict=True):
            record = film_record(order.films[index]) | {"part": str(order.splits[index]), "crc32": checksum}
            line = json.dumps(record).encode() + b"\n"  # ASCII, so that any file name survives
            digest.update(line)
            file.write(line)
            starts.append(starts[-1] + len(line))
    findings = _findings(order, journal)
    findings.write_csv(folder / "findings.csv")
    manifest = {
        "protocol": PROTOCOL,
        "library": onesheet.__version__,
        "size": order.size,
        "resize": order.resize,
        "genres": order.genres,
        "rows": len(journal.kept),
        "fingerprint": order.fingerprint,
        "films_sha256": digest.hexdigest(),
        "understood": order.understood,
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    journal.path.unlink(missing_ok=True)  # a disk without locks: another process may have seen the manifest already
    genres = GenreSet(order.genres)
    return Packed(
        folder=folder,
        posters=np.load(folder / "posters.npy", mmap_mode="r", allow_pickle=False),
        films=FilmLines(folder / "films.jsonl", starts),
        labels=genres.encode([order.films[index].genres for index in journal.kept]),
        genres=genres,
        splits=order.splits[journal.kept],
        size=order.size,
        resize=order.resize,
        findings=findings,
        fingerprint=order.fingerprint,
        checksums=np.array(journal.checksums, np.uint32),
        known=known_labels(genres, _unknown(order, journal), len(journal.kept)),
        understood=order.understood,
    )


def _unknown(order: PackOrder, journal: Journal) -> dict[int, frozenset[str]]:
    films = (order.films[index] for index in journal.kept)
    return {row: film.unknown for row, film in enumerate(films) if film.unknown}


def _findings(order: PackOrder, journal: Journal) -> Findings:
    return Findings(
        Finding(
            flag=flag,
            score=1.0,
            film_id=order.films[index].film_id,
            poster=order.films[index].poster,
            detail=message,
            action="left out of the packed store; replace the file and pack into a new folder",
            drops=True,
        )
        for index, flag, message in journal.failed
    )
