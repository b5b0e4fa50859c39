"""The ONNX graph: a network with its preprocessing inside, its smaller precisions, and its calibrated end."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from onesheet.errors import ExportError

OPSET = 20
LEAST_FAN_IN = 16  # inputs of an output from which 8 bits a weight are enough
LEAST_WEIGHTS = 8192  # of a tensor; smaller ones in 16 bits: 2 % more bytes, error of the logits .045 to .027
# Precision -> what is in fewer bits, as the card says it. 7 bits: AVX2 without VNNI adds two products of a uint8 and an
# int8 in 16 bits, which hold 2 × 255 × 64 but not 2 × 255 × 127 (ONNX Runtime's quantisation page, "U8S8"). A depthwise
# convolution adds its products one by one, and would lose most by 7 bits.
QUANTIZATION = {
    "fp32": "",
    "w8": "weights int8 per output channel, few of them float16; arithmetic float32",
    "int8": "U8S8 in QDQ form: activations uint8, weights int8 per channel, in -64..64 (7 bits) unless depthwise",
}
QUANTIZATION_POSTERS = 128  # training posters whose activations set int8's ranges
WEIGHTED = ("Conv", "MatMul", "Gemm")
# Activations too: where they are left out, the runtime widens every map to 32 bits and narrows it again.
QUANTIZED = (*WEIGHTED, "Relu", "Clip", "MaxPool", "Add")


class ExportGraph(nn.Module):
    """uint8 posters N×H×W×3 -> logits, embedding and, where the network has it, evidence."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, posters: Tensor) -> tuple[Tensor, ...]:
        """The network on posters scaled to [0, 1]."""
        output = self.network(posters.permute(0, 3, 1, 2).float() / 255)
        return tuple(value for value in output if value is not None)


def write_graph(graph: ExportGraph, path: Path, *, size: tuple[int, int]) -> None:
    """Write `graph` as ONNX, fp32, with a free batch size.

    Raises:
        ExportError: the network uses something that ONNX does not have.
    """
    example = torch.zeros(2, *size, 3, dtype=torch.uint8)
    with torch.no_grad():
        names = ["logits", "embedding", "evidence"][: len(graph(example))]
    to_onnx(graph, example, path, outputs=names, cure="choose another --model")


def to_onnx(network: nn.Module, example: Tensor, path: Path, *, outputs: list[str], cure: str) -> None:
    """Write a network whose forward takes `posters` as ONNX, fp32, with a free batch size.

    Args:
        network: in eval mode.
        example: two posters as it takes them.
        path: the file to write.
        outputs: names of what it answers with.
        cure: what helps where it cannot be written.

    Raises:
        ExportError: the network uses something that ONNX does not have.
    """
    with _quiet():
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=["posters"],
                output_names=outputs,
                dynamic_shapes={"posters": {0: torch.export.Dim("N", min=1)}},
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # the exporter's errors have no common base
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ExportError(f"the network cannot be written as ONNX: {reason}; {cure}") from error
        if program is None:
            raise ExportError(f"the network cannot be written as ONNX; {cure}")
        program.save(str(path))


def to_precision(path: Path, precision: str, posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    """Rewrite the graph at `path` as "w8" or "int8"; "fp32" leaves it. Input and outputs keep their types.

    w8 keeps the weights in 8 bits, with a scale for each output channel, and computes in 32: the runtime widens them
    once, when it opens the file. int8 follows ONNX Runtime's QDQ form: weights signed per channel in 7 bits (−64…64,
    depthwise ones in 8), so that no processor's sums overflow; activations unsigned, ranges from `QUANTIZATION_POSTERS`
    of `posters` (uint8 N×H×W×3) drawn evenly from `rows`. The last layers, a thousandth of the work, stay in 32 bits,
    and so its outputs are no multiples of a step.
    """
    if precision != "fp32":
        _fold_batch_norm(path)
    if precision == "w8":
        _pack_weights(path)
    elif precision == "int8":
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), QUANTIZATION_POSTERS)).astype(int)]
        with _quiet():
            quantize_static(
                path,
                path,
                _Posters(posters, chosen),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,  # 7 bits
                extra_options={
                    "TensorQuantOverrides": {name: [{"axis": 0, "reduce_range": False}] for name in _depthwise(path)}
                },
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_exclude=_in_32_bits(path),
            )


def _depthwise(path: Path) -> set[str]:
    """Names of the kernels of convolutions with one input and one output a group."""
    graph = onnx.load(path).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type == "Conv"]
    groups = {node.input[1]: one.i for node in layers for one in node.attribute if one.name == "group"}
    return {name for name, count in groups.items() if count > 1 and shapes.get(name, [])[:2] == [count, 1]}


def _in_32_bits(path: Path) -> list[str]:
    """Names of the nodes that 8 bits would spoil.

    They are those after which nothing is multiplied by weights any more, and sums with a single number: under a root or
    a fraction it keeps a channel without a deviation from infinity, and is less than a step of 8 bits.
    """
    graph = onnx.load(path).graph
    numbers = {tensor.name for tensor in graph.initializer if not tensor.dims}
    found, before = [], set[str]()  # before: values that a layer is yet to read
    for node in reversed(graph.node):
        leads_on = not before.isdisjoint(node.output)
        if not leads_on or (node.op_type == "Add" and not numbers.isdisjoint(node.input)):
            found.append(node.name)
        if leads_on or node.op_type in WEIGHTED:
            before.update(node.input)
    return found


def _fold_batch_norm(path: Path) -> None:
    """Take batch norm into the convolution before it; networks that read several views keep one set of weights."""
    model = onnx.load(path)
    graph = model.graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    uses = Counter(name for node in graph.node for name in node.input)
    folded: dict[tuple[str, ...], tuple[str, str]] = {}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        convolution = makers.get(norm.input[0])
        if convolution is None or convolution.op_type != "Conv" or uses[norm.input[0]] > 1:
            continue
        key = (*convolution.input[1:], *norm.input[1:])
        if key not in folded:
            weight, *given_bias = (values[name] for name in convolution.input[1:])
            scale, shift, mean, variance = (values[name] for name in norm.input[1:])
            factor = scale / np.sqrt(variance + _attribute(norm, "epsilon", 1e-5))
            bias = shift + factor * ((given_bias[0] if given_bias else 0) - mean)
            folded[key] = (f"folded_weight_{len(folded)}", f"folded_bias_{len(folded)}")
            both = (weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), bias)
            graph.initializer.extend(
                onnx.numpy_helper.from_array(array.astype(np.float32), name)
                for array, name in zip(both, folded[key], strict=True)
            )
        convolution.input[:] = [convolution.input[0], *folded[key]]
        convolution.output[0] = norm.output[0]
        graph.node.remove(norm)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    onnx.save(model, path)


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    return next((float(one.f) for one in node.attribute if one.name == name), default)


def _pack_weights(path: Path) -> None:
    """Store matrices and kernels as int8 with a scale for each output channel, and widen them before their use.

    Depthwise kernels and small ones are few and coarse in 8 bits: they are stored as float16.
    """
    model = onnx.load(path)
    graph = model.graph
    nodes, tensors = [], []
    for weight in graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            tensors.append(weight)
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        if values[0].size < LEAST_FAN_IN or values.size < LEAST_WEIGHTS:
            tensors.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16"))
            nodes.append(onnx.helper.make_node("Cast", [f"{name}_fp16"], [name], to=onnx.TensorProto.FLOAT))
            continue
        scale = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127
        scale[scale == 0] = 1
        whole = np.round(values / scale).astype(np.int8)
        tensors += [
            onnx.numpy_helper.from_array(whole, f"{name}_int8"),
            onnx.numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"),
        ]
        nodes += [
            onnx.helper.make_node("Cast", [f"{name}_int8"], [f"{name}_wide"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [f"{name}_wide", f"{name}_scale"], [name]),
        ]
    nodes += graph.node
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    onnx.save(model, path)


class _Posters(CalibrationDataReader):
    """Feeds posters one by one to the quantiser."""

    def __init__(self, posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        self._feeds: Iterator[dict[str, Any]] = (
            {"posters": np.ascontiguousarray(posters[row : row + 1])} for row in rows.tolist()
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next poster, or None at the end."""
        return next(self._feeds, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's and quantiser's notices silenced; errors still rise."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
