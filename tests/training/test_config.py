from __future__ import annotations

import math

import pytest

from onesheet.errors import ConfigError
from onesheet.training.config import TrainConfig


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"epochs": 0}, "the --epochs option must be between 1 and 10000; got 0"),
        ({"learning_rate": math.nan}, "--learning-rate option must be between"),
        ({"dropout": 1.0}, "--dropout option must be between 0 and 0.95"),
        ({"loss": "hinge"}, "must be one of bce, asymmetric, focal, distribution-balanced; got 'hinge'"),
        ({"optimizer": "lion"}, "must be one of adamw, adam, sgd"),
        ({"model": "alexnet", "tune": "head"}, "needs a pretrained backbone"),
        ({"model": "alexnet", "start_scale": 0.5}, "leave them out with --tune head, --model alexnet"),
        ({"model": "alexnet", "crop_scale": 0.5}, "leave them out with --tune head, --model alexnet"),
        ({"epochs": "3"}, "the --epochs option must be a whole number; got '3'"),
        ({"epochs": 2.5}, "must be a whole number; got 2.5"),
        ({"widths": 5}, "--widths option must be a list of whole numbers; got 5"),
        ({"augment": 1}, "must be true or false; got 1"),
        ({"start_scale": 0.5, "augment": False}, "--crop-scale and --start-scale need random crops"),
    ],
)
def test_wrong_values_are_rejected_with_the_cure(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**choice)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["alexnet", "poster-cnn", "hf:some/backbone"])
@pytest.mark.parametrize("tune", ["full", "head"])
def test_resolved_leaves_nothing_open_that_training_reads(model: str, tune: str) -> None:
    if tune == "head" and not model.startswith("hf:"):
        return
    resolved = TrainConfig(model=model, tune=tune).resolved()
    for name in ("epochs", "learning_rate", "dropout", "optimizer", "ema"):
        assert getattr(resolved, name) is not None
    assert (resolved.weight_decay is None) == (tune == "head")  # a head's depends on how many films there are
    assert resolved.resolved() == resolved


def test_given_values_survive_resolving() -> None:
    assert TrainConfig(model="alexnet", epochs=3, ema=0.5).resolved().epochs == 3
