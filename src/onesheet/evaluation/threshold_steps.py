"""What moving one genre's threshold does: films predicted and right at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onesheet.evaluation.array_checks import Labels, Scores
from onesheet.evaluation.ranking_metrics import precision_recall_curve


@dataclass(frozen=True, slots=True)
class ThresholdSteps:
    """One genre.

    Attributes:
        thresholds: K, rising from 0 to 1.
        predicted: films whose probability reaches each threshold.
        right: those of them that have the genre.
        support: films that have the genre.
        points: operating point -> place of its threshold.
    """

    thresholds: tuple[float, ...]
    predicted: tuple[int, ...]
    right: tuple[int, ...]
    support: int
    points: dict[str, int]


def threshold_steps(truth: Labels, probabilities: Scores, *, points: Mapping[str, float]) -> ThresholdSteps:
    """Count at the thresholds of the genre's precision-recall curve, at those of the operating points, at 0 and at 1.

    Args:
        truth: bool N.
        probabilities: float N in [0, 1].
        points: operating point -> the genre's threshold.

    Example:
        >>> truth, probabilities = np.array([True, False, True]), np.array([0.75, 0.5, 0.25])
        >>> steps = threshold_steps(truth, probabilities, points={"balanced": 0.4})
        >>> steps.thresholds, steps.predicted, steps.right, steps.points
        ((0.0, 0.25, 0.4, 0.5, 0.75, 1.0), (3, 3, 2, 2, 1, 0), (2, 2, 1, 1, 1, 0), {'balanced': 2})
    """
    curve = [threshold for _, _, threshold in precision_recall_curve(truth, probabilities)]
    thresholds = np.unique([0.0, 1.0, *curve, *points.values()])
    everyone, having = (np.sort(values.astype(np.float64)) for values in (probabilities, probabilities[truth]))
    predicted, right = (len(values) - np.searchsorted(values, thresholds) for values in (everyone, having))
    return ThresholdSteps(
        thresholds=tuple(thresholds.tolist()),
        predicted=tuple(predicted.tolist()),
        right=tuple(right.tolist()),
        support=int(truth.sum()),
        points={name: int(np.searchsorted(thresholds, value)) for name, value in points.items()},
    )
