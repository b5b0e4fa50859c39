"""The answers of an epoch, kept for its metrics."""

from __future__ import annotations

import torch
from torch import Tensor


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
