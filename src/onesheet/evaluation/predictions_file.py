"""`predictions.csv`: what a model predicted for every film of a split, beside the truth."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import CatalogueError, EvaluationError
from onesheet.evaluation.array_checks import Floats, Labels
from onesheet.files import whole_file
from onesheet.genres import GenreSet
from onesheet.spreadsheets import Writer, original

ABOUT_FILM = ("film_id", "title", "poster", "true")
UNKNOWN = "unknown"  # genres of which it is not known whether the film has them
PREDICTED, PROBABILITY = "predicted at ", "probability of "
"""What the headings of the other columns begin with."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's predictions for the N films of one split.

    Attributes:
        film_ids: N different ones.
        titles: "" where unknown.
        posters: path of each poster file, as the catalogue names it.
        genres: the G genres in column order.
        labels: the truth, bool N×G, False where it is unknown.
        probabilities: calibrated, float32 N×G.
        predicted: operating point -> predicted genres, bool N×G.
        known: where the truth is known, bool N×G; None where it is known everywhere.
    """

    film_ids: tuple[str, ...]
    titles: tuple[str, ...]
    posters: tuple[str, ...]
    genres: GenreSet
    labels: Labels
    probabilities: NDArray[np.float32]
    predicted: dict[str, Labels]
    known: Labels | None = None

    def __len__(self) -> int:
        return len(self.film_ids)

    @property
    def log_likelihood(self) -> Floats:
        """How likely each film's labels are by the probabilities: float64 N, at most 0."""
        clipped = np.clip(self.probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
        pairs = np.where(self.labels, np.log(clipped), np.log1p(-clipped))
        return np.asarray((pairs if self.known is None else pairs * self.known).sum(axis=1))

    @property
    def judged(self) -> Labels:
        """The genres predicted at "balanced" of which it is known whether they are right, bool N×G."""
        predicted = self.predicted["balanced"]
        return predicted if self.known is None else predicted & self.known

    def of_genre(self, column: int) -> tuple[Labels, NDArray[np.float32]]:
        """One genre's labels and probabilities, of the films of which it is known."""
        films = slice(None) if self.known is None else self.known[:, column]
        return self.labels[films, column], self.probabilities[films, column]

    def in_genres(self, genres: GenreSet, meant: Mapping[str, str]) -> Predictions:
        """The same with other names for genres, in their order; unchanged where that does not lead to `genres`.

        Args:
            genres: the names and the order to be.
            meant: own name -> name to be.
        """
        names = [meant.get(name, name) for name in self.genres.names]
        if sorted(names) != sorted(genres.names):
            return self
        columns = [names.index(name) for name in genres.names]
        return replace(
            self,
            genres=genres,
            labels=self.labels[:, columns],
            probabilities=self.probabilities[:, columns],
            predicted={point: predicted[:, columns] for point, predicted in self.predicted.items()},
            known=None if self.known is None else self.known[:, columns],
        )

    def rows(self, order: Sequence[int]) -> Predictions:
        """The same of some films, or in another order."""
        return Predictions(
            film_ids=tuple(self.film_ids[row] for row in order),
            titles=tuple(self.titles[row] for row in order),
            posters=tuple(self.posters[row] for row in order),
            genres=self.genres,
            labels=self.labels[list(order)],
            probabilities=self.probabilities[list(order)],
            predicted={point: predicted[list(order)] for point, predicted in self.predicted.items()},
            known=None if self.known is None else self.known[list(order)],
        )


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write `predictions.csv`, whole or not at all, the same bytes for the same predictions.

    One row per film: film_id, title, poster, true, unknown (where any label is), predicted at each operating point
    (genres joined by "|"), and the probability of each genre, with as many digits as tell it from every other float32.

    Raises:
        OnesheetError: the place cannot be written.
    """
    unknown = [] if predictions.known is None else [~predictions.known]
    decided = (
        _texts(predictions.genres, labels) for labels in (predictions.labels, *unknown, *predictions.predicted.values())
    )
    about = zip(predictions.film_ids, predictions.titles, predictions.posters, *decided, strict=True)
    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = Writer(file)
        points, genres = (
            (PREDICTED + name for name in predictions.predicted),
            (PROBABILITY + name for name in predictions.genres.names),
        )
        writer.write([*ABOUT_FILM, *([UNKNOWN] if unknown else ()), *points, *genres])
        for film, probabilities in zip(about, predictions.probabilities, strict=True):
            writer.write([*film, *map(str, probabilities)])


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        EvaluationError: there is no such file, or it is not one of ours.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
            return _predictions(next(rows, []), [list(map(original, row)) for row in rows])
    except OSError as error:
        raise EvaluationError(f"cannot read {str(path)!r}: {error.strerror}; run: onesheet evaluate") from None
    except (ValueError, IndexError, CatalogueError, csv.Error) as error:
        raise EvaluationError(
            f"{str(path)!r} is not a predictions file ({error}); write one with: onesheet evaluate"
        ) from None


def _predictions(heads: list[str], rows: list[list[str]]) -> Predictions:
    points = [head.removeprefix(PREDICTED) for head in heads if head.startswith(PREDICTED)]
    genres = GenreSet(head.removeprefix(PROBABILITY) for head in heads if head.startswith(PROBABILITY))
    about = [*ABOUT_FILM, *([UNKNOWN] if UNKNOWN in heads else ())]
    if heads != [*about, *(PREDICTED + name for name in points), *(PROBABILITY + name for name in genres.names)]:
        raise ValueError("other columns")
    if not rows or not len(genres):
        raise ValueError("no films or no genres")
    film_ids, titles, posters, true, *more = list(zip(*rows, strict=True))[: len(about) + len(points)]
    unknown, predicted = (more[0], more[1:]) if UNKNOWN in heads else (None, more)
    if len(set(film_ids)) != len(film_ids):
        raise ValueError("a film is in it twice")
    return Predictions(
        film_ids=film_ids,
        titles=titles,
        posters=posters,
        genres=genres,
        labels=_encoded(genres, true),
        probabilities=np.array([row[-len(genres) :] for row in rows], dtype=np.float32),
        predicted={point: _encoded(genres, column) for point, column in zip(points, predicted, strict=True)},
        known=None if unknown is None else ~_encoded(genres, unknown),
    )


def _texts(genres: GenreSet, labels: Labels) -> Iterator[str]:
    """Each film's genres in one cell."""
    for row in labels:
        yield "|".join(genres.decode(row[None])[0])


def _encoded(genres: GenreSet, column: Iterable[str]) -> Labels:
    return genres.encode([cell.split("|") if cell else [] for cell in column])
