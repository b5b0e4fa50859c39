"""The fast form of transformers' MobileNet V1 and V2: the same weights and answers, fewer copies.

Those networks pad as TensorFlow does, by copying the map before every convolution, 1×1 ones too. At stride 1
that padding is symmetric, so the convolution can do it itself; only stride 2 needs the copy, on even sides.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class StridedConvolution(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding: the odd row and column go below and right."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps N×C×h×w -> N×C'×⌈h/stride⌉×⌈w/stride⌉."""
        padding: list[int] = []
        for axis in (1, 0):  # F.pad counts from the last axis
            stride, kernel = self.stride[axis], self.kernel_size[axis]
            total = max(kernel - ((maps.shape[axis + 2] - 1) % stride + 1), 0)
            before = total // 2
            padding += [before * self.dilation[axis], (total - before) * self.dilation[axis]]
        return super().forward(nn.functional.pad(maps, padding))


def fast_mobilenet(model: nn.Module) -> None:
    """Change a transformers MobileNetV1Model or MobileNetV2Model in place; its state_dict keys stay.

    Does nothing to a network that does not pad as TensorFlow does.
    """
    config: Any = getattr(model, "config", None)
    if not getattr(config, "tf_padding", False):
        return
    for layer in model.modules():
        convolution = getattr(layer, "convolution", None)
        if not isinstance(convolution, nn.Conv2d):
            continue
        if convolution.stride == (1, 1):
            convolution.padding = tuple(
                dilation * (kernel - 1) // 2
                for kernel, dilation in zip(convolution.kernel_size, convolution.dilation, strict=True)
            )
        else:
            layer.convolution = _strided(convolution)
    config.tf_padding = False  # read by transformers' forward, so this ends its own padding


def _strided(convolution: nn.Conv2d) -> StridedConvolution:
    strided = StridedConvolution(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        dilation=convolution.dilation,  # type: ignore[arg-type]
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    strided.load_state_dict(convolution.state_dict())
    return strided
