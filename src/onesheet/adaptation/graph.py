"""A model file's graph with new heads in it: the same input and outputs, and nearly the same work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onesheet.adaptation.heads import Heads
from onesheet.calibrated_graph import open_end

WEIGHTS, MIXING, BIAS = "adapted_weights", "adapted_mixing", "adapted_bias"
SOURCE_LOGITS = "source_logits"
_MAPS = "adapted_maps_"


def adapted_graph(source: Path, heads: Heads) -> onnx.ModelProto:
    """The source's graph, whose logits are those of `heads`, without a calibrated end.

    `logits` = embedding @ weights + source logits @ mixing + bias; heads put in earlier are folded into one. Evidence
    is linear in the last feature maps, so its 1×1 convolutions get the heads' weights too: its mean over h and w, plus
    a constant, is the logit again. A graph in which those maps are not found loses its evidence, and heat maps are
    then made by occlusion.

    Args:
        source: a model file.
        heads: of the source's embedding and logits.
    """
    model = open_end(source)
    if any(output.name == "evidence" for output in model.graph.output):
        _put_into_maps(model, heads)
    _put_into_logits(model.graph, heads)
    for output in model.graph.output:
        if output.name in ("logits", "evidence"):
            output.type.tensor_type.shape.dim[1].dim_value = len(heads.bias)
    _remove_unused(model.graph)
    return model


def _put_into_logits(graph: onnx.GraphProto, heads: Heads) -> None:
    """Make `logits` those of the heads, composed with the heads that are there."""
    earlier = {tensor.name: tensor for tensor in graph.initializer if tensor.name in (WEIGHTS, MIXING, BIAS)}
    values = {WEIGHTS: heads.weights, MIXING: heads.mixing, BIAS: heads.bias}
    if earlier:
        weights, mixing, bias = (numpy_helper.to_array(earlier[name]) for name in (WEIGHTS, MIXING, BIAS))
        values = {
            WEIGHTS: heads.weights + weights @ heads.mixing,
            MIXING: mixing @ heads.mixing,
            BIAS: heads.bias + bias @ heads.mixing,
        }
        for tensor in earlier.values():
            graph.initializer.remove(tensor)
    else:
        _rename(graph, "logits", SOURCE_LOGITS)
        graph.node.extend(
            [
                helper.make_node("Gemm", [SOURCE_LOGITS, MIXING, BIAS], ["mixed_logits"]),
                helper.make_node("Gemm", ["embedding", WEIGHTS, "mixed_logits"], ["logits"]),
            ]
        )
    graph.initializer.extend(_tensor(array, name) for name, array in values.items())


def _put_into_maps(model: onnx.ModelProto, heads: Heads) -> None:
    """Give the convolutions behind `evidence` the heads' weights; without any that fit, remove `evidence`."""
    graph = model.graph
    groups: dict[str, list[onnx.NodeProto]] = {}  # by their weights: every view of a poster passes the same ones
    for node in _last_convolutions(graph):
        groups.setdefault(node.input[1], []).append(node)
    kernels = _constants(model, list(groups))
    genres, width = heads.mixing.shape[0], len(heads.weights)
    fitting = all(kernel.shape[0] == genres and kernel.shape[2:] == (1, 1) for kernel in kernels)
    if not fitting or sum(kernel.shape[1] for kernel in kernels) != width:
        kept = [output for output in graph.output if output.name != "evidence"]
        del graph.output[:]
        graph.output.extend(kept)
        return
    start = 0  # an ensemble's embeddings are concatenated, and its evidence is averaged
    for number, (nodes, kernel) in enumerate(zip(groups.values(), kernels, strict=True)):
        end = start + kernel.shape[1]
        new = heads.mixing.T @ kernel[:, :, 0, 0] + len(kernels) * heads.weights[start:end].T
        name = f"{_MAPS}{number}"
        for tensor in [tensor for tensor in graph.initializer if tensor.name == name]:
            graph.initializer.remove(tensor)
        graph.initializer.append(_tensor(new[:, :, None, None], name))
        for node in nodes:
            node.input[1] = name
        start = end


def _last_convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The convolutions after which nothing but linear steps lead to `evidence`, in the graph's order."""
    needed, found = {"evidence"}, []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        if node.op_type == "Conv":
            found.append(node)
        else:
            needed.update(node.input)
    return found[::-1]


def _constants(model: onnx.ModelProto, names: list[str]) -> list[NDArray[np.float32]]:
    """Values that depend on no poster, such as weights widened from 8 bits."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    computed = [name for name in names if name not in stored]
    values = {name: numpy_helper.to_array(stored[name]) for name in names if name in stored}
    if computed:
        part = onnx.ModelProto()
        part.CopyFrom(model)
        del part.graph.output[:], part.graph.input[:]
        part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
        _remove_unused(part.graph)
        session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
        values |= dict(zip(computed, session.run(None, {}), strict=True))
    return [values[name] for name in names]


def _remove_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that lead to no output."""
    needed, nodes = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(node.input)
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(tensors)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a value wherever a node makes or takes it."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _tensor(array: NDArray[np.floating], name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)
