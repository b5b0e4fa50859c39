"""The figures told after each epoch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onesheet.evaluation import average_precision, decision_figures, roc_auc

EPOCH_METRICS = ("precision", "recall", "f1", "map", "roc_auc")


class EpochPredictions:
    """Logits and labels of the posters of an epoch, in one tensor.

    Kept batch by batch, they would lie between the batches and keep the memory of those from being used again
    (benchmarks/NOTES.md).

    Args:
        rows: room for so many posters; those that come later are dropped.
        genres: G.
    """

    def __init__(self, rows: int, genres: int) -> None:
        self._both = torch.empty(2, rows, genres)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take up a batch, float n×G each."""
        self._both = self._both.to(logits.device)
        start, end = self._count, min(self._count + len(logits), self._both.shape[1])
        self._both[0, start:end], self._both[1, start:end] = logits[: end - start], labels[: end - start]
        self._count = end

    def clear(self) -> None:
        """Begin another epoch."""
        self._count = 0

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        """Logits and labels, float32 N×G."""
        logits, labels = self._both[:, : self._count]
        return logits, labels


def epoch_metrics(labels: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> dict[str, float]:
    """Micro precision, recall and F1 at 0.5, macro average precision and macro ROC-AUC.

    Args:
        labels: bool N×G.
        probabilities: float N×G in [0, 1].

    Returns:
        precision, recall, f1, map, roc_auc; a genre without films is left out of the macro means.
    """
    decided = decision_figures(labels, probabilities >= 0.5)
    return {
        "precision": float(decided["micro_precision"]),
        "recall": float(decided["micro_recall"]),
        "f1": float(decided["micro_f1"]),
        "map": _mean(average_precision(labels, probabilities)),
        "roc_auc": _mean(roc_auc(labels, probabilities)),
    }


def _mean(values: NDArray[np.floating]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
