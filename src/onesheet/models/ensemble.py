"""Ensemble: several networks that answer together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onesheet.models.network import Output, resized_map


class Ensemble(nn.Module):
    """The mean of the networks' logits and of their evidence, with their embeddings side by side.

    Args:
        networks: of the same genres and poster size, outside of training.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, posters: Tensor) -> Output:
        """Posters, float N×3×H×W in [0, 1] -> Output; evidence where every network has it, as large as the first's."""
        logits, embeddings, maps = zip(*(network(posters) for network in self.networks), strict=True)
        evidence = None
        if all(one is not None for one in maps):
            evidence = torch.stack([resized_map(one, maps[0].shape[-2:]) for one in maps]).mean(0)
        return Output(torch.stack(logits).mean(0), torch.cat(embeddings, 1), evidence)
