"""What is kept of each epoch: the logits and labels of its posters."""

from __future__ import annotations

import torch
from torch import Tensor


class EpochPredictions:
    """Logits and labels of the posters of an epoch, in one tensor.

    Kept batch by batch, they would be placed between the batches and keep the memory of those from being used again
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
