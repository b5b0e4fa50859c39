"""Batch norm over the posters of all processes: a step is then the same however many share it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SharedBatchNorm(LayerSync):
    """Lightning's place for it, on the CPU; torch's own SyncBatchNorm knows GPUs alone."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Make every batch norm of a model a shared one."""
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                vars(layer)["forward"] = _Shared(layer)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Make them what they were."""
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                vars(layer).pop("forward", None)
        return model


class _Shared:
    """The forward of one layer."""

    def __init__(self, layer: _BatchNorm) -> None:
        self._layer = layer

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps N×C×… -> the same, normalised by the mean and variance over all processes' N."""
        layer = self._layer
        if not layer.training:
            plain: Tensor = type(layer).forward(layer, maps)
            return plain
        axes = [axis for axis in range(maps.ndim) if axis != 1]
        shape = [1, -1, *[1] * (maps.ndim - 2)]
        values = maps.float()
        count = _summed(values.new_tensor([values.numel() / values.shape[1]]))
        mean = _summed(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _summed(centred.square().sum(axes)) / count
        self._remember(mean.detach(), (variance * count / (count - 1)).detach())
        normal = centred * (variance + layer.eps).rsqrt().view(shape)
        if layer.affine:
            normal = normal * layer.weight.view(shape) + layer.bias.view(shape)
        return normal.to(maps.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        layer = self._layer
        if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
            return
        layer.num_batches_tracked += 1
        share = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        layer.running_mean.lerp_(mean, share)
        layer.running_var.lerp_(variance, share)


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is that of its gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        """Any shape -> the same."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        """As forward."""
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
