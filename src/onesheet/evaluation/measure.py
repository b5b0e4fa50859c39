"""Every metric of one model on one set of films, under any weighting of the films."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.array_checks import Floats, Labels, Scores
from onesheet.evaluation.baselines import baseline_decisions, prior
from onesheet.evaluation.bootstrap import weighted_sums
from onesheet.evaluation.precision_recall import decision_metrics, mean_of_defined
from onesheet.evaluation.ranking_metrics import Pooled, Ranking, genre_rankings, ranking_loss, top_hit
from onesheet.evaluation.reliability import calibration_errors

Key = tuple[str, str]  # (what is measured, metric)


class Measure:
    """Weights B×N -> every metric, float B or B×G, by key; sorts once, when it is made.

    Args:
        truth: bool N×G.
        values: probabilities, float N×G.
        predicted: operating point -> bool N×G.
        known: bool N×G, the labels to measure by; None = all.
    """

    def __init__(
        self, truth: Labels, values: Scores, predicted: Mapping[str, Labels], known: Labels | None = None
    ) -> None:
        self._truth, self._values, self._predicted, self._known = truth, values, predicted, known
        self._genres = genre_rankings(truth, values, known)
        self._pairs = Pooled(truth, values, known)

    def __call__(self, weights: NDArray[np.generic]) -> dict[Key, Floats]:
        """Measure B weightings."""
        metrics: dict[Key, Floats] = {}
        for point, predicted in self._predicted.items():
            found = decision_metrics(self._truth, predicted, weights=weights, known=self._known)
            metrics |= {(f"at {point}", name): metric for name, metric in found.items()}
        ranking = self._ranking(weights) | _by_film(self._truth, self._values, weights, self._known)
        return metrics | {("ranking", name): metric for name, metric in ranking.items()}

    def _ranking(self, weights: NDArray[np.generic]) -> dict[str, Floats]:
        genre_metrics = np.empty((2, len(weights), len(self._genres)))
        pooled = np.empty((3, len(weights)))
        for draw, row in enumerate(weights):
            weight = row.astype(np.float64)  # one draw at a time: of a million films all of a block are 250 MB
            for genre, (ranking, films) in enumerate(self._genres):
                counts = ranking.counts(weight[films])
                genre_metrics[:, draw, genre] = counts.average_precision(), counts.roc_auc()
            counts = self._pairs.counts(weight)
            pooled[:, draw] = counts.average_precision(), counts.roc_auc(), counts.recall_at_precision(0.6)
        return _ranking_metrics(genre_metrics, pooled)


class BaselineMeasure:
    """The same of the baselines: keys ("baseline <name>", metric).

    Args:
        truth: bool N×G.
        seen: the training films' labels, bool M×G: what the baselines know.
        known: bool N×G, the labels to measure by; None = all.
    """

    def __init__(self, truth: Labels, seen: Labels, known: Labels | None = None) -> None:
        self._truth, self._shares, self._known = truth, prior(seen), known
        self._predicted = {name: np.broadcast_to(row, truth.shape) for name, row in baseline_decisions(seen).items()}

    def __call__(self, weights: NDArray[np.generic]) -> dict[Key, Floats]:
        """Measure B weightings."""
        metrics: dict[Key, Floats] = {}
        for name, predicted in self._predicted.items():
            found = decision_metrics(self._truth, predicted, weights=weights, known=self._known)
            metrics |= {(f"baseline {name}", metric): value for metric, value in found.items()}
        support = metrics["baseline nothing", "support"]
        films = np.broadcast_to(weights.sum(axis=1, dtype=np.float64)[:, None], support.shape)
        if (known := self._known) is not None:
            films = weighted_sums(weights, lambda part: known[part].astype(np.float64))
        scores = np.broadcast_to(self._shares, self._truth.shape)
        ranking = self._ranking(films, support) | _by_film(self._truth, scores, weights, self._known)
        return metrics | {("baseline prior", metric): value for metric, value in ranking.items()}

    def _ranking(self, films: Floats, support: Floats) -> dict[str, Floats]:
        """The prior gives all films the same, so its ranking needs only how many have each genre, of how many."""
        genres = support.shape[1]
        shares = self._shares
        pairs = Ranking(np.repeat([True, False], genres), np.concatenate([shares, shares]))
        none, all_ = support == 0, support == films
        precision = np.where(none, np.nan, support / np.maximum(films, 1e-300))
        genre_metrics = np.stack([precision, np.where(none | all_, np.nan, 0.5)])
        pooled = [
            (counts.average_precision(), counts.roc_auc(), counts.recall_at_precision(0.6))
            for counts in map(pairs.counts, np.concatenate([support, films - support], axis=1))
        ]
        return _ranking_metrics(genre_metrics, np.array(pooled).T)


def _by_film(truth: Labels, scores: Scores, weights: NDArray[np.generic], known: Labels | None) -> dict[str, Floats]:
    counted = scores if known is None else np.where(known, scores, -np.inf)

    def columns(films: slice) -> Floats:
        hits = [top_hit(truth[films], counted[films], k=k) for k in (1, 3)]
        return np.stack([ranking_loss(truth[films], counted[films]), *hits], axis=1)

    loss, first, third = (weighted_sums(weights, columns) / weights.sum(axis=1)[:, None]).T
    pooled, each = calibration_errors(truth, scores, weights, known)
    return {
        "ranking_loss": loss,
        "top1_hit": first,
        "top3_hit": third,
        "calibration_error": pooled,
        "genre calibration_error": each,
    }


def _ranking_metrics(genre_metrics: Floats, pooled: Floats) -> dict[str, Floats]:
    precision, roc_auc = genre_metrics
    return {
        "macro_average_precision": mean_of_defined(precision),
        "micro_average_precision": pooled[0],
        "macro_roc_auc": mean_of_defined(roc_auc),
        "micro_roc_auc": pooled[1],
        "recall_at_precision_60": pooled[2],
        "genre average_precision": precision,
        "genre roc_auc": roc_auc,
    }
