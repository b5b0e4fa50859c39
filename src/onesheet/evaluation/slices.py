"""How good a model is on films of one kind: of a decade, of a source, with small posters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.array_checks import Floats, Labels, Scores
from onesheet.evaluation.bootstrap import bootstrap
from onesheet.evaluation.precision_recall import decision_metrics
from onesheet.evaluation.ranking_metrics import top_hit
from onesheet.evaluation.results import Score

METRICS = ("micro_precision", "micro_recall", "micro_f1", "exact_match", "top1_hit")


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the evaluated films.

    Attributes:
        name: what they have in common ("1990s").
        films: how many.
        metrics: those of `METRICS`.
    """

    name: str
    films: int
    metrics: dict[str, Score]


def slice_metrics(
    labels: Labels,
    probabilities: Scores,
    predicted: Labels,
    *,
    groups: Mapping[str, NDArray[np.int64]],
    known: Labels | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Measure each group of films alone, with 95% bootstrap intervals.

    Args:
        labels: bool N×G.
        probabilities: float N×G.
        predicted: genres predicted at the balanced point, bool N×G.
        groups: name -> rows, at least one each.
        known: bool N×G, the labels that are known; None = all.
        draws, seed: as `evaluate`.
    """
    return tuple(
        Slice(
            name,
            len(rows),
            _metrics(
                labels[rows],
                probabilities[rows],
                predicted[rows],
                None if known is None else known[rows],
                draws=draws,
                seed=seed,
            ),
        )
        for name, rows in groups.items()
    )


def _metrics(
    labels: Labels, probabilities: Scores, predicted: Labels, known: Labels | None, *, draws: int, seed: int
) -> dict[str, Score]:
    counted = probabilities if known is None else np.where(known, probabilities, -np.inf)
    first = top_hit(labels, counted, k=1).astype(np.float64)

    def measure(weights: NDArray[np.generic]) -> dict[str, Floats]:
        found = decision_metrics(labels, predicted, weights=weights, known=known)
        found["top1_hit"] = weights.astype(np.float64) @ first / weights.sum(axis=1)
        return {name: found[name] for name in METRICS}

    return {name: found.score() for name, found in bootstrap(measure, len(labels), draws=draws, seed=seed).items()}
