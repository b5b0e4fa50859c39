"""Batches as the network sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from onesheet.training import TrainConfig
from onesheet.training.augment import Augmenting, as_floats, random_colour, random_resized_crop
from onesheet.training.loader import BatchLoader


def crops(posters: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    return random_colour(random_resized_crop(posters, generator, size=size, area=(0.5, 1)), generator)


def augmenting(**choices: object) -> Augmenting:
    return Augmenting(TrainConfig(model="poster-cnn", epochs=3, start_scale=0.5, **choices), crops)  # type: ignore[arg-type]


def loader(augment: Augmenting | None) -> BatchLoader:
    posters = np.random.default_rng(0).integers(0, 256, (10, 64, 48, 3), dtype=np.uint8)
    labels = (np.arange(1, 11)[:, None] >> np.arange(4)) % 2 == 1
    rows = np.arange(10)
    return BatchLoader(posters, labels, labels.astype(np.float32), rows, batch_size=4, seed=1, transform=augment)


@pytest.mark.parametrize("mix", [{}, {"cutmix": 1.0}])
def test_the_loader_augments_as_asked_by_the_epoch(mix: dict[str, float]) -> None:
    augmented = augmenting(**mix)
    early, late, mixed = loader(augmented), loader(None), False
    for epoch, side in enumerate([32, 48, 64]):  # crops grow in a line
        for one, other in zip(early, late, strict=True):
            assert torch.equal(one.inputs, augmented(other, epoch).inputs)
            assert torch.equal(one.targets, augmented(other, epoch).targets)
            mixed |= not torch.equal(one.targets, one.labels)
            assert one.inputs.shape[2] == side and one.inputs.is_contiguous(memory_format=torch.channels_last)
    assert mixed == bool(mix)


def test_validation_sees_posters_as_they_are() -> None:
    batch = next(iter(loader(None)))
    plain = as_floats(batch)
    assert torch.equal(plain.inputs, batch.inputs.permute(0, 3, 1, 2) / 255) and plain.targets is batch.targets
    assert plain.inputs.is_contiguous(memory_format=torch.channels_last)
    unchanged = Augmenting(TrainConfig(model="poster-cnn"))(batch, 0)
    assert torch.equal(unchanged.inputs, plain.inputs) and unchanged.targets is batch.targets
