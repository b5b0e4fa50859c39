"""An image classifier as an ONNX file: its input and output, found or passed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onesheet.bundle import CARD_KEY
from onesheet.errors import BundleError, ConfigError
from onesheet.evaluation.calibration import sigmoid
from onesheet.exporting.input_conventions import SCALINGS, Conventions, scaling_unknown
from onesheet.exporting.weights_beside import with_weights_inside
from onesheet.onnx_file import check_onnx, read_onnx

INPUT_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
LOGIT_MAKERS = ("Gemm", "MatMul", "Add", "Conv")
HANDING_ON = ("Identity", "Cast", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose")
LEAST_OPSET = 9
# Arithmetic in 8 bits, whose sums overflow on some processors unless the weights are in 7.
IN_8_BITS = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}


@dataclass(frozen=True)
class Classifier:
    """An image classifier in an ONNX file.

    Attributes:
        model: what is in the file.
        session: the file, opened.
        conventions: how it is fed and read, all of it known.
        output: name of the output with one column a genre.
    """

    model: onnx.ModelProto
    session: onnxruntime.InferenceSession
    conventions: Conventions
    output: str

    @property
    def half(self) -> bool:
        """Whether the network computes in 16 bits."""
        return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in self.model.graph.initializer)

    def probabilities(self, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """The file's own answers N×G, poster by poster, to what `Conventions.pixels` makes of posters."""
        values = np.concatenate([_run(self.session, one[None], self.conventions, self.output) for one in pixels])
        if self.conventions.answers == "logits":
            return sigmoid(values)
        if values.min() < 0 or values.max() > 1:
            raise ConfigError(
                f"probabilities are in [0, 1]; the network's outputs are {values.min():.3g} to {values.max():.3g}; "
                "pass --answers logits"
            )
        return values


def open_classifier(path: Path, conventions: Conventions, *, genres: int) -> Classifier:
    """Read an ONNX file and find out what it takes and answers.

    Args:
        path: the file.
        conventions: what is known.
        genres: columns of the output.

    Raises:
        ConfigError: not an ONNX image classifier with that many outputs, or a convention is unknown.
    """
    data = _checked(path)
    session = _session(path, data)
    model = onnx.load_from_string(data)
    if CARD_KEY in session.get_modelmeta().custom_metadata_map:
        raise ConfigError(f"{str(path)!r} is a onesheet model already; use it as it is")
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < LEAST_OPSET:
        raise ConfigError(f"{str(path)!r} has opset {opset}; bring it to {LEAST_OPSET} with onnx.version_converter")
    if found := sorted(IN_8_BITS & {node.op_type for node in model.graph.node}):
        raise ConfigError(
            f"{str(path)!r} calculates in 8 bits ({found[0]}), and its answers would depend on the processor; "
            "adopt the network from before it was quantised"
        )
    conventions = _with_input(path, session, conventions)
    output = _found_output(path, session, conventions, genres)
    if conventions.answers is None:
        conventions = replace(conventions, answers=_found_answers(path, model.graph, output))
    return Classifier(model, session, conventions, output)


def maker_of(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The node that makes a value, past those that hand on its numbers as they are; None for inputs and weights."""
    makers = {output: node for node in graph.node for output in node.output}
    node = makers.get(name)
    while node is not None and node.op_type in HANDING_ON:
        node = makers.get(node.input[0])
    return node


def _checked(path: Path) -> bytes:
    """The network with all its weights, which brings no code: that of others is checked as our own is."""
    if not path.is_file():
        raise ConfigError(f"no such file: {str(path)!r}; name the network to adopt")
    try:
        whole = with_weights_inside(path)
        return read_onnx(path).data if whole is None else check_onnx(whole, path).data
    except BundleError as error:
        raise ConfigError(f"this network cannot be adopted: {error}") from error


def _session(path: Path, data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ConfigError(f"{str(path)!r} is not a whole ONNX model; export or copy it again") from error


def _with_input(path: Path, session: onnxruntime.InferenceSession, conventions: Conventions) -> Conventions:
    """The conventions with the layout, size and scaling that the one input shows."""
    inputs = session.get_inputs()
    shape, kind = inputs[0].shape, inputs[0].type
    if len(inputs) != 1 or len(shape) != 4 or kind not in INPUT_TYPES:
        got = ", ".join(f"{one.type} {one.shape}" for one in inputs)
        raise ConfigError(f"{str(path)!r} does not take one batch of images; got {got}; adopt an image classifier")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise ConfigError(f"{str(path)!r} takes {shape[0]} images at once; export it with a free batch size")
    found = [layout for layout, at in (("nhwc", 3), ("nchw", 1)) if shape[at] == 3]
    layout = conventions.layout or (found[0] if len(found) == 1 else None)
    if layout is None and 1 in (shape[1], shape[3]):
        raise ConfigError(
            "the network takes grey posters, and only networks that take colour can be adopted; export it with a first "
            "layer that makes grey of colour, such as a 1x1 convolution with the weights 0.299, 0.587, 0.114"
        )
    if layout is None:
        raise ConfigError(f"{str(path)!r} takes {shape}, which does not show the axis of the 3 colours; pass --layout")
    sides = shape[1:3] if layout == "nhwc" else shape[2:]
    fixed = (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None
    if fixed and conventions.size not in (None, fixed):
        raise ConfigError(f"{str(path)!r} takes images of {fixed[0]}×{fixed[1]}; leave out --size")
    if not (size := fixed or conventions.size):
        raise ConfigError(f"{str(path)!r} takes images of any size; pass the size of training with --size, as 224x224")
    scaling = conventions.scaling or ("none" if kind == "tensor(uint8)" else None)
    if scaling is None:
        raise scaling_unknown(path.name)
    if kind == "tensor(uint8)" and scaling != "none":
        raise ConfigError(f"{str(path)!r} takes whole numbers from 0 to 255; got --scaling {scaling}: leave it out")
    return replace(conventions, layout=layout, size=size, scaling=scaling)


def _found_output(path: Path, session: onnxruntime.InferenceSession, conventions: Conventions, genres: int) -> str:
    """The one output with a column for each genre."""
    assert conventions.size
    black = np.zeros((1, *conventions.size, 3), np.float32)
    try:
        shapes = {one.name: _run(session, black, conventions, one.name).shape for one in session.get_outputs()}
    except Exception as error:  # as above
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"{str(path)!r} cannot read a poster ({reason}); check --layout and --size") from error
    fitting: list[str] = [name for name, shape in shapes.items() if shape == (1, genres)]
    if len(fitting) != 1:
        got = ", ".join(f"{name!r} of {' × '.join(map(str, shape[1:]))}" for name, shape in shapes.items())
        raise ConfigError(
            f"{genres} genres are named, and the network's outputs for a poster are {got}; "
            "pass one genre for each column of its output"
        )
    return fitting[0]


def _found_answers(path: Path, graph: onnx.GraphProto, output: str) -> str:
    maker = maker_of(graph, output)
    kind = maker.op_type if maker is not None else "nothing"
    if kind in ("Sigmoid", "Softmax"):
        return "probabilities"
    if kind in LOGIT_MAKERS:
        return "logits"
    raise ConfigError(f"{str(path)!r} ends in {kind}, which may mean either; pass --answers probabilities or logits")


def _run(
    session: onnxruntime.InferenceSession, pixels: NDArray[np.float32], conventions: Conventions, output: str
) -> NDArray[np.float64]:
    """One output for pixels float32 N×H×W×3, brought to the layout and type the graph takes."""
    source = session.get_inputs()[0]
    values = pixels if conventions.layout == "nhwc" else pixels.transpose(0, 3, 1, 2)
    fed = np.ascontiguousarray(values, dtype=INPUT_TYPES[source.type])
    return np.asarray(session.run([output], {source.name: fed})[0], dtype=np.float64)


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
