"""A batch of posters as the network sees it: floats, in training augmented and mixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from onesheet.training.augment import Augmentation, cutmix, mixup
from onesheet.training.config import TrainConfig
from onesheet.training.loader import Batch


@dataclass(frozen=True, eq=False)
class Augmenting:
    """Posters to floats and, in training, augmented and mixed; features and prepared posters stay as they are.

    Attributes:
        config: resolved choices.
        augment: changes a batch of posters in training, or None.
    """

    config: TrainConfig
    augment: Augmentation | None = None

    def __call__(self, batch: Batch, epoch: int | None) -> Batch:
        """uint8 N×H×W×3 posters -> float N×3×H×W in [0, 1], channels last; `epoch` from 0, None in validation."""
        if batch.inputs.dtype != torch.uint8:
            return batch
        inputs, targets = batch.inputs.permute(0, 3, 1, 2).float().div_(255), batch.targets
        if epoch is not None:
            generator = torch.Generator().manual_seed(batch.seed)
            if self.augment:
                inputs = self.augment(inputs, generator, self._crop_size(inputs, epoch))
            inputs, targets = self._mix(inputs, targets, generator)
        # Resampling and mixing return NCHW, in which a step of MobileNetV2 takes 1.25 times as long.
        return batch._replace(inputs=inputs.contiguous(memory_format=torch.channels_last), targets=targets)

    def _crop_size(self, posters: Tensor, epoch: int) -> tuple[int, int]:
        """H, W of this epoch's crops: smaller crops first cost less and teach as much (Tan and Le 2021).

        A crop shows things larger than the whole poster does: one of fewer pixels shows them at the size at which the
        network will see them (Touvron et al. 2019).
        """
        last, start = (self.config.epochs or 1) - 1, self.config.start_scale
        scale = self.config.crop_scale * (start + (1 - start) * epoch / last if last else 1.0)
        height, width = posters.shape[-2:]
        return (height, width) if scale == 1 else (max(16, round(height * scale)), max(16, round(width * scale)))

    def _mix(self, posters: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chance = float(torch.rand(1, generator=generator))
        if chance < self.config.cutmix:
            return cutmix(posters, targets, generator)
        if chance < self.config.cutmix + self.config.mixup:
            return mixup(posters, targets, generator)
        return posters, targets
