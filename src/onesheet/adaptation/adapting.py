"""adapt_packed: packed posters and a model file to a model file of the posters' genres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.adaptation.embedding_cache import source_features
from onesheet.adaptation.heads import LEAST_FILMS, Heads, fit_heads
from onesheet.bundle import Bundle
from onesheet.data.genre_synonyms import match
from onesheet.errors import CatalogueError, require
from onesheet.evaluation.summary import summary_metrics
from onesheet.packed import Packed
from onesheet.predict import Predictor
from onesheet.progress import Progress, shown

CURVE_SIZES = 5
CURVE_DRAWS = 3


@dataclass(frozen=True, eq=False)
class Adapting:
    """Posters, the model file to start from, and its outputs for them.

    Attributes:
        source: the model file.
        packed: the posters; all but those of the split "test" are learnt from.
        known: genre of the posters -> the source's name for it.
        embedding: float16 N×D.
        logits: float32 N×S, the source's, before calibration.
    """

    source: Predictor
    packed: Packed
    known: Mapping[str, str]
    embedding: NDArray[np.float16]
    logits: NDArray[np.float32]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The films to learn from, int64 n."""
        return np.flatnonzero(self.packed.splits != "test")

    def fit(self, rows: NDArray[np.int64], genres: NDArray[np.int64], progress: Progress = shown) -> Heads:
        """Heads of some genres (columns of the packed labels) from some films."""
        names, source = self.packed.genres.names, self.source
        return fit_heads(
            self.embedding,
            self.logits,
            self.packed.labels[:, genres],
            columns=[
                source.genres.column(self.known[names[genre]]) if names[genre] in self.known else None
                for genre in genres
            ],
            calibration=source.card.scale_and_bias,
            rows=rows,
            groups=_Groups(self.packed),
            known=None if self.packed.known is None else self.packed.known[:, genres],
            progress=progress,
        )

    def write(
        self,
        path: str | Path,
        *,
        precision_target: float = 0.7,
        recall_target: float = 0.8,
        progress: Progress = shown,
    ) -> tuple[Bundle, Heads]:
        """Fit the heads and write them as a model file (see `write_adapted`).

        Raises:
            CatalogueError: a genre with too few films to learn from.
            ExportError: the file's logits are not the heads'.
        """
        from onesheet.adaptation.adapted_file import write_adapted

        packed, rows = self.packed, self.rows
        check_films(packed)
        heads = self.fit(rows, np.arange(len(packed.genres)), progress)
        splits, counts = np.unique(packed.splits, return_counts=True)
        bundle = write_adapted(
            self.source,
            heads,
            path,
            genres=packed.genres.names,
            labels=packed.labels[rows],
            known_labels=packed.known_in(rows),
            posters=packed.posters,
            data={
                "fingerprint": packed.fingerprint,
                "films": dict(zip(splits.tolist(), counts.tolist(), strict=True)),
                **packed.understood,
            },
            known=self.known,
            precision_target=precision_target,
            recall_target=recall_target,
        )
        return bundle, heads

    def learning_curve(self, *, seed: int = 0, progress: Progress = shown) -> Iterator[dict[str, float]]:
        """Metrics on the test films of heads that learnt from a part of the others, `CURVE_SIZES` sizes up to all.

        The smallest size is one at which the genre that needs the fewest films can be learnt.
        Films are drawn anew `CURVE_DRAWS` times for each size. A genre with too few of them answers as the source, or
        with its frequency.

        Yields:
            films, draw, and the metrics of `summary_metrics` that rank: map, roc_auc.
        """
        packed, rows, test = self.packed, self.rows, self.packed.rows("test")
        counts = packed.labels[rows].sum(0)
        share = np.minimum(counts, len(rows) - counts).max() / len(rows)  # of the genre that needs the fewest films
        smallest = min(len(rows), 1.2 * LEAST_FILMS / share)
        sizes = np.unique(np.geomspace(smallest, len(rows), CURVE_SIZES).round().astype(int)).tolist()
        turns = [(size, draw) for size in sizes for draw in range(1 if size == len(rows) else CURVE_DRAWS)]
        for number, (size, draw) in enumerate(turns):
            drawn = np.sort(np.random.default_rng([seed, size, draw]).permutation(rows)[:size])
            logits = self._logits(drawn, test)
            metrics = summary_metrics(
                packed.labels[test], 0.5 * (1 + np.tanh(0.5 * logits)), known=packed.known_in(test)
            )
            yield {"films": size, "draw": draw, "map": metrics["map"], "roc_auc": metrics["roc_auc"]}
            progress("learning curve", number + 1, len(turns))

    def _logits(self, drawn: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float64]:
        """Logits of the test films, float64 N×G, from what can be learnt from the drawn ones."""
        packed, source = self.packed, self.source
        labels, logits = packed.labels[drawn], np.zeros((len(test), len(packed.genres)))
        for genre, name in enumerate(packed.genres.names):
            if name in self.known:
                logits[:, genre] = self.logits[test, source.genres.column(self.known[name])]
        enough = np.flatnonzero(np.minimum(labels.sum(0), (~labels).sum(0)) >= LEAST_FILMS)
        if len(enough):
            heads = self.fit(drawn, enough)
            logits[:, enough] = heads.logits(self.embedding[test], self.logits[test])
        return logits


class _Groups:
    """The group of each film, read when first used."""

    def __init__(self, packed: Packed) -> None:
        self._films = packed.films

    def __getitem__(self, row: int) -> str:
        return self._films[int(row)].group


def check_films(packed: Packed) -> None:
    """Every genre can be learnt.

    Raises:
        CatalogueError: one cannot.
    """
    labels = packed.labels[packed.splits != "test"]
    for name, films in zip(packed.genres.names, labels.sum(0).tolist(), strict=True):
        if films < LEAST_FILMS:
            raise CatalogueError(
                f"{films} of {len(labels)} training films have the genre {name!r}, and {LEAST_FILMS} are needed; "
                "add films, or leave the genre out with a higher --min-films"
            )
        if len(labels) - films < LEAST_FILMS:
            raise CatalogueError(
                f"all but {len(labels) - films} of {len(labels)} training films have the genre {name!r}, and "
                f"{LEAST_FILMS} films without it are needed; add such films, or drop the genre with --genre-map"
            )


def start_from(
    source: Predictor, packed: Packed, *, known: Mapping[str, str] | None = None, progress: Progress = shown
) -> Adapting:
    """The outputs of `source` for every poster, computed or read back.

    Args:
        source: the model file to start from; its size and resize must be the store's.
        packed: the posters.
        known: genre of the posters -> the source's name for it; None = by spelling and exact synonyms.
        progress: reports the posters done.

    Raises:
        MissingExtra: onnx is not installed.
        BundleError: the model takes other posters than were packed, or it has no embedding.
    """
    require("onnx", purpose="training from a model file", extra="adapt")
    found = match(packed.genres.names, source.genres.names) if known is None else known
    return Adapting(source, packed, found, *source_features(source, packed, progress=progress))
