"""Predictor: posters in, genres out, from one model file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onesheet.bundle import Bundle, Card, Scores, read_bundle
from onesheet.errors import ConfigError, UnreadablePoster
from onesheet.evaluation.operating_points import OperatingPoint
from onesheet.genres import GenreSet
from onesheet.images import read_poster, resized_posters
from onesheet.predict.explanations import HeatMap, heat_maps
from onesheet.predict.predictions import Failure, Prediction
from onesheet.threads import in_order, thread_count

DEFAULT_MODEL = Path(__file__).with_name("default.onnx")
BATCH = 2  # posters per call: more fit the processor's cache worse and cost memory (benchmarks/NOTES.md)
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Predictor:
    """A model file, ready to predict. Safe to share between threads.

    Attributes:
        card: the metadata of the model file.
        model_card: what people should know of it, Markdown; "" where the file has none.
        genres: the genres in column order.
        points: operating point -> its rule.
        threads: posters decoded and scored at the same time.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._bundle = bundle
        self.threads = thread_count(threads)
        self.card: Card = bundle.card
        self.model_card = bundle.model_card
        self.genres: GenreSet = bundle.genres
        self.points: dict[str, OperatingPoint] = bundle.points

    def __repr__(self) -> str:
        height, width = self.card.size
        return f"<Predictor of {self.path.name}: {len(self.genres.names)} genres from posters of {height}×{width}>"

    @property
    def path(self) -> Path:
        """The model file."""
        return self._bundle.path

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model file, hexadecimal: what was made with this model, and with no other."""
        with self._bundle.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def predict(self, poster: str | Path | bytes, *, at: str = "balanced", top: int | None = None) -> Prediction:
        """The genres of one poster (a path, or the bytes of an image file).

        Args:
            poster: the poster.
            at: operating point: "balanced", "precise", "generous" or "exact".
            top: the number of most probable genres to return instead; not with another `at` than the default.

        Raises:
            UnreadablePoster: the poster cannot be decoded.
            ConfigError: no such operating point, `top` is not between 1 and the number of genres, or both are given.
        """
        self.check(at, top)
        pixels = read_poster(poster, size=self.card.size, resize=self.card.resize)
        return self.predictions([poster], self.score(pixels[None]), at, top)[0]

    def explain(self, poster: str | Path | bytes, genre: str | None = None) -> HeatMap:
        """Where in a poster the evidence for a genre is.

        From the model file's own class activation map; for a network without one, by covering the poster patch by
        patch, which reads it about a hundred times.

        Args:
            poster: the poster, a path or the bytes of an image file.
            genre: any genre of the model; None = the most probable one.

        Raises:
            CatalogueError: the model has no such genre.
            UnreadablePoster: the poster cannot be decoded.
        """
        return heat_maps(self, poster, [genre] if genre else list(self.predict(poster, top=1).genres))[0]

    def predict_many(
        self,
        posters: Iterable[Item],
        *,
        at: str = "balanced",
        top: int | None = None,
        read: Callable[[Item], str | bytes] = str,
    ) -> Iterator[Prediction | Failure]:
        """The genres of many posters, in their order; an unreadable one yields a Failure and never stops the rest.

        Memory does not grow with their number. Every core decodes and scores a batch of its own.

        Args:
            posters: paths, or anything else that `read` can read and whose `str` is its name.
            at: as `predict`.
            top: as `predict`.
            read: a poster's path or bytes; called in a thread, and may raise UnreadablePoster.

        Raises:
            ConfigError: as `predict`, or one path where several are expected.
        """
        self.check(at, top)
        if isinstance(posters, str | bytes | Path):
            raise ConfigError(f"predict_many takes several posters; got {posters!r}: use predict or a list")
        return self._answers(posters, lambda names, scores: self.predictions(names, scores, at, top), read)

    def embed_many(self, posters: Iterable[str | Path]) -> Iterator[NDArray[np.float32] | Failure]:
        """The embeddings of many posters, float32 D each, in their order; an unreadable one yields a Failure."""
        return self._answers(posters, lambda _, scores: list(scores.embedding), str)

    def _answers(
        self,
        posters: Iterable[Item],
        answer_all: Callable[[list[str], Scores], list[Answer]],
        read: Callable[[Item], str | bytes],
    ) -> Iterator[Answer | Failure]:
        """What `answer_all` makes of the readable posters' scores, batch by batch."""

        def work(batch: Sequence[Item]) -> list[Answer | Failure]:
            pixels: list[NDArray[np.uint8]] = []
            good: list[str] = []
            failures: list[Failure | None] = []
            for poster in batch:
                try:
                    pixels.append(read_poster(read(poster), size=self.card.size, resize=self.card.resize))
                    good.append(str(poster))
                    failures.append(None)
                except UnreadablePoster as error:
                    failures.append(Failure(str(poster), str(error)))
            scored = iter(answer_all(good, self.score(np.stack(pixels))) if good else ())
            return [next(scored) if failure is None else failure for failure in failures]

        for answers in in_order(work, _batches(posters), threads=self.threads):
            yield from answers

    def score_posters(self, posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[Scores]:
        """Scores of rows of an N×H×W×3 uint8 array (a packed store), stretched to the card's size, in order."""
        return in_order(
            lambda batch: self.score(np.ascontiguousarray(resized_posters(posters[batch], self.card.size))),
            _batches(rows.tolist()),
            threads=self.threads,
        )

    def score(self, posters: NDArray[np.uint8]) -> Scores:
        """Scores of posters that already have the card's size, uint8 N×H×W×3."""
        return self._bundle.score(posters)

    def check(self, at: str, top: int | None) -> None:
        """Check these options.

        Raises:
            ConfigError: as `predict`.
        """
        self._point(at)
        if top is not None and not 1 <= top <= len(self.genres):
            raise ConfigError(f"top must be between 1 and {len(self.genres)}, the model's genres; got {top}")
        if top is not None and at != "balanced":
            raise ConfigError(
                f"at chooses genres by a rule, top by their number; got at={at} and top={top}: leave one out"
            )

    def _point(self, at: str) -> OperatingPoint:
        try:
            return self.points[at]
        except KeyError:
            raise ConfigError(f"unknown operating point {at!r}; use {', '.join(self.points)}") from None

    def predictions(
        self, posters: Sequence[str | Path | bytes], scores: Scores, at: str, top: int | None
    ) -> list[Prediction]:
        """Predictions from the scores of posters, in their order; `at` and `top` as `predict`."""
        given = self._point(at).decide(scores.probabilities)
        predictions = []
        for poster, values, chosen in zip(posters, scores.probabilities, given, strict=True):
            falling = np.argsort(-values, kind="stable")
            columns = falling[:top] if top else [column for column in falling if chosen[column]]
            rounded = [round(float(value), 6) for value in values]
            predictions.append(
                Prediction(
                    path="" if isinstance(poster, bytes) else str(poster),
                    genres={self.genres.names[column]: rounded[column] for column in columns},
                    probabilities=dict(zip(self.genres.names, rounded, strict=True)),
                    at=f"top {top}" if top else at,
                )
            )
        return predictions


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, BATCH)):
        yield batch


def load(path: str | Path | None = None, *, threads: int | None = None) -> Predictor:
    """Open a model file for prediction.

    Args:
        path: a file written by `onesheet export` or `onesheet train`; None = the bundled model (docs/model-card.md).
        threads: posters decoded and scored at the same time; None = the cores this process may use.

    Raises:
        BundleError: not there, not ours, damaged, or of a newer protocol.
        ConfigError: threads below 1.
    """
    return Predictor(read_bundle(DEFAULT_MODEL if path is None else path), threads=threads)
