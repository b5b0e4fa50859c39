from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from onesheet.training.losses import build_loss

FREQUENCIES = torch.tensor([0.5, 0.2, 0.02])


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, generator=generator, dtype=torch.float64) * 3
    labels = (torch.rand(6, 3, generator=generator) < 0.5).double()
    labels[0] = 0
    return logits, labels


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def by_hand(name: str, z: float, y: float, k: int, row: torch.Tensor) -> float:
    """The published formula of one film-genre pair."""
    p = sigmoid(z)
    if name == "bce":
        return -(y * math.log(p) + (1 - y) * math.log(1 - p))
    if name == "asymmetric":
        shifted = max(p - 0.05, 0)
        return -(y * math.log(p) + (1 - y) * shifted**4 * math.log(1 - shifted))
    if name == "focal":
        return -(y * (1 - p) ** 2 * math.log(p) + (1 - y) * p**2 * math.log(1 - p))
    f = FREQUENCIES.tolist()
    drawn = max(sum(label / share for label, share in zip(row.tolist(), f, strict=True)), 1e-6)
    weight = 0.1 + sigmoid(10 * (1 / f[k] / drawn - 0.2)) if 10 * (1 / f[k] / drawn - 0.2) < 700 else 1.1
    shifted = z - 0.05 * math.log(1 / f[k] - 1)
    return weight * (y * math.log1p(math.exp(-shifted)) + (1 - y) / 5 * math.log1p(math.exp(5 * shifted)))


@pytest.mark.parametrize("name", ["bce", "asymmetric", "focal", "distribution-balanced"])
def test_agrees_with_the_formula_pair_by_pair(name: str) -> None:
    logits, labels = example()
    expected = sum(
        by_hand(name, logits[i, k].item(), labels[i, k].item(), k, labels[i]) for i in range(6) for k in range(3)
    )
    loss = build_loss(name, FREQUENCIES, positive_weights=False)(logits, labels)
    assert loss.item() == pytest.approx(expected / 18, rel=1e-6)


def test_positive_weights_multiply_the_positives_of_rare_genres() -> None:
    logits, labels = example()
    weight = ((1 - FREQUENCIES) / FREQUENCIES).sqrt()
    expected = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
    assert build_loss("bce", FREQUENCIES, positive_weights=True)(logits, labels).item() == pytest.approx(
        expected.item()
    )
    only_positives = torch.ones(4, 3)
    for name in ("asymmetric", "focal", "distribution-balanced"):
        plain = build_loss(name, FREQUENCIES, positive_weights=False)(torch.zeros(4, 3), only_positives)
        assert build_loss(name, FREQUENCIES, positive_weights=True)(torch.zeros(4, 3), only_positives) > plain


@pytest.mark.parametrize("name", ["bce", "asymmetric", "focal", "distribution-balanced"])
def test_extreme_logits_and_mixed_labels_keep_the_gradient_finite(name: str) -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-60.0, 60.0, 1e-3]], requires_grad=True)
    loss = build_loss(name, FREQUENCIES, positive_weights=True)(logits, torch.tensor([[0.3, 1, 0], [1, 0, 0.7]]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["bce", "asymmetric", "focal", "distribution-balanced"])
def test_unknown_labels_are_left_out_of_the_mean_and_of_the_gradient(name: str) -> None:
    logits, labels = example()
    logits.requires_grad_()
    labels[1:4, 1] = torch.nan
    loss = build_loss(name, FREQUENCIES, positive_weights=False)(logits, labels)
    pairs = [(i, k) for i in range(6) for k in range(3) if not labels[i, k].isnan()]
    rows = labels.nan_to_num()
    expected = sum(by_hand(name, logits[i, k].item(), labels[i, k].item(), k, rows[i]) for i, k in pairs)
    assert loss.item() == pytest.approx(expected / len(pairs), rel=1e-6)
    loss.backward()
    assert logits.grad is not None and not logits.grad[1:4, 1].any() and logits.grad[:, 0].any()


def test_a_batch_of_unknown_labels_has_no_loss() -> None:
    assert build_loss("bce", FREQUENCIES, positive_weights=False)(torch.zeros(2, 3), torch.full((2, 3), torch.nan)) == 0
