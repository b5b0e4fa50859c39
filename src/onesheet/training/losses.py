"""Losses over logits and labels, N×G: labels in [0, 1], as mixed batches have fractions; NaN where one is unknown."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(name: str, frequencies: Tensor, *, positive_weights: bool) -> Loss:
    """The loss called `name`: the mean over all known labels, a scalar.

    Args:
        name: "bce", "asymmetric", "focal" or "distribution-balanced".
        frequencies: share of training films that have each genre, float G, in (0, 1).
        positive_weights: multiply the positives' part by sqrt((1 - f) / f): the square root keeps the rarest
            genres from drowning the rest.
    """
    weights = ((1 - frequencies) / frequencies).sqrt() if positive_weights else torch.ones_like(frequencies)

    @cache  # a copy to a GPU would wait for all that the GPU has still to do
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return weights.to(device), frequencies.to(device)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        known = ~labels.isnan()
        each = _LOSSES[name](logits, labels.nan_to_num(), *on(logits.device))
        return each.where(known, 0).sum() / known.sum().clamp(min=1)

    return loss


def _bce(logits: Tensor, labels: Tensor, weights: Tensor, _: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none")


def _asymmetric(
    logits: Tensor, labels: Tensor, weights: Tensor, _: Tensor, *, focus: float = 4.0, margin: float = 0.05
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021), with its γ+ = 0, γ- = 4, m = 0.05."""
    probabilities = torch.sigmoid(logits)
    shifted = (probabilities - margin).clamp(min=0)
    positive = weights * labels * F.logsigmoid(logits)
    negative = (1 - labels) * torch.log1p(-shifted.clamp(max=1 - 1e-6)) * shifted**focus
    return -(positive + negative)


def _focal(logits: Tensor, labels: Tensor, weights: Tensor, _: Tensor, *, focus: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017), γ = 2."""
    probabilities = torch.sigmoid(logits)
    positive = weights * labels * F.logsigmoid(logits) * (1 - probabilities) ** focus
    negative = (1 - labels) * F.logsigmoid(-logits) * probabilities**focus
    return -(positive + negative)


def _distribution_balanced(logits: Tensor, labels: Tensor, weights: Tensor, frequencies: Tensor) -> Tensor:
    """Distribution-balanced loss (Wu et al. 2020): re-balanced weights and negative-tolerant regularisation.

    Its constants: α = 0.1, β = 10, μ = 0.2; λ = 5, κ = 0.05. In a mixed batch, labels count by their share.
    """
    expected = 1 / frequencies
    drawn = (labels * expected).sum(1, keepdim=True).clamp(min=1e-6)
    rebalance = 0.1 + torch.sigmoid(10 * (expected / drawn - 0.2))
    shifted = logits - 0.05 * torch.log(expected - 1)
    positive = weights * labels * F.logsigmoid(shifted)
    negative = (1 - labels) * F.logsigmoid(-5 * shifted) / 5
    return -rebalance * (positive + negative)


_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "bce": _bce,
    "asymmetric": _asymmetric,
    "focal": _focal,
    "distribution-balanced": _distribution_balanced,
}
