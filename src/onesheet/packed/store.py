"""The packed store: every poster decoded once, into one memory-mapped array.

A folder with

- `posters.npy`: uint8 N×H×W×3, RGB; `numpy.load` opens it anywhere;
- `films.jsonl`: one film per line, in row order, with its split and the CRC-32 of its pixels;
- `findings.csv`: the posters that could not be decoded; their films have no row;
- `manifest.json`, written last: without it the store is unfinished;
- `journal.jsonl`, only while it is unfinished: a line for each chunk of posters whose pixels are on the disk, so that
  the same call resumes an interrupted one.
"""

from __future__ import annotations

import hashlib
import mmap
import operator
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from onesheet.data.catalogue import Film
from onesheet.data.findings import Findings
from onesheet.data.source_summary import understood_lines
from onesheet.errors import CatalogueError, PackError
from onesheet.files import parse_json, read_json
from onesheet.genres import GenreSet
from onesheet.images import Resize, Size
from onesheet.packed.pack_journal import COLUMNS, JOURNAL, PROTOCOL
from onesheet.progress import Progress, silent

_VERIFIED_AT_ONCE = 256  # posters between two words of progress


@dataclass(frozen=True, eq=False)
class Packed:
    """An open packed store. Sent to another process it travels as its folder, not as its pixels.

    Attributes:
        folder: of the store.
        posters: uint8 N×H×W×3, RGB, memory-mapped, read-only.
        films: the film of each row, read from the disk on access; `films[:]` is the tuple of all.
        labels: the truth, bool N×G, made read-only.
        known: where the truth is known, bool N×G; None where it is known everywhere.
        genres: in column order.
        splits: "train", "validation" or "test", one per row.
        size: height and width in pixels.
        resize: "stretch" or "pad".
        findings: the posters that could not be decoded and have no row.
        fingerprint: SHA-256 (hex) over films, genres, splits, size and resize as requested.
        checksums: CRC-32 of each row's pixels, uint32 N.
        understood: how the catalogue was understood, as `Catalogue.understood`.
    """

    folder: Path
    posters: NDArray[np.uint8]
    films: Sequence[Film]
    labels: NDArray[np.bool_]
    genres: GenreSet
    splits: NDArray[np.str_]
    size: Size
    resize: Resize
    findings: Findings
    fingerprint: str
    checksums: NDArray[np.uint32]
    known: NDArray[np.bool_] | None = None
    understood: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self.films)

    @property
    def truth(self) -> NDArray[np.bool_] | NDArray[np.float32]:
        """The labels, bool N×G; with unknown ones float32 N×G, NaN where a label is unknown."""
        return self.labels if self.known is None else np.where(self.known, self.labels, np.float32(np.nan))

    def known_in(self, rows: NDArray[np.integer]) -> NDArray[np.bool_] | None:
        """Where the truth of some rows is known, bool n×G; None where all of it is."""
        return None if self.known is None else self.known[rows]

    @property
    def understood_lines(self) -> list[str]:
        """How the catalogue was understood, a line per source and one on the genres."""
        return list(understood_lines(self.understood))

    def __repr__(self) -> str:
        height, width = self.size
        return f"<Packed of {self.folder}: {len(self)} posters of {height}×{width} in {len(self.genres)} genres>"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_packed, (self.folder,)

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of a split, in order, int64."""
        return np.flatnonzero(self.splits == split)

    def verify(self, *, progress: Progress = silent) -> None:
        """Read every poster and compare its checksum.

        Raises:
            PackError: pixels have changed since they were packed.
        """
        damaged = []
        for row, checksum in enumerate(self.checksums):
            if zlib.crc32(self.posters[row]) != checksum:
                damaged.append(self.films[row].film_id)
            if row % _VERIFIED_AT_ONCE == _VERIFIED_AT_ONCE - 1 or row == len(self) - 1:
                let_go(self.posters)
                progress("verify", row + 1, len(self))
        if damaged:
            raise PackError(
                f"{len(damaged)} posters of {str(self.folder)!r} are damaged, first {damaged[0]!r}; "
                "delete the folder and pack again"
            )


class FilmLines(Sequence[Film]):
    """The films of a `films.jsonl`, each read on access, so that a million of them take 8 MB.

    Equal to any other sequence of the same films. Sent to another process it travels as its path.

    Args:
        path: the file.
        starts: where each line begins and the last one ends, in bytes, N + 1.
    """

    def __init__(self, path: Path, starts: array[int]) -> None:
        self._path, self._starts = path, starts
        with path.open("rb") as file:
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __reduce__(self) -> tuple[Any, ...]:
        return FilmLines, (self._path, self._starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> Film: ...

    @overload
    def __getitem__(self, row: slice) -> tuple[Film, ...]: ...

    def __getitem__(self, row: int | slice) -> Film | tuple[Film, ...]:
        rows = range(len(self))[row]
        return self._read(rows) if isinstance(rows, int) else tuple(map(self._read, rows))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def _read(self, row: int) -> Film:
        try:
            record = parse_json(self._lines[self._starts[row] : self._starts[row + 1]])
            del record["part"], record["crc32"]
            shared = {"genres": tuple(map(sys.intern, record["genres"])), "source": sys.intern(record["source"])}
            record["unknown"] = frozenset(record.get("unknown", ()))
            return Film(**(record | shared))
        except (KeyError, TypeError, ValueError) as error:
            raise PackError(f"{str(self._path)!r} has changed since it was opened; delete it and pack again") from error


def let_go(array: NDArray[Any]) -> None:
    """Take the pages of a memory-mapped array out of this process, so that it does not grow by all that it reads.

    The system keeps them while it has room. An array that is not mapped stays as it is.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):  # not on Windows
        base.madvise(mmap.MADV_DONTNEED)


def open_packed(folder: str | Path) -> Packed:
    """Open a packed store.

    Raises:
        PackError: there is none, it is unfinished, damaged, or of a newer protocol.
    """
    folder = Path(folder)
    try:
        manifest = read_json(folder / "manifest.json")
    except (FileNotFoundError, NotADirectoryError):
        unfinished = (folder / JOURNAL).exists()
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
    except (OSError, KeyError, TypeError, ValueError, CatalogueError) as error:
        why = " ".join(str(error).split())
        raise PackError(f"the packed store {str(folder)!r} is damaged ({why}); delete it and pack again") from error


def _read(folder: Path, manifest: dict[str, Any]) -> Packed:
    genres = GenreSet(manifest["genres"])
    path = folder / "films.jsonl"
    lines = _read_lines(path, manifest["films_sha256"])
    posters = np.load(folder / "posters.npy", mmap_mode="r", allow_pickle=False)
    size: Size = (manifest["size"][0], manifest["size"][1])
    if posters.shape != (len(lines.genres), *size, 3) or posters.dtype != np.uint8:
        raise ValueError(f"posters.npy is {posters.dtype} {posters.shape}")
    return Packed(
        folder=folder,
        posters=posters,
        films=FilmLines(path, lines.starts),
        labels=genres.encode(lines.genres),
        genres=genres,
        splits=np.array(lines.splits, dtype=np.str_),
        size=size,
        resize=manifest["resize"],
        findings=Findings.read_csv(folder / "findings.csv"),
        fingerprint=manifest["fingerprint"],
        checksums=np.array(lines.checksums, dtype=np.uint32),
        known=known_labels(genres, lines.unknown, len(lines.genres)),
        understood=manifest.get("understood", {}),
    )


def known_labels(genres: GenreSet, unknown: Mapping[int, Iterable[str]], rows: int) -> NDArray[np.bool_] | None:
    """Where the truth is known, bool N×G; None where it is known everywhere.

    Args:
        genres: in column order.
        unknown: row -> the genres that are unknown of its film.
        rows: N.
    """
    if not unknown:
        return None
    known = np.ones((rows, len(genres)), dtype=bool)
    for row, names in unknown.items():
        known[row, [genres.column(name) for name in names]] = False
    return known


class _Lines(NamedTuple):
    """What is kept of `films.jsonl` in memory: where the lines begin and the last one ends, and a value per line."""

    starts: array[int]
    genres: list[tuple[str, ...]]
    splits: list[str]
    checksums: array[int]
    unknown: dict[int, list[str]]


def _read_lines(path: Path, sha256: str) -> _Lines:
    """Read every line once, and reject what was not written by `pack`; equal genres share one tuple."""
    digest, lines = hashlib.sha256(), _Lines(array("Q", [0]), [], [], array("Q"), {})
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    with path.open("rb") as file:
        for line in file:
            digest.update(line)
            record = parse_json(line)
            if not isinstance(record, dict) or record.keys() - {"unknown"} != COLUMNS:
                raise ValueError("films.jsonl has other columns")
            names = tuple(record["genres"])
            lines.starts.append(lines.starts[-1] + len(line))
            lines.genres.append(known.setdefault(names, names))
            lines.splits.append(sys.intern(record["part"]))
            lines.checksums.append(record["crc32"])
            if "unknown" in record:
                lines.unknown[len(lines.genres) - 1] = record["unknown"]
    if digest.hexdigest() != sha256:
        raise ValueError("films.jsonl has changed")
    return lines
