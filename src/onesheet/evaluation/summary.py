"""The five metrics of every epoch and of every model file's card."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.precision_recall import decision_metrics
from onesheet.evaluation.ranking_metrics import average_precision, roc_auc

SUMMARY_METRICS = ("precision", "recall", "f1", "map", "roc_auc")


def summary_metrics(
    labels: NDArray[np.bool_], probabilities: NDArray[np.floating], *, known: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Micro precision, recall and F1 at 0.5, macro average precision and macro ROC-AUC.

    Args:
        labels: bool N×G.
        probabilities: float N×G in [0, 1].
        known: bool N×G, the labels to measure by; None = all.

    Returns:
        precision, recall, f1, map, roc_auc; a genre without films is left out of the macro means.
    """
    decided = decision_metrics(labels, probabilities >= 0.5, known=known)
    return {
        "precision": float(decided["micro_precision"]),
        "recall": float(decided["micro_recall"]),
        "f1": float(decided["micro_f1"]),
        "map": _mean(average_precision(labels, probabilities, known=known)),
        "roc_auc": _mean(roc_auc(labels, probabilities, known=known)),
    }


def _mean(values: NDArray[np.floating]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
