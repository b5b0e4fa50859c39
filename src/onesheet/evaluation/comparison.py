"""Two models on the same films: paired differences, and which films each got right that the other did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import Floats
from onesheet.evaluation.bootstrap import bootstrap
from onesheet.evaluation.measure import Key, Measure
from onesheet.evaluation.precision_recall import PER_GENRE
from onesheet.evaluation.predictions_file import Predictions
from onesheet.evaluation.results import Score
from onesheet.progress import Progress, shown


@dataclass(frozen=True, slots=True)
class Paired:
    """One metric of two models, and the second's less the first's, each with its 95% interval."""

    one: Score
    other: Score
    difference: Score

    @property
    def surely(self) -> int:
        """1: the second's is surely higher, -1: surely lower, 0: the interval of the difference holds 0."""
        return (self.difference.low > 0) - (self.difference.high < 0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models on the same N films; names as in `Evaluation`.

    Attributes:
        genres: names in column order.
        draws: bootstrap draws behind every interval.
        ranking: metrics that need no threshold.
        at: operating point that both have -> metrics.
        support: films that have each genre.
        per_genre: metric (average_precision, roc_auc, calibration_error, and precision, recall and f1 at the balanced
            point) -> one entry per genre.
        one, other: the predictions, films in the same order.
        only_one, only_other: rows of the films that one model alone gave exactly their genres at the balanced point,
            those in which the two differ most first.
        both, neither: how many films both, or none, gave exactly their genres.
    """

    genres: tuple[str, ...]
    draws: int
    ranking: dict[str, Paired]
    at: dict[str, dict[str, Paired]]
    support: tuple[int, ...]
    per_genre: dict[str, tuple[Paired, ...]]
    one: Predictions
    other: Predictions
    only_one: tuple[int, ...]
    only_other: tuple[int, ...]
    both: int
    neither: int


def compare_predictions(
    one: Predictions, other: Predictions, *, draws: int = 1000, seed: int = 0, progress: Progress = shown
) -> Comparison:
    """Compare two models film by film: every draw of films is the same for both (paired bootstrap).

    Args:
        one, other: predictions for the same films with the same labels; their order may differ.
        draws: bootstrap draws; 0 leaves the intervals NaN.
        seed: of the draws.
        progress: called after each block of draws.

    Raises:
        EvaluationError: other films, other genres or other labels: nothing to pair.
    """
    other = _paired(one, other)
    points = [point for point in one.predicted if point in other.predicted]
    if "balanced" not in points:
        raise EvaluationError("both must have the operating point 'balanced'; evaluate again with: onesheet evaluate")
    measures = [
        Measure(each.labels, each.probabilities, {p: each.predicted[p] for p in points}, each.known)
        for each in (one, other)
    ]
    metrics = _bootstrap_both(measures, len(one), draws=draws, seed=seed, progress=progress)
    each_genre = {("ranking", f"genre {name}"): name for name in ("average_precision", "roc_auc", "calibration_error")}
    each_genre |= {("at balanced", name): name for name in ("precision", "recall", "f1")}
    unknown = False if one.known is None else ~one.known
    right_one, right_other = (
        ((each.predicted["balanced"] == one.labels) | unknown).all(axis=1) for each in (one, other)
    )
    gain = other.log_likelihood - one.log_likelihood
    return Comparison(
        genres=one.genres.names,
        draws=draws,
        ranking=_section(metrics, "ranking"),
        at={point: _section(metrics, f"at {point}") for point in points},
        support=tuple(one.labels.sum(axis=0).tolist()),
        per_genre={name: tuple(metrics[key]) for key, name in each_genre.items()},
        one=one,
        other=other,
        only_one=_falling(right_one & ~right_other, -gain),
        only_other=_falling(right_other & ~right_one, gain),
        both=int((right_one & right_other).sum()),
        neither=int((~right_one & ~right_other).sum()),
    )


def _paired(one: Predictions, other: Predictions) -> Predictions:
    """The other's predictions in the films' order of the first."""
    if one.genres != other.genres:
        strange = sorted({*one.genres.names} ^ {*other.genres.names})
        what = f"only one has {', '.join(strange)}" if strange else "their order differs"
        raise EvaluationError(f"the two know other genres ({what}); evaluate two models of the same genres")
    missing = len({*one.film_ids} ^ {*other.film_ids})
    if missing:
        raise EvaluationError(
            f"the two were measured on other films ({missing:,} are in only one of them); "
            "evaluate both models on the same packed folder and split"
        )
    place = {film_id: row for row, film_id in enumerate(other.film_ids)}
    other = other.rows([place[film_id] for film_id in one.film_ids])
    known, known_to_other = (np.ones_like(each.labels) if each.known is None else each.known for each in (one, other))
    changed = int(((one.labels != other.labels) | (known != known_to_other)).any(axis=1).sum())
    if changed:
        films = "1 film has" if changed == 1 else f"{changed:,} films have"
        raise EvaluationError(
            f"{films} other labels in the two; measure both by the labels of one and compare A with B: "
            "onesheet evaluate RUN_A/genres.onnx RUN_B/packed --out A, "
            "onesheet evaluate RUN_B/genres.onnx RUN_B/packed --out B"
        )
    return other


def _bootstrap_both(
    measures: list[Measure], films: int, *, draws: int, seed: int, progress: Progress
) -> dict[Key, list[Paired]]:
    """Every metric of both and its difference; one entry, or one per genre."""

    def measure(weights: NDArray[np.generic]) -> dict[tuple[str, Key], Floats]:
        one, other = (each(weights) for each in measures)
        named: dict[str, Mapping[Key, Floats]] = {"one": one, "other": other}
        named["difference"] = {key: other[key] - metric for key, metric in one.items()}
        return {(name, key): metric for name, metrics in named.items() for key, metric in metrics.items()}

    found = bootstrap(
        measure, films, draws=draws, seed=seed, signed=lambda key: key[0] == "difference", progress=progress
    )
    scores = {key: each.scores() if each.value.ndim else [each.score()] for key, each in found.items()}
    return {
        key: [Paired(*three) for three in zip(first, scores["other", key], scores["difference", key], strict=True)]
        for (name, key), first in scores.items()
        if name == "one"
    }


def _section(metrics: Mapping[Key, list[Paired]], section: str) -> dict[str, Paired]:
    """The metrics of one section that are not per genre."""
    return {
        name: found[0]
        for (where, name), found in metrics.items()
        if where == section and not name.startswith("genre ") and name not in (*PER_GENRE, "support", "predicted")
    }


def _falling(chosen: NDArray[np.bool_], gain: Floats) -> tuple[int, ...]:
    rows = np.flatnonzero(chosen)
    return tuple(rows[np.argsort(-gain[rows], kind="stable")].tolist())
