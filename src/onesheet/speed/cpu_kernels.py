"""The fast form of transformers' MobileNet V1 and V2: the same weights and outputs, fewer copies.

Those networks pad as TensorFlow does, by copying the map before every convolution, 1×1 ones too. At stride 1
that padding is symmetric, so the convolution can do it itself; only stride 2 needs the copy, on even sides.

On a CPU that copy takes longer than a depthwise convolution itself, of which the kernel is padded instead, unless a
gradient is to be taken in 32 bits: that takes as long either way. In bfloat16 oneDNN has fast code for the gradient of
a depthwise convolution's maps at stride 1 only: one of stride 2 has the gradient of one of stride 1 with zeros between,
to the same values (benchmarks/NOTES.md has the times).

For the gradient of a ReLU6 torch keeps what goes in, beside what comes out, which the next layer keeps. What comes out
is enough.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

from onesheet.speed import is_on


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
        on_cpu = maps.device.type == "cpu" and not torch.compiler.is_exporting()
        bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        depthwise = self.groups == self.in_channels == self.out_channels
        if not (on_cpu and depthwise and (bfloat16 or not torch.is_grad_enabled())):
            return super().forward(nn.functional.pad(maps, padding))
        weight, bias = self.weight, self.bias
        if bfloat16:
            maps, weight, bias = maps.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16()
        result: Tensor = _Depthwise.apply(  # type: ignore[no-untyped-call]
            maps, weight, bias, padding, self.stride, self.dilation
        )
        return result


class _Depthwise(torch.autograd.Function):
    """A padded depthwise convolution of odd kernels whose gradient of the maps is computed at stride 1.

    Zeros before the kernel's taps, and as much padding before the maps as behind, equal more padding behind alone, and
    the convolution then pads by itself. What is kept for the gradient are the maps as they come, which the
    activation before keeps too.
    """

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: list[int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.padding, ctx.stride, ctx.dilation = padding, stride, dilation
        left, right, above, below = padding
        zeros = [(right - left) // dilation[1], 0, (below - above) // dilation[0], 0]
        grown = nn.functional.pad(weight, zeros)
        return nn.functional.conv2d(maps, grown, bias, stride, (below, right), dilation, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        common = {"dilation": ctx.dilation, "groups": len(weight)}
        of_weight: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            nn.functional.pad(maps, ctx.padding), weight.shape, gradient, stride=ctx.stride, **common
        )
        reach = [dilation * (kernel // 2) for dilation, kernel in zip(ctx.dilation, weight.shape[2:], strict=True)]
        left, _, top, _ = ctx.padding
        firsts = (reach[0] - top, reach[1] - left)
        centres = [
            slice(first, first + stride * count, stride)
            for first, stride, count in zip(firsts, ctx.stride, gradient.shape[2:], strict=True)
        ]
        spread = torch.zeros_like(maps)
        spread[:, :, centres[0], centres[1]] = gradient
        of_maps = nn.functional.conv_transpose2d(spread, weight, padding=reach, **common)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_maps, of_weight, of_bias, None, None, None


class SparingReLU6(nn.ReLU6):
    """A ReLU6 that keeps its result for the gradient and not its input; the same values."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of any shape -> clamped to [0, 6]."""
        if not torch.is_grad_enabled():
            return super().forward(maps)
        result: Tensor = _Clamped.apply(maps)  # type: ignore[no-untyped-call]
        return result


class _Clamped(torch.autograd.Function):
    """Values clamped to [0, 6], whose gradient is that of hardtanh, zero at both ends."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        result = nn.functional.relu6(maps)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        of_maps: Tensor = torch.ops.aten.hardtanh_backward(gradient, result, 0.0, 6.0)
        return of_maps


def fast_mobilenet(model: nn.Module) -> None:
    """Change a transformers MobileNetV1Model or MobileNetV2Model in place; its state_dict keys stay.

    Does nothing to a network that does not pad as TensorFlow does, or with the switch off.
    """
    config: Any = getattr(model, "config", None)
    if not (getattr(config, "tf_padding", False) and is_on("kernels")):
        return
    for layer in model.modules():
        if isinstance(getattr(layer, "activation", None), nn.ReLU6):
            layer.activation = SparingReLU6()
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
