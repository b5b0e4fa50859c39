"""Everything that is measured on one split of a catalogue, with intervals, beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import Labels, Scores, as_known, as_labels, as_probabilities
from onesheet.evaluation.baselines import baseline_decisions
from onesheet.evaluation.bootstrap import Intervals, bootstrap
from onesheet.evaluation.caveats import too_few
from onesheet.evaluation.confusion import count_together
from onesheet.evaluation.measure import BaselineMeasure, Key, Measure
from onesheet.evaluation.operating_points import OperatingPoint, Thresholds
from onesheet.evaluation.precision_recall import PER_GENRE
from onesheet.evaluation.ranking_metrics import precision_recall_curve
from onesheet.evaluation.reliability import genre_reliability, reliability
from onesheet.evaluation.results import Evaluation, GenreAtPoint, GenreResult, Score
from onesheet.genres import GenreSet
from onesheet.progress import Progress, shown


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    genres: GenreSet | Sequence[str],
    points: Mapping[str, OperatingPoint],
    train_labels: ArrayLike,
    known: ArrayLike | None = None,
    split: str = "test",
    draws: int = 1000,
    seed: int = 0,
    caveats: Sequence[str] = (),
    progress: Progress = shown,
) -> Evaluation:
    """Measure probabilities against labels: every metric with a 95% bootstrap interval over films.

    Args:
        labels: bool N×G.
        probabilities: calibrated, float N×G in [0, 1].
        genres: G names in column order.
        points: operating points by name; "0.5" is added. Confusion and co-occurrence are taken at "balanced",
            or at "0.5" if there is none.
        train_labels: bool M×G: what the baselines know.
        known: bool N×G, the labels to measure by; None = all. A film with an unknown label is left out of exact match.
        split: "train", "validation" or "test".
        draws: bootstrap draws; 0 leaves the intervals NaN.
        seed: of the draws.
        caveats: sentences to know before the metrics are believed; genres with too few films are added.
        progress: called after each block of draws.

    Raises:
        EvaluationError: shapes or values do not fit.
    """
    names = genres.names if isinstance(genres, GenreSet) else tuple(genres)
    truth, values, seen = _checked(labels, probabilities, train_labels, names)
    sure = as_known(known, truth)
    if sure is not None:
        truth = truth & sure
    all_points = {**points, "0.5": Thresholds((0.5,) * len(names))}
    predicted = {name: point.decide(values) for name, point in all_points.items()}
    model, baseline = Measure(truth, values, predicted, sure), BaselineMeasure(truth, seen, sure)
    measured = bootstrap(
        lambda weights: model(weights) | baseline(weights), len(truth), draws=draws, seed=seed, progress=progress
    )
    shown = predicted.get("balanced", predicted["0.5"])
    judged = shown if sure is None else shown & sure
    few = too_few(names, *(table.sum(axis=0).tolist() for table in (truth, judged, truth & shown)))
    return Evaluation(
        split=split,
        films=len(truth),
        genres=names,
        draws=draws,
        ranking=_section(measured, "ranking"),
        at={name: _section(measured, f"at {name}") for name in all_points},
        baselines={name: _section(measured, f"baseline {name}") for name in baseline_decisions(seen)},
        per_genre=_genre_results(names, truth, values, all_points, measured, sure),
        reliability=reliability(truth, values, sure),
        confusion=tuple(map(tuple, count_together(truth, shown).tolist())),
        cooccurrence_true=tuple(map(tuple, count_together(truth, truth).tolist())),
        cooccurrence_predicted=tuple(map(tuple, count_together(shown, shown).tolist())),
        caveats=(*caveats, *few),
    )


def _checked(
    labels: ArrayLike, probabilities: ArrayLike, train_labels: ArrayLike, names: Sequence[str]
) -> tuple[Labels, Scores, Labels]:
    """Labels, probabilities and training labels, as arrays that fit together."""
    truth, seen = as_labels(labels), as_labels(train_labels, name="train_labels")
    values = as_probabilities(probabilities, truth)
    if not len(names) == truth.shape[1] == seen.shape[1]:
        raise EvaluationError(
            f"labels, genres and train_labels must have as many genres; "
            f"got {truth.shape[1]}, {len(names)} and {seen.shape[1]}"
        )
    return truth, values, seen


def _section(measured: Mapping[Key, Intervals], section: str) -> dict[str, Score]:
    """The metrics of one section that are not per genre."""
    return {
        name: found.score() for (where, name), found in measured.items() if where == section and not found.value.ndim
    }


def _genre_results(
    names: tuple[str, ...],
    truth: Labels,
    values: Scores,
    points: Mapping[str, OperatingPoint],
    measured: Mapping[Key, Intervals],
    known: Labels | None,
) -> tuple[GenreResult, ...]:
    scores = {key: found.scores() for key, found in measured.items() if found.value.ndim}

    def at(point: str, genre: int) -> GenreAtPoint:
        rule = points[point]
        return GenreAtPoint(
            threshold=rule.thresholds[genre] if isinstance(rule, Thresholds) else None,
            predicted=int(scores[f"at {point}", "predicted"][genre].value),
            **{name: scores[f"at {point}", name][genre] for name in PER_GENRE},
        )

    ranking = ("average_precision", "roc_auc", "calibration_error")
    found = []
    for genre, name in enumerate(names):
        films = slice(None) if known is None else known[:, genre]
        labels, probabilities = truth[films, genre], values[films, genre]
        found.append(
            GenreResult(
                genre=name,
                support=int(labels.sum()),
                share=float(labels.mean()) if len(labels) else float("nan"),
                at={point: at(point, genre) for point in points},
                curve=precision_recall_curve(labels, probabilities),
                reliability=genre_reliability(labels, probabilities),
                **{metric: scores["ranking", f"genre {metric}"][genre] for metric in ranking},
            )
        )
    return tuple(found)
