"""The results of an evaluation; `evaluation.json` has these fields."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from onesheet.errors import EvaluationError
from onesheet.files import read_json, write_text
from onesheet.markup import bar, table

Row = TypeVar("Row")
FEW_FILMS = 30
"""Below so many films of a genre, its interval is too wide to say anything."""

LOWER_IS_BETTER = frozenset({"calibration_error", "hamming_loss", "ranking_loss", "no_genre_share"})


@dataclass(frozen=True, slots=True)
class Score:
    """A metric with its 95% bootstrap interval. `value` is NaN where undefined (a genre without films)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GenreAtPoint:
    """One genre at one operating point.

    Attributes:
        threshold: the probability from which the genre is predicted, None where the point has no thresholds ("exact").
        predicted: films for which the genre is predicted.
    """

    threshold: float | None
    predicted: int
    precision: Score
    recall: Score
    f1: Score
    accuracy: Score

    @property
    def right(self) -> int:
        """Films for which the genre is predicted, rightly."""
        return round(self.precision.value * self.predicted) if self.predicted and self.precision.value > 0 else 0


@dataclass(frozen=True, slots=True)
class GenreResult:
    """One genre.

    Attributes:
        support: films of the evaluated split that have the genre.
        share: support / films.
        at: operating point -> metrics.
        curve: the precision-recall curve as points of (recall, precision, threshold), recall rising; see
            `ranking_metrics.precision_recall_curve`.
        average_precision, roc_auc: ranking metrics.
        calibration_error: expected calibration error of this genre alone, 15 equal-width bins.
        reliability: the reliability diagram of this genre alone, in bins of equal count; those of few pairs left out.
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
    """One point of a reliability diagram: film-genre pairs whose probability is in [low, high), or the last to 1."""

    low: float
    high: float
    pairs: int
    mean_probability: float
    true_share: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model file is on one split of a catalogue.

    Attributes:
        split: "train", "validation" or "test".
        films: N.
        genres: names in column order.
        draws: bootstrap draws behind every interval.
        ranking: metrics that need no threshold: macro_average_precision, micro_average_precision, macro_roc_auc,
            micro_roc_auc, recall_at_precision_60 (pooled), ranking_loss, top1_hit, top3_hit, calibration_error.
        at: operating point ("balanced", "precise", "generous", "exact", "0.5") -> metrics: {micro,macro,sample}_
            {precision,recall,f1}, exact_match, label_accuracy, hamming_loss, genres_per_film, no_genre_share (films
            that were predicted none).
        baselines: name ("nothing", "every genre", "commonest genre", "prior", "commonest label set") -> the
            same metrics as `at` and those of `ranking` that it defines.
        per_genre: one entry per genre, in column order.
        reliability: the pooled reliability diagram, 15 bins, at all film-genre pairs.
        confusion: G×G counts of films with the row's genre for which the column's is predicted at the balanced point;
            on the diagonal, those found. Divide a row by the genre's support to read it as shares.
        cooccurrence_true, cooccurrence_predicted: G×G counts of films with both genres; on the diagonal, films with
            the genre.
        caveats: sentences to know before the metrics are believed.
    """

    split: str
    films: int
    genres: tuple[str, ...]
    draws: int
    ranking: dict[str, Score]
    at: dict[str, dict[str, Score]]
    baselines: dict[str, dict[str, Score]]
    per_genre: tuple[GenreResult, ...]
    reliability: tuple[Bin, ...]
    confusion: tuple[tuple[int, ...], ...]
    cooccurrence_true: tuple[tuple[int, ...], ...]
    cooccurrence_predicted: tuple[tuple[int, ...], ...]
    caveats: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """For notebooks: the metrics beside the best baselines, then the genres."""
        rows = []
        for scores, name in ((self.ranking, None), (self.at["balanced"], "balanced")):
            for key, score in scores.items():
                known = [(each[key].value, which) for which, each in self.baselines.items() if key in each]
                best = (min if key in LOWER_IS_BETTER else max)(known, default=None)
                label = key.replace("_", " ") + (f" at {name}" if name else "")
                rows.append((label, *_cells(score), f"{best[0]:.3f}, {best[1]}" if best else ""))
        genres = [(genre.genre, f"{genre.support:,}", *_cells(genre.average_precision)) for genre in self.per_genre]
        interval = ("", "95% interval")
        title = f"{self.films:,} films of split {self.split!r}, {len(self.genres)} genres"
        return table(("metric", "value", *interval, "best baseline"), rows, title=title) + table(
            ("genre", "films", "average precision", *interval), genres
        )


def _cells(score: Score) -> tuple[str, str, str]:
    """The metric, a bar of it and its interval; a dash alone where it is undefined."""
    if not math.isfinite(score.value):
        return "–", "", ""
    return f"{score.value:.3f}", bar(score.value), f"{score.low:.3f}–{score.high:.3f}"


def write_evaluation(path: str | Path, evaluation: Evaluation) -> None:
    """Write an evaluation, whole or not at all.

    Raises:
        OnesheetError: the place cannot be written.
    """
    plain = without_nan(asdict(evaluation))
    write_text(path, json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_evaluation(path: str | Path) -> Evaluation:
    """Read what `write_evaluation` wrote; unknown keys are rejected.

    Raises:
        EvaluationError: there is no such file, or it is not an evaluation.
    """
    try:
        plain = read_json(path)
        return _evaluation(plain)
    except OSError as error:
        raise EvaluationError(f"cannot read {str(path)!r}: {error.strerror}; run: onesheet evaluate") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvaluationError(
            f"{str(path)!r} is not an evaluation ({type(error).__name__}: {error}); run: onesheet evaluate"
        ) from None


def without_nan(value: Any) -> Any:
    """Dicts, lists and numbers with NaN as None, for JSON."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _row(kind: type[Row], plain: Mapping[str, Any]) -> Row:
    """A dataclass of numbers, null read as NaN."""
    values: dict[str, Any] = {key: math.nan if value is None else value for key, value in plain.items()}
    return kind(**values)


def _scores(plain: Mapping[str, Any]) -> dict[str, Score]:
    return _each(plain, lambda score: _row(Score, score))


def _each(plain: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: read(value) for name, value in plain.items()}


def _at_point(plain: dict[str, Any]) -> GenreAtPoint:
    metrics = _scores({name: value for name, value in plain.items() if name not in ("threshold", "predicted")})
    return GenreAtPoint(threshold=plain["threshold"], predicted=plain["predicted"], **metrics)


def _genre(plain: dict[str, Any]) -> GenreResult:
    read = plain | {
        "at": _each(plain["at"], _at_point),
        "curve": _table(plain["curve"]),
        "reliability": _bins(plain["reliability"]),
    }
    scores = {field.name: _row(Score, plain[field.name]) for field in fields(GenreResult) if field.type == "Score"}
    return GenreResult(**(read | scores))


def _bins(plain: list[dict[str, Any]]) -> tuple[Bin, ...]:
    return tuple(_row(Bin, row) for row in plain)


def _table(plain: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in plain)


def _evaluation(plain: dict[str, Any]) -> Evaluation:
    tables = ("confusion", "cooccurrence_true", "cooccurrence_predicted")
    read = {
        "genres": tuple(plain["genres"]),
        "ranking": _scores(plain["ranking"]),
        "at": _each(plain["at"], _scores),
        "baselines": _each(plain["baselines"], _scores),
        "per_genre": tuple(_genre(genre) for genre in plain["per_genre"]),
        "reliability": _bins(plain["reliability"]),
        "caveats": tuple(plain["caveats"]),
        **{name: _table(plain[name]) for name in tables},
    }
    return Evaluation(**(plain | read))
