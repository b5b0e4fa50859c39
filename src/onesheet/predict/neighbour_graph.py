"""A graph of neighbours (HNSW, Malkov and Yashunin 2020) for more posters than can be searched one by one.

The graph is usearch's, kept beside the index as `graph-<model>.usearch` with a checksum at its end: a damaged one is
made anew, never loaded. It is grown by the posters that are new and freed of those that are gone.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import require
from onesheet.files import whole_file
from onesheet.predict.index_files import BLOCK, File, Stored, saying_the_cure
from onesheet.progress import Progress, silent

EXPANSION = 256  # candidates of a search: more find more, slower; in half precision, so their cosines are taken anew
CHECKSUM_BYTES = 4


class Graph:
    """Says among which rows of an index the nearest are, nearly always rightly.

    Args:
        folder: of the index.
        stored: the index.
        threads: for building.
        progress: reports the posters added.

    Raises:
        MissingExtra: usearch is not installed.
        OnesheetError: the folder cannot be written.
    """

    def __init__(self, folder: Path, stored: Stored, *, threads: int, progress: Progress = silent) -> None:
        keys = _keys(stored.files)
        self._library = require("usearch.index", purpose=f"searching {len(keys):,} posters", extra="similar")
        self._order = np.argsort(keys)
        self._sorted_keys = keys[self._order]
        path = folder / f"graph-{stored.model[:16]}.usearch"
        graph = self._restored(path, view=True)
        gone = np.setdiff1d(graph.keys[:], keys) if graph else keys[:0]
        if graph is None or 2 * len(gone) > len(graph):
            graph, gone = self._library.Index(ndim=stored.embeddings.shape[1], metric="cos", dtype="f16"), keys[:0]
        added = np.flatnonzero(~graph.contains(keys))
        if len(gone) or len(added):
            if len(graph):  # the one in hand is mapped from its file, and cannot change
                graph = self._restored(path, view=False)
                graph.remove(gone)
            for start in range(0, len(added), BLOCK):
                rows = added[start : start + BLOCK]
                graph.add(keys[rows], stored.embeddings[rows], threads=threads)
                progress("graph", start + len(rows), len(added))
            _save(graph, path)
        graph.expansion_search = EXPANSION
        self._graph = graph

    def candidates(self, query: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Rows among which the `count` nearest to an embedding, float32 D, nearly surely are."""
        found: NDArray[np.uint64] = self._graph.search(query, max(count, EXPANSION), threads=1).keys
        rows: NDArray[np.int64] = self._order[np.searchsorted(self._sorted_keys, found)]
        return rows

    def _restored(self, path: Path, *, view: bool) -> Any:
        """The graph in a whole file, else None."""
        if not path.is_file() or not _is_whole(path):
            return None
        return self._library.Index.restore(path, view=view)


def _keys(files: Sequence[File]) -> NDArray[np.uint64]:
    """A key per file, uint64 N: another one when the file has changed."""
    digests = (
        hashlib.blake2b(f"{path}\0{size}\0{modified}".encode(errors="surrogateescape"), digest_size=8).digest()
        for path, size, modified in files
    )
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _save(graph: Any, path: Path) -> None:
    """Write a graph and its checksum; graphs of other models go."""
    with saying_the_cure(), whole_file(path) as part:
        graph.save(part)
        checksum = _checksum(part, part.stat().st_size)
        with part.open("ab") as file:
            file.write(checksum)
    for old in path.parent.glob("graph-*.usearch"):
        if old != path:
            old.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether the checksum at a graph's end is right."""
    length = path.stat().st_size - CHECKSUM_BYTES
    with path.open("rb") as file:
        file.seek(max(length, 0))
        return length > 0 and file.read() == _checksum(path, length)


def _checksum(path: Path, length: int) -> bytes:
    """CRC-32 of a file's first bytes."""
    checksum = 0
    with path.open("rb") as file:
        while length > 0 and (block := file.read(min(length, 1 << 20))):
            checksum, length = zlib.crc32(block, checksum), length - len(block)
    return checksum.to_bytes(CHECKSUM_BYTES, "big")
