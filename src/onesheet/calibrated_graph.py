"""The calibrated end of a model file's graph: put on when a file is written, taken off when one is built upon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

_SCALE, _BIAS = "calibration_scale", "calibration_bias"
_MADE = ("scaled_logits", "calibrated_logits", "probabilities")


def finish_graph(
    raw: Path,
    path: Path,
    *,
    scale: NDArray[np.floating[Any]],
    bias: NDArray[np.floating[Any]],
    metadata: Mapping[str, str],
) -> None:
    """Write `raw` to `path` with `probabilities` = sigmoid(scale × logits + bias) as first output, and metadata.

    Args:
        raw: a graph with the output `logits`.
        path: the file to write.
        scale: float G.
        bias: float G.
        metadata: key -> text.
    """
    model = onnx.load(raw)
    graph = model.graph
    for name, values in ((_SCALE, scale), (_BIAS, bias)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
    steps = (("Mul", "logits", _SCALE), ("Add", _MADE[0], _BIAS), ("Sigmoid", _MADE[1]))
    graph.node.extend(
        onnx.helper.make_node(kind, inputs, [made]) for (kind, *inputs), made in zip(steps, _MADE, strict=True)
    )
    outputs = list(graph.output)
    del graph.output[:]
    shape = ["N", len(scale)]
    graph.output.extend([onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, shape), *outputs])
    del model.metadata_props[:]
    for key, text in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    model.producer_name = "onesheet"
    for node in graph.node:
        del node.metadata_props[:]  # the exporter's traces: paths of the machine, and half the file
        node.doc_string = ""
    del graph.value_info[:]  # shapes within, which a runtime finds itself
    onnx.checker.check_model(model)
    onnx.save(model, path)


def open_end(path: Path) -> onnx.ModelProto:
    """The graph of a finished model file without its calibrated end: what `finish_graph` took, but for its metadata.

    Args:
        path: a file that `finish_graph` has written.
    """
    model = onnx.load(path)
    graph = model.graph
    for items, gone in (
        (graph.node, [node for node in graph.node if node.output[0] in _MADE]),
        (graph.initializer, [tensor for tensor in graph.initializer if tensor.name in (_SCALE, _BIAS)]),
        (graph.output, [output for output in graph.output if output.name == _MADE[-1]]),
    ):
        for item in gone:
            items.remove(item)
    return model
