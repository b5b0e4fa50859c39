"""Everything that is measured on one part of a catalogue, with intervals, beside the trivial baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.errors import EvaluationError
from onesheet.evaluation.baselines import baseline_decisions, prior
from onesheet.evaluation.bootstrap import Intervals, bootstrap, weighted_sums
from onesheet.evaluation.checks import Floats, Labels, Scores, as_labels, as_probabilities
from onesheet.evaluation.confusion import confusion_matrix, count_together
from onesheet.evaluation.decisions import PER_GENRE, decision_figures, mean_of_defined
from onesheet.evaluation.operating import OperatingPoint, Thresholds
from onesheet.evaluation.order import ranking_loss, top_hit
from onesheet.evaluation.ranking import Ranking, precision_recall_curve
from onesheet.evaluation.reliability import calibration_errors, reliability
from onesheet.evaluation.results import Evaluation, GenreAtPoint, GenreResult, Score
from onesheet.genres import GenreSet
from onesheet.progress import Progress, silent

Key = tuple[str, str]  # (what is measured, figure)


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    genres: GenreSet | Sequence[str],
    points: Mapping[str, OperatingPoint],
    train_labels: ArrayLike,
    part: str = "test",
    draws: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Measure probabilities against labels: every figure with a 95 % bootstrap interval over films.

    Args:
        labels: bool N×G.
        probabilities: calibrated, float N×G in [0, 1].
        genres: G names in column order.
        points: operating points by name; "0.5" is added. Confusion and co-occurrence are taken at "balanced",
            or at "0.5" if there is none.
        train_labels: bool M×G: what the trivial baselines know.
        part: "train", "validation" or "test".
        draws: bootstrap draws; 0 leaves the intervals NaN.
        seed: of the draws.
        progress: told after each block of draws.

    Raises:
        EvaluationError: shapes or values do not fit.
    """
    truth = as_labels(labels)
    values = as_probabilities(probabilities, truth)
    seen = as_labels(train_labels, name="train_labels")
    names = genres.names if isinstance(genres, GenreSet) else tuple(genres)
    if not len(names) == truth.shape[1] == seen.shape[1]:
        raise EvaluationError(
            f"labels, genres and train_labels must have as many genres; "
            f"got {truth.shape[1]}, {len(names)} and {seen.shape[1]}"
        )
    all_points = {**points, "0.5": Thresholds((0.5,) * len(names))}
    given = {name: point.decide(values) for name, point in all_points.items()}
    measured = bootstrap(_Measure(truth, values, given, seen), len(truth), draws=draws, seed=seed, progress=progress)
    shown = given.get("balanced", given["0.5"])
    return Evaluation(
        part=part,
        films=len(truth),
        genres=names,
        draws=draws,
        ranking=_section(measured, "ranking"),
        at={name: _section(measured, f"at {name}") for name in all_points},
        baselines={name: _section(measured, f"baseline {name}") for name in baseline_decisions(seen)},
        per_genre=_genre_results(names, truth, values, all_points, measured),
        reliability=reliability(truth, values),
        confusion=tuple(tuple(row) for row in confusion_matrix(truth, shown).astype(float).tolist()),
        cooccurrence_true=tuple(map(tuple, count_together(truth, truth).tolist())),
        cooccurrence_given=tuple(map(tuple, count_together(shown, shown).tolist())),
    )


class _Measure:
    """Weights B×N -> every figure, float B or B×G, by key; sorts once, when it is made."""

    def __init__(self, truth: Labels, values: Scores, given: Mapping[str, Labels], seen: Labels) -> None:
        self._truth, self._values = truth, values
        self._prior = np.broadcast_to(prior(seen), truth.shape)
        answers = {name: np.broadcast_to(row, truth.shape) for name, row in baseline_decisions(seen).items()}
        self._given = {f"at {name}": table for name, table in given.items()}
        self._given |= {f"baseline {name}": table for name, table in answers.items()}
        self._genres = [Ranking(truth[:, genre], values[:, genre]) for genre in range(truth.shape[1])]
        self._pairs = Ranking(truth.ravel(), values.ravel())

    def __call__(self, weights: NDArray[np.generic]) -> dict[Key, Floats]:
        figures: dict[Key, Floats] = {}
        for section, given in self._given.items():
            found = decision_figures(self._truth, given, weights=weights)
            figures |= {(section, name): figure for name, figure in found.items()}
        ranking = self._ranking(weights) | self._by_film(self._values, weights)
        films, support = weights.sum(axis=1, dtype=np.float64), figures["at 0.5", "support"]
        trivial = self._prior_ranking(films, support) | self._by_film(self._prior, weights)
        figures |= {("ranking", name): figure for name, figure in ranking.items()}
        return figures | {("baseline prior", name): figure for name, figure in trivial.items()}

    def _ranking(self, weights: NDArray[np.generic]) -> dict[str, Floats]:
        genre_figures = np.empty((2, len(weights), len(self._genres)))
        pooled = np.empty((3, len(weights)))
        for draw, weight in enumerate(weights.astype(np.float64)):
            for genre, ranking in enumerate(self._genres):
                counts = ranking.counts(weight)
                genre_figures[:, draw, genre] = counts.average_precision(), counts.roc_auc()
            counts = self._pairs.counts(np.repeat(weight, len(self._genres)))
            pooled[:, draw] = counts.average_precision(), counts.roc_auc(), counts.recall_at_precision(0.6)
        return _ranking_figures(genre_figures, pooled)

    def _prior_ranking(self, films: Floats, support: Floats) -> dict[str, Floats]:
        """The prior gives all films the same, so its ranking needs only how many have each genre."""
        genres = support.shape[1]
        shares = self._prior[0]
        pairs = Ranking(np.repeat([True, False], genres), np.concatenate([shares, shares]))
        none, all_ = support == 0, support == films[:, None]
        precision = np.where(none, np.nan, support / films[:, None])
        genre_figures = np.stack([precision, np.where(none | all_, np.nan, 0.5)])
        pooled = [
            (counts.average_precision(), counts.roc_auc(), counts.recall_at_precision(0.6))
            for counts in map(pairs.counts, np.concatenate([support, films[:, None] - support], axis=1))
        ]
        return _ranking_figures(genre_figures, np.array(pooled).T)

    def _by_film(self, scores: Scores, weights: NDArray[np.generic]) -> dict[str, Floats]:
        def columns(films: slice) -> Floats:
            truth, part = self._truth[films], scores[films]
            hits = [top_hit(truth, part, k=k) for k in (1, 3)]
            return np.stack([ranking_loss(truth, part), *hits], axis=1)

        loss, first, third = (weighted_sums(weights, columns) / weights.sum(axis=1)[:, None]).T
        pooled, each = calibration_errors(self._truth, scores, weights)
        return {
            "ranking_loss": loss,
            "top1_hit": first,
            "top3_hit": third,
            "calibration_error": pooled,
            "genre calibration_error": each,
        }


def _ranking_figures(genre_figures: Floats, pooled: Floats) -> dict[str, Floats]:
    precision, roc_auc = genre_figures
    return {
        "macro_average_precision": mean_of_defined(precision),
        "micro_average_precision": pooled[0],
        "macro_roc_auc": mean_of_defined(roc_auc),
        "micro_roc_auc": pooled[1],
        "recall_at_precision_60": pooled[2],
        "genre average_precision": precision,
        "genre roc_auc": roc_auc,
    }


def _section(measured: Mapping[Key, Intervals], section: str) -> dict[str, Score]:
    """The figures of one section that are not per genre."""
    return {
        name: found.score() for (where, name), found in measured.items() if where == section and not found.value.ndim
    }


def _genre_results(
    names: tuple[str, ...],
    truth: Labels,
    values: Scores,
    points: Mapping[str, OperatingPoint],
    measured: Mapping[Key, Intervals],
) -> tuple[GenreResult, ...]:
    scores = {key: found.scores() for key, found in measured.items() if found.value.ndim}

    def at(point: str, genre: int) -> GenreAtPoint:
        rule = points[point]
        return GenreAtPoint(
            threshold=rule.thresholds[genre] if isinstance(rule, Thresholds) else None,
            given=int(scores[f"at {point}", "given"][genre].value),
            **{name: scores[f"at {point}", name][genre] for name in PER_GENRE},
        )

    ranking = ("average_precision", "roc_auc", "calibration_error")
    return tuple(
        GenreResult(
            genre=name,
            support=int(truth[:, genre].sum()),
            share=float(truth[:, genre].mean()),
            at={point: at(point, genre) for point in points},
            curve=precision_recall_curve(truth[:, genre], values[:, genre]),
            **{figure: scores["ranking", f"genre {figure}"][genre] for figure in ranking},
        )
        for genre, name in enumerate(names)
    )
