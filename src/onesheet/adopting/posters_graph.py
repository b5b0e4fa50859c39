"""Our graph around a classifier's: posters in front, logits and embedding behind."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onesheet.adopting.classifier import Classifier, maker_of
from onesheet.adopting.conventions import SCALINGS, Conventions

NEAREST = 1e-6  # to 0 and 1, of a probability whose logit is taken
INSIDE = "adopted_"  # before every name of the network's own graph


def posters_graph(classifier: Classifier, *, genres: int) -> onnx.ModelProto:
    """The classifier behind `posters` (uint8 N×H×W×3), with the outputs `logits` N×G and `embedding` N×D.

    The embedding is what the last dense layer reads; a graph that does not end in one has its logits there.
    """
    conventions = classifier.conventions
    assert conventions.size
    model = onnx.compose.add_prefix(classifier.model, INSIDE)
    graph, output = model.graph, INSIDE + classifier.output
    weights = {tensor.name for tensor in graph.initializer}
    source = next(value for value in graph.input if value.name not in weights)  # old files name weights there too
    before = _feeding(graph, source, conventions)
    end = maker_of(graph, output)
    activation = end.op_type if end is not None and conventions.answers == "probabilities" else ""
    inner = end.input[0] if end is not None and activation in ("Sigmoid", "Softmax") else output
    logits, after = output, []
    if end is not None and activation == "Sigmoid":
        end.op_type = "Identity"  # what comes after it may bring logits to their shape
    elif conventions.answers == "probabilities":
        logits, after = "log_odds", _log_odds(graph, output)
    embedding, width = _read_by_dense_layer(graph, inner, genres) or (logits, genres)
    after += [
        helper.make_node("Cast", [logits], ["logits"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", [embedding], ["flat"]),  # it may have sides of one
        helper.make_node("Cast", ["flat"], ["embedding"], to=TensorProto.FLOAT),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]  # shapes in there may hold a fixed batch
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("posters", TensorProto.UINT8, ["N", *conventions.size, 3]))
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", columns])
        for name, columns in (("logits", genres), ("embedding", width))
    )
    return model


def _feeding(graph: onnx.GraphProto, source: onnx.ValueInfoProto, conventions: Conventions) -> list[NodeProto]:
    """Nodes from `posters` to the classifier's input."""
    scaling = SCALINGS[conventions.scaling or "none"]
    nodes = [helper.make_node("Cast", ["posters"], ["pixels"], to=TensorProto.FLOAT)]

    def then(kind: str, *weights: str, **attributes: list[int] | int) -> None:
        made = f"pixels_{len(nodes)}"
        nodes.append(helper.make_node(kind, [nodes[-1].output[0], *weights], [made], **attributes))

    for name, values in (("scaling_mean", scaling.mean), ("scaling_std", scaling.std)):
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.float32), name))
    then("Sub", "scaling_mean")
    then("Div", "scaling_std")
    if conventions.bgr:
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "blue_first"))
        then("Gather", "blue_first", axis=3)
    if conventions.layout == "nchw":
        then("Transpose", perm=[0, 3, 1, 2])
    nodes.append(
        helper.make_node("Cast", [nodes[-1].output[0]], [source.name], to=source.type.tensor_type.elem_type),
    )
    return nodes


def _log_odds(graph: onnx.GraphProto, probabilities: str) -> list[NodeProto]:
    """Nodes from probabilities to `log_odds`, whose sigmoid they are."""
    for name, value in (("least", NEAREST), ("most", 1 - NEAREST), ("one", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.float32), name))
    return [
        helper.make_node("Cast", [probabilities], ["given"], to=TensorProto.FLOAT),
        helper.make_node("Max", ["given", "least"], ["above_zero"]),
        helper.make_node("Min", ["above_zero", "most"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Div", ["yes", "no"], ["odds"]),
        helper.make_node("Log", ["odds"], ["log_odds"]),
    ]


def _read_by_dense_layer(graph: onnx.GraphProto, logits: str, genres: int) -> tuple[str, int] | None:
    """Name and width of what the dense layer that makes the logits reads; None where no such layer does."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    dense = maker_of(graph, logits)
    if dense is not None and dense.op_type == "Add":
        made = (maker_of(graph, name) for name in dense.input if name not in weights)
        dense = next((node for node in made if node is not None), None)
    if dense is None or dense.op_type not in ("MatMul", "Gemm") or len(weights.get(dense.input[1], ())) != 2:
        return None
    transposed = any(one.name == "transB" and one.i for one in dense.attribute)
    width, columns = weights[dense.input[1]][:: -1 if transposed else 1]
    return (dense.input[0], int(width)) if columns == genres else None
