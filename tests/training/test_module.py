"""What the optimiser trains, and at which rate."""

from __future__ import annotations

from itertools import pairwise

import pytest
from torch import nn

from onesheet.models import build_network
from onesheet.training.module import LAYER_STEPS, parameter_groups


def network() -> nn.Module:
    return build_network("poster-cnn", genres=3, size=(32, 32), widths=(8, 8, 8, 8))


@pytest.mark.parametrize("first_layer_rate", [1.0, 0.1])
def test_every_parameter_is_trained_once_and_only_weights_decay(first_layer_rate: float) -> None:
    trained = network()
    groups = parameter_groups(trained, 1e-3, 0.05, first_layer_rate)
    parameters = [p for group in groups for p in group["params"]]
    assert {id(p) for p in parameters} == {id(p) for p in trained.parameters()}
    assert len(parameters) == len(list(trained.parameters()))
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.05) for p in group["params"])


def test_learning_rates_rise_geometrically_from_the_first_layer_to_the_head() -> None:
    trained = network()
    groups = parameter_groups(trained, 1e-3, 0.05, 0.01)
    rates = [group["lr"] for group in groups[::2]]
    assert len(rates) == LAYER_STEPS
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] == pytest.approx(1e-3)
    ratios = [later / earlier for earlier, later in pairwise(rates)]
    assert ratios == pytest.approx([100 ** (1 / 9)] * 9)
    first, *_, last = trained.parameters()
    assert any(p is first for group in groups[:2] for p in group["params"])
    assert any(p is last for group in groups[-2:] for p in group["params"])
