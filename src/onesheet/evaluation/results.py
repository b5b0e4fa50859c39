"""What an evaluation says, as named things; `evaluation.json` is these fields written out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onesheet.markup import bar, table


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with its 95 % bootstrap interval. `value` is NaN where undefined (a genre without films)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GenreAtPoint:
    """One genre at one operating point.

    Attributes:
        threshold: the probability from which the genre is given, None where the point has no thresholds ("exact").
        given: films that were given the genre.
    """

    threshold: float | None
    given: int
    precision: Score
    recall: Score
    f1: Score
    accuracy: Score


@dataclass(frozen=True, slots=True)
class GenreResult:
    """One genre.

    Attributes:
        support: films of the evaluated part that have the genre.
        share: support / films.
        at: operating point -> figures.
        curve: the precision-recall curve, at most 200 points of (recall, precision, threshold), recall rising.
        average_precision, roc_auc: ranking figures.
        calibration_error: expected calibration error of this genre alone, 15 equal-width bins.
        reliability: the reliability diagram of this genre alone.
    """

    genre: str
    support: int
    share: float
    average_precision: Score
    roc_auc: Score
    calibration_error: Score
    at: dict[str, GenreAtPoint]
    curve: tuple[tuple[float, float, float], ...]
    reliability: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the reliability diagram: film-genre pairs whose probability lies in [low, high)."""

    low: float
    high: float
    pairs: int
    mean_probability: float
    true_share: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model file is on one part of a catalogue.

    Attributes:
        part: "train", "validation" or "test".
        films: N.
        genres: names in column order.
        draws: bootstrap draws behind every interval.
        ranking: figures that need no threshold: macro_average_precision, micro_average_precision, macro_roc_auc,
            micro_roc_auc, recall_at_precision_60 (pooled), ranking_loss, top1_hit, top3_hit, calibration_error.
        at: operating point ("balanced", "precise", "generous", "exact", "0.5") -> figures: {micro,macro,sample}_
            {precision,recall,f1}, exact_match, label_accuracy, hamming_loss, genres_per_film, no_genre_share (films
            that were given none).
        baselines: trivial answer ("nothing", "every genre", "commonest genre", "prior", "commonest label set") -> the
            same figures as `at` and those of `ranking` that it defines.
        per_genre: one entry a genre, in column order.
        reliability: the pooled reliability diagram, 15 bins, at all film-genre pairs.
        confusion: operating point "balanced", float G+1 × G+1, row = true, column = given, last = none: see
            `confusion.confusion_matrix` for the rule; rows and columns in genre order.
        cooccurrence_true, cooccurrence_given: G×G counts of films with both genres (diagonal = films with the genre).
    """

    part: str
    films: int
    genres: tuple[str, ...]
    draws: int
    ranking: dict[str, Score]
    at: dict[str, dict[str, Score]]
    baselines: dict[str, dict[str, Score]]
    per_genre: tuple[GenreResult, ...]
    reliability: tuple[Bin, ...]
    confusion: tuple[tuple[float, ...], ...]
    cooccurrence_true: tuple[tuple[int, ...], ...]
    cooccurrence_given: tuple[tuple[int, ...], ...]

    def _repr_html_(self) -> str:
        """For notebooks: the headline figures beside the best trivial answers, then the genres."""
        from onesheet.evaluation.headline import headlines  # which reads these results

        figures = []
        for line in headlines(self):
            trivial = f"{line.baseline[1].value:.3f}, {line.baseline[0]}" if line.baseline else ""
            figures.append((line.name, *_cells(line.score), trivial))
        genres = [(genre.genre, f"{genre.support:,}", *_cells(genre.average_precision)) for genre in self.per_genre]
        score = ("", "95 % interval")
        title = f"{self.films:,} films of part {self.part!r}, {len(self.genres)} genres"
        return table(("figure", "value", *score, "best trivial answer"), figures, title=title) + table(
            ("genre", "films", "average precision", *score), genres
        )


def _cells(score: Score) -> tuple[str, str, str]:
    """The figure, a bar of it and its interval; a dash alone where it is undefined."""
    if not math.isfinite(score.value):
        return "–", "", ""
    return f"{score.value:.3f}", bar(score.value), f"{score.low:.3f}–{score.high:.3f}"
