"""The nearest posters by embedding, from an index on disk that follows the folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import ConfigError
from onesheet.images import read_poster
from onesheet.predict.index_files import BLOCK, Embeddings, File, Stored, check_writable, read_index, write_index
from onesheet.predict.neighbour_graph import Graph
from onesheet.predict.poster_paths import find_posters
from onesheet.predict.predictions import Failure
from onesheet.predict.predictor import Predictor
from onesheet.progress import Progress, shown

INDEX_FOLDER = ".onesheet-index"
EXACT = 100_000  # posters that are compared one by one; of more, a graph is searched
STEP = 1024  # posters after which a new index is first written; then whenever it has doubled
LARGEST_STEP = 64 * STEP  # embeddings held in memory until the next writing


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A poster near another.

    Attributes:
        path: the poster.
        similarity: cosine of the two embeddings, in [-1, 1]; 1 = the same to the model.
    """

    path: str
    similarity: float

    def to_dict(self) -> dict[str, object]:
        """The JSON form: `path`, `similarity`."""
        return {"path": self.path, "similarity": self.similarity}


class PosterIndex:
    """The embeddings of a folder's posters. Safe to share between threads.

    Attributes:
        folder: the posters' folder.
        failures: its posters that cannot be read.
        notice: why an index that was there has been made anew; "" where it has not.
    """

    def __init__(
        self,
        folder: Path,
        stored: Stored,
        predictor: Predictor,
        *,
        graph: Graph | None,
        failures: list[Failure],
        notice: str,
    ) -> None:
        self.folder = folder
        self.failures = failures
        self.notice = notice
        self._stored = stored
        self._predictor = predictor
        self._graph = graph

    def __len__(self) -> int:
        return len(self._stored.files)

    def nearest(self, poster: str | Path | bytes, *, top: int = 10) -> list[Neighbour]:
        """The posters most like another, nearest first.

        The poster itself, where it is in the folder, is left out; a copy of it under another name is not.

        Args:
            poster: any poster, in the folder or not.
            top: how many; fewer where the folder has fewer.

        Raises:
            UnreadablePoster: the poster cannot be decoded.
            ConfigError: `top` below 1.
        """
        if top < 1:
            raise ConfigError(f"top must be at least 1; got {top}")
        card = self._predictor.card
        pixels = read_poster(poster, size=card.size, resize=card.resize)
        query = _unit(self._predictor.score(pixels[None]).embedding)[0]
        itself = [] if isinstance(poster, bytes) else self._rows_of(Path(poster))
        count = min(top + len(itself), len(self))
        rows, similarities = _nearest(self._stored.embeddings, self._graph, query, count)
        found = [
            Neighbour(str(self.folder / self._stored.files[row].path), round(float(similarity), 6))
            for row, similarity in zip(rows, similarities, strict=True)
            if row not in itself
        ]
        return found[:top]

    def _rows_of(self, poster: Path) -> list[int]:
        """The rows that are this very file, under whatever name."""
        status = poster.stat()
        return [
            row
            for row, (path, size, modified) in enumerate(self._stored.files)
            if (size, modified) == (status.st_size, status.st_mtime_ns) and _same(self.folder / path, poster)
        ]


def index_posters(
    folder: str | Path, *, predictor: Predictor, index: str | Path | None = None, progress: Progress = shown
) -> PosterIndex:
    """Index a folder of posters, searched to any depth: read what is new or changed, forget what is gone.

    The index is written as it grows, each time whole, so that little is lost when it is stopped.

    Args:
        folder: the posters.
        predictor: the model; another model's index is made anew.
        index: folder for the index's files; None = `.onesheet-index` in `folder`.
        progress: reports the posters read.

    Raises:
        ConfigError: `folder` is no folder.
        CatalogueError: no poster in it.
        OnesheetError: the index cannot be written there.
        MissingExtra: more than 100,000 posters, and usearch is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"no such folder: {str(folder)!r}; name a folder of posters")
    place = folder / INDEX_FOLDER if index is None else Path(index)
    stored, notice = _open(place, predictor.fingerprint)
    stored, failures = _refreshed(stored, _files_in(folder), folder, place, predictor, progress)
    graph = Graph(place, stored, threads=predictor.threads, progress=progress) if len(stored.files) > EXACT else None
    return PosterIndex(folder, stored, predictor, graph=graph, failures=failures, notice=notice)


def _open(place: Path, model: str) -> tuple[Stored, str]:
    """The index of this model, or an empty one and why."""
    notice = ""
    try:
        stored = read_index(place)
        if stored and stored.model == model:
            return stored, ""
        if stored:
            notice = f"the index in {str(place)!r} was another model's; it is made anew"
    except ValueError:
        notice = f"the index in {str(place)!r} was damaged; it is made anew"
    return Stored(model, [], np.empty((0, 0), np.float32)), notice


def _files_in(folder: Path) -> list[File]:
    files = []
    for path in find_posters([folder]):
        try:
            status = Path(path).stat()
            size, modified = status.st_size, status.st_mtime_ns
        except OSError:  # reading it will say what is wrong
            size, modified = 0, 0
        files.append(File(os.path.relpath(path, folder), size, modified))
    return files


def _refreshed(
    stored: Stored, files: list[File], folder: Path, place: Path, predictor: Predictor, progress: Progress
) -> tuple[Stored, list[Failure]]:
    """The index after what is new was read and what is gone forgotten, and the posters that could not be read."""
    known = {file: row for row, file in enumerate(stored.files)}
    kept = [known[file] for file in files if file in known]
    new = [file for file in files if file not in known]
    failures: list[Failure] = []
    done, total = 0, len(new)
    while new or len(kept) < len(stored.files):
        step = min(max(STEP, len(kept)), LARGEST_STEP)
        chunk, new = new[:step], new[step:]
        good: list[File] = []
        added = stored.embeddings[:0]
        for file, answer in zip(chunk, predictor.embed_many(folder / file.path for file in chunk), strict=True):
            done += 1
            progress("index", done, total)
            if isinstance(answer, Failure):
                failures.append(answer)
                continue
            if not good:
                check_writable(place)
                added = np.empty((len(chunk), len(answer)), np.float32)
            added[len(good)] = _unit(answer)
            good.append(file)
        if good or len(kept) < len(stored.files):
            parts = [(stored.embeddings, np.array(kept, dtype=np.int64)), (added, np.arange(len(good)))]
            stored = write_index(place, stored.model, [*(stored.files[row] for row in kept), *good], parts)
            kept = list(range(len(stored.files)))
    return stored, failures


def _unit(embeddings: NDArray[np.float32]) -> Embeddings:
    """Embeddings …×D at length 1, as they are kept."""
    length = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    unit: Embeddings = embeddings / np.maximum(length, np.finfo(np.float32).tiny)
    return unit


def _nearest(
    embeddings: Embeddings, graph: Graph | None, query: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `_exact`; with a graph, among its candidates only."""
    if graph is None:
        return _exact(embeddings, query, count)
    candidates = np.sort(graph.candidates(query, count))
    rows, similarities = _exact(embeddings[candidates], query, count)
    return candidates[rows], similarities


def _exact(
    embeddings: Embeddings, query: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` rows nearest to a query, nearest first, and their cosines; memory for one block and N numbers."""
    similarities = np.empty(len(embeddings), np.float32)
    for start in range(0, len(embeddings), BLOCK):
        block = embeddings[start : start + BLOCK]
        similarities[start : start + len(block)] = (block @ query).clip(-1, 1)
    rows = np.argsort(-similarities, kind="stable")[:count]
    return rows, similarities[rows]


def _same(path: Path, poster: Path) -> bool:
    try:
        return path.samefile(poster)
    except OSError:
        return False
