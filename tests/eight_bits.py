"""What a graph in 8 bits answers, in NumPy's whole numbers: exactly, or as AVX2 without VNNI adds.

ONNX Runtime's kernels for AVX2 multiply uint8 activations with int8 weights by `vpmaddubsw`, which adds two
neighbouring products and keeps the sum within 16 bits; where the processor has VNNI, sums have 32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

DOMAIN = "eight.bits"


def dot(activations: NDArray[np.uint8], weights: NDArray[np.int8], *, saturating: bool) -> NDArray[np.int64]:
    """M×K times K×N -> M×N; with `saturating` each two neighbouring products are added within int16."""
    if not saturating:
        return (activations.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)  # exact below 2**53
    odd = activations.shape[1] % 2
    left, right = np.pad(activations, ((0, 0), (0, odd))), np.pad(weights, ((0, odd), (0, 0)))
    total = np.zeros((len(left), right.shape[1]), np.int64)
    for at in range(0, left.shape[1], 2):
        pair = left[:, at : at + 2].astype(np.int32) @ right[at : at + 2].astype(np.int32)
        total += pair.clip(-(2**15), 2**15 - 1)
    return total


class _Convolution(OpRun):
    """A convolution of dequantised values; pixel by pixel, channels innermost, as ONNX Runtime lays them out."""

    op_domain = DOMAIN
    saturating = False

    def _run(self, *inputs: NDArray[Any], **attributes: Any) -> tuple[NDArray[np.float32]]:
        maps, scale, zero, weights, scales, *bias = inputs
        assert set(attributes["dilations"]) == {1} and attributes["auto_pad"] == "NOTSET"
        (top, left, bottom, right), groups = attributes["pads"], attributes["group"]
        around = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(maps, around, constant_values=int(zero))
        down, across = attributes["strides"]
        windows = sliding_window_view(padded, weights.shape[2:], axis=(2, 3))[:, :, ::down, ::across]
        sums = [
            self._group(part, kernel, int(zero))
            for part, kernel in zip(np.split(windows, groups, axis=1), np.split(weights, groups, axis=0), strict=True)
        ]
        result = np.concatenate(sums, axis=1) * (scale * scales).reshape(1, -1, 1, 1)
        return ((result + sum(bias).reshape(1, -1, 1, 1) if bias else result).astype(np.float32),)

    def _group(self, windows: NDArray[np.uint8], kernel: NDArray[np.int8], zero: int) -> NDArray[np.int64]:
        films, _, height, width, *_ = windows.shape
        rows = windows.transpose(0, 2, 3, 4, 5, 1).reshape(films * height * width, -1)
        columns = kernel.transpose(2, 3, 1, 0).reshape(rows.shape[1], -1)
        # one channel a group: ONNX Runtime has a kernel of its own, which adds in 32 bits everywhere
        total = dot(rows, columns, saturating=self.saturating and kernel.shape[1] > 1)
        total -= zero * columns.sum(0, dtype=np.int64)
        return total.reshape(films, height, width, -1).transpose(0, 3, 1, 2)


class Exact(_Convolution):
    """In 32 bits."""


class Saturating(_Convolution):
    """Two products a time in 16 bits."""

    saturating = True


def layers_in_8_bits(path: Path) -> list[tuple[NDArray[np.int8], bool]]:
    """The weights of each layer that computes in 8 bits, and whether it is a depthwise convolution."""
    graph = onnx.load(path).graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    found = []
    for node in graph.node:
        maker = makers.get(node.input[1]) if node.op_type in ("Conv", "Gemm", "MatMul") else None
        if maker is not None and maker.input[0] in values:
            weights = numpy_helper.to_array(values[maker.input[0]])
            groups = next((one.i for one in node.attribute if one.name == "group"), 1)
            found.append((weights, 1 < groups == len(weights)))
    return found


def answers(path: Path, posters: NDArray[np.uint8], *, saturating: bool) -> list[NDArray[Any]]:
    """The graph's outputs for posters, its quantised convolutions computed by `dot`."""
    model, kind = onnx.load(path), Saturating if saturating else Exact
    makers = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        wide = [makers.get(name) for name in node.input[:2]]
        if node.op_type == "Conv" and all(maker is not None and maker.op_type == "DequantizeLinear" for maker in wide):
            scales = [name for maker in wide if maker is not None for name in maker.input]
            node.op_type, node.domain = kind.__name__, DOMAIN
            node.input[:] = [*scales[:5], *node.input[2:]]  # uint8, scale, zero point, int8, scales, bias
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return list(ReferenceEvaluator(model, new_ops=[kind]).run(None, {"posters": posters}))
