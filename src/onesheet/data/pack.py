"""The packed store: every poster decoded once, into one memory-mapped array.

A folder with

- `posters.npy`: uint8 N×H×W×3, RGB; `numpy.load` opens it anywhere;
- `films.jsonl`: one film a line, in row order, with its part and the CRC-32 of its pixels;
- `findings.csv`: the posters that could not be decoded; their films have no row;
- `manifest.json`, written last: without it the store is unfinished;
- `journal.jsonl`, only while it is unfinished: a line for each chunk of posters whose pixels are on the disk, so that
  the same call goes on where an interrupted one stopped.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from array import array
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onesheet.data.catalogue import Film
from onesheet.data.findings import Finding, Findings
from onesheet.data.journal import PROTOCOL, Failure, Journal, PackOrder, film_record
from onesheet.errors import CatalogueError, ConfigError, PackError, UnreadablePoster
from onesheet.files import cannot_write, read_json, sole_use, whole_file, write_text
from onesheet.genres import GenreSet
from onesheet.images import RESIZES, Resize, Size, read_poster
from onesheet.progress import Progress, silent
from onesheet.threads import in_order, thread_count

if TYPE_CHECKING:
    from onesheet.data.split import Split

CHUNK = 256
_SLAB = 16  # posters a thread decodes at a time
_BYTES_AHEAD = 64 << 20


@dataclass(frozen=True, eq=False)
class Packed:
    """An open packed store. Sent to another process it travels as its folder, not as its pixels.

    Attributes:
        folder: where it stands.
        posters: uint8 N×H×W×3, RGB, memory-mapped, read-only.
        films: the film of each row.
        genres: in column order.
        parts: "train", "validation" or "test", one a row.
        size: height and width in pixels.
        resize: "stretch" or "pad".
        findings: the posters that could not be decoded and have no row.
        fingerprint: SHA-256 (hex) over films, genres, parts, size and resize as asked for.
        checksums: CRC-32 of each row's pixels, uint32 N.
    """

    folder: Path
    posters: NDArray[np.uint8]
    films: tuple[Film, ...]
    genres: GenreSet
    parts: NDArray[np.str_]
    size: Size
    resize: Resize
    findings: Findings
    fingerprint: str
    checksums: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.films)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_packed, (self.folder,)

    @cached_property
    def labels(self) -> NDArray[np.bool_]:
        """The truth, bool N×G, read-only."""
        labels = self.genres.encode([film.genres for film in self.films])
        labels.flags.writeable = False
        return labels

    def rows(self, part: str) -> NDArray[np.int64]:
        """The rows of a part, in order, int64."""
        return np.flatnonzero(self.parts == part)

    def verify(self, *, progress: Progress = silent) -> None:
        """Read every poster and compare its checksum.

        Raises:
            PackError: pixels have changed since they were packed.
        """
        damaged = []
        for row, checksum in enumerate(self.checksums):
            if zlib.crc32(self.posters[row]) != checksum:
                damaged.append(self.films[row].film_id)
            if row % CHUNK == CHUNK - 1 or row == len(self) - 1:
                progress("verify", row + 1, len(self))
        if damaged:
            raise PackError(
                f"{len(damaged)} posters of {str(self.folder)!r} are damaged, first {damaged[0]!r}; "
                "delete the folder and pack again"
            )


def pack(
    split: Split,
    folder: str | Path,
    *,
    size: Size = (224, 160),
    resize: Resize = "stretch",
    threads: int | None = None,
    progress: Progress = silent,
) -> Packed:
    """Decode and resize every poster into a packed store; go on where an interrupted call stopped.

    A finished store of the same films, genres, parts, size and resize is opened as it is. Memory does not grow with
    the catalogue; the result does not depend on the number of threads.

    Args:
        split: films, genres and parts.
        folder: where the store stands or shall stand.
        size: height and width in pixels, 1..2048 each.
        resize: "stretch" or "pad".
        threads: decoding threads; None = one for each processor.
        progress: told of every slab of posters.

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
                _finish(folder, order, journal)
        except OSError as error:
            raise cannot_write(folder, error) from error
    return open_packed(folder)


def _finished(folder: Path, order: PackOrder) -> Packed | None:
    """The store in the folder, if it is finished.

    Raises:
        PackError: it is not the one asked for.
    """
    if not (folder / "manifest.json").exists():
        return None
    packed = open_packed(folder)
    if packed.fingerprint != order.fingerprint:
        raise PackError(
            f"{str(folder)!r} holds a packed store of other films or settings; choose another folder or delete this one"
        )
    with suppress(OSError):  # killed between the manifest and this; a store that cannot be written keeps it
        (folder / "journal.jsonl").unlink(missing_ok=True)
    return packed


def open_packed(folder: str | Path) -> Packed:
    """Open a packed store.

    Raises:
        PackError: there is none, it is unfinished, damaged, or of a newer protocol.
    """
    folder = Path(folder)
    try:
        manifest = read_json(folder / "manifest.json")
    except (FileNotFoundError, NotADirectoryError):
        unfinished = (folder / "journal.jsonl").exists()
        why = "an unfinished packed store; run the same pack again" if unfinished else "no packed store; pack one"
        raise PackError(f"{str(folder)!r} is {why}: onesheet pack CATALOGUE --out FOLDER") from None
    except (OSError, ValueError) as error:
        raise PackError(f"cannot read the manifest of {str(folder)!r}: {error}; delete it and pack again") from error
    try:
        if manifest["protocol"] > PROTOCOL:
            raise PackError(
                f"{str(folder)!r} has protocol {manifest['protocol']}, newer than {PROTOCOL}; update onesheet"
            )
        return _read(folder, manifest)
    except (OSError, KeyError, TypeError, ValueError, RecursionError, CatalogueError) as error:
        why = " ".join(str(error).split())
        raise PackError(f"the packed store {str(folder)!r} is damaged ({why}); delete it and pack again") from error


def _read(folder: Path, manifest: dict[str, Any]) -> Packed:
    films, parts, checksums = _read_films(folder / "films.jsonl", manifest["films_sha256"])
    posters = np.load(folder / "posters.npy", mmap_mode="r", allow_pickle=False)
    size: Size = (manifest["size"][0], manifest["size"][1])
    if posters.shape != (len(films), *size, 3) or posters.dtype != np.uint8:
        raise ValueError(f"posters.npy is {posters.dtype} {posters.shape}")
    return Packed(
        folder=folder,
        posters=posters,
        films=films,
        genres=GenreSet(manifest["genres"]),
        parts=parts,
        size=size,
        resize=manifest["resize"],
        findings=Findings.read_csv(folder / "findings.csv"),
        fingerprint=manifest["fingerprint"],
        checksums=checksums,
    )


def _read_films(path: Path, sha256: str) -> tuple[tuple[Film, ...], NDArray[np.str_], NDArray[np.uint32]]:
    """Films, parts and checksums, line by line; equal genres are one tuple: memory is that of the films alone."""
    digest, films, checksums = hashlib.sha256(), [], array("Q")
    parts: list[str] = []
    genres: dict[tuple[str, ...], tuple[str, ...]] = {}
    with path.open("rb") as file:
        for line in file:
            digest.update(line)
            record = json.loads(line)
            parts.append(sys.intern(record.pop("part")))
            checksums.append(record.pop("crc32"))
            names = tuple(record["genres"])
            shared = {"genres": genres.setdefault(names, names), "source": sys.intern(record["source"])}
            films.append(Film(**(record | shared)))
    if digest.hexdigest() != sha256:
        raise ValueError("films.jsonl has changed")
    return tuple(films), np.array(parts, dtype=np.str_), np.array(checksums, dtype=np.uint32)


def _decode(order: PackOrder, journal: Journal, threads: int, progress: Progress) -> None:
    """Decode what the journal does not hold yet; threads go on decoding while a chunk is made permanent."""
    total = len(order.films)
    slabs = (range(start, min(start + _SLAB, total)) for start in range(journal.done, total, _SLAB))
    ahead = max(1, min(8, _BYTES_AHEAD // (threads * _SLAB * order.poster_bytes)))
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


def _finish(folder: Path, order: PackOrder, journal: Journal) -> None:
    """Write everything beside the pixels, the manifest last."""
    if len(journal.kept) < 2:
        journal.discard()
        first = f" (first: {journal.failed[0][2]})" if journal.failed else ""
        raise PackError(
            f"{len(journal.kept)} of {len(order.films)} posters can be decoded{first}; at least 2 are needed"
        )
    journal.close_posters()
    digest = hashlib.sha256()
    with whole_file(folder / "films.jsonl") as part, part.open("wb") as file:
        for index, checksum in zip(journal.kept, journal.checksums, strict=True):
            record = film_record(order.films[index]) | {"part": str(order.parts[index]), "crc32": checksum}
            line = json.dumps(record).encode() + b"\n"  # ASCII, so that any file name survives
            digest.update(line)
            file.write(line)
    _findings(order, journal).write_csv(folder / "findings.csv")
    manifest = {
        "protocol": PROTOCOL,
        "library": version("onesheet"),
        "size": order.size,
        "resize": order.resize,
        "genres": order.genres,
        "rows": len(journal.kept),
        "fingerprint": order.fingerprint,
        "films_sha256": digest.hexdigest(),
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    journal.path.unlink()


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
