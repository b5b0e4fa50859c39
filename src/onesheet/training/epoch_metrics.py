"""The figures told after each epoch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onesheet.evaluation import average_precision, decision_figures, roc_auc

EPOCH_FIGURES = ("precision", "recall", "f1", "map", "roc_auc")


class EpochAnswers:
    """Logits and labels of the posters of an epoch, in one tensor that grows by doubling, where they were computed.

    Kept one by one, they would lie between the batches, and keep the memory of those from being used again.

    Args:
        genres: G.
    """

    def __init__(self, genres: int) -> None:
        self._room = torch.empty(2, 0, genres)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take up a batch, float n×G each."""
        end = self._count + len(logits)
        if end > self._room.shape[1]:
            larger = logits.new_empty(2, max(end, 2 * self._count), self._room.shape[2])
            larger[:, : self._count] = self._room[:, : self._count]
            self._room = larger
        self._room[0, self._count : end], self._room[1, self._count : end] = logits, labels
        self._count = end

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        """Logits and labels, float32 N×G."""
        logits, labels = self._room[:, : self._count]
        return logits, labels


def epoch_figures(labels: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> dict[str, float]:
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
