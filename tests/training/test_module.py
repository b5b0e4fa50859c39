"""What the optimiser trains."""

from __future__ import annotations

from onesheet.models import build_network
from onesheet.training.module import parameter_groups


def test_every_parameter_is_trained_once_and_only_weights_decay() -> None:
    trained = build_network("poster-cnn", genres=3, size=(32, 32), widths=(8, 8, 8, 8))
    groups = parameter_groups(trained, 0.05)
    parameters = [p for group in groups for p in group["params"]]
    assert {id(p) for p in parameters} == {id(p) for p in trained.parameters()}
    assert len(parameters) == len(list(trained.parameters()))
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.05) for p in group["params"])
