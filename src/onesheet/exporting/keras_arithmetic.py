"""Arithmetic in the graph of a Keras network, as that of `preprocess_input`, written so that Keras 3 reads it.

Keras 2 names TensorFlow's functions, and Keras 3 its own operations without the module that they are in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from onesheet.errors import ConfigError

Layer = dict[str, Any]

# TensorFlow's function -> the operation of Keras 3, and its argument that is no tensor -> that of the operation.
_OF_TWO = {
    **{"math.truediv": "true_divide", "math.divide": "true_divide", "math.multiply": "multiply"},
    **{"math.add": "add", "__operators__.add": "add", "nn.bias_add": "add", "math.subtract": "subtract"},
}
_OF_ONE: dict[str, tuple[str, Mapping[str, str]]] = {
    "cast": ("cast", {"dtype": "dtype"}),
    "clip_by_value": ("clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": ("concatenate", {"axis": "axis"}),
    "math.reduce_mean": ("mean", {"axis": "axis", "keepdims": "keepdims"}),
    "math.sigmoid": ("sigmoid", {}),
    "nn.relu": ("relu", {}),
    "nn.relu6": ("relu6", {}),
    "nn.softmax": ("softmax", {"axis": "axis"}),
    "reverse": ("flip", {"axis": "axis"}),
}
_ALL = {"start": None, "stop": None, "step": None}
_RANK = 4  # of images
_SILENT = ("name", "data_format")  # arguments that change nothing where images end with their channels
SCALING = ("Add", "Divide", "Multiply", "Subtract", "TrueDivide")
"""Operations that scale pixels."""


def rewrite_arithmetic(layers: list[Layer], *, models: Collection[str] | None = None, cure: str) -> None:
    """Rewrite the arithmetic among the layers of a model, in place.

    Args:
        layers: as the architecture lists them.
        models: names of those that are models of Keras 2, which counts their calls from 1; None = Keras 3 wrote it.
        cure: for what cannot be rewritten.

    Raises:
        ConfigError: an operation that is not known here.
    """
    names = {layer.get("name", "") for layer in layers}
    unknown = []
    for layer in layers:
        found: Layer | None = layer
        if models is None and _is_operation(layer):
            found = _from_keras_3(layer)
        elif models is not None and "OpLambda" in layer["class_name"]:
            found = _from_tensorflow(layer, names, models)
        if found is None:
            unknown.append(str(layer["config"].get("function") or layer["class_name"]))
        else:
            layer.update(found)
    if unknown:
        raise ConfigError(
            f"has arithmetic in its graph that Keras 3 cannot read ({', '.join(dict.fromkeys(unknown))}); "
            f"save the network without it; or {cure}"
        )


def _is_operation(layer: Layer) -> bool:
    """Whether it is an operation that Keras 3 wrote; every layer says whether it is trainable."""
    return layer["class_name"] != "InputLayer" and not {"trainable", "layers"} & layer["config"].keys()


def _from_tensorflow(layer: Layer, names: Collection[str], models: Collection[str]) -> Layer | None:
    """A call of one of TensorFlow's functions as an operation of Keras 3, None where it is not known."""
    function, name = layer["config"]["function"], layer["config"]["name"]
    if len(layer["inbound_nodes"]) != 1:
        return None
    (node,) = layer["inbound_nodes"]
    several = isinstance(node[0], list)
    arguments = {**(node[0][3] if several else node[3])}
    if arguments.get("data_format") not in (None, "NHWC", "channels_last"):
        return None

    def value(written: Any) -> Any:
        if isinstance(written, list) and len(written) >= 3 and isinstance(written[0], str) and written[0] in names:
            return _tensor(written[0], written[1] - (written[0] in models), written[2])
        return written

    first = [value(one) for one in node] if several else node[2] if node[0] == "_CONSTANT_VALUE" else value(node)
    rest = {key: value(one) for key, one in arguments.items() if key not in _SILENT and one is not None}
    if function in _OF_TWO and len(rest) == 1:
        return _operation(_OF_TWO[function], name, [_constant(one) for one in (first, *rest.values())])
    if function == "__operators__.getitem" and rest.keys() == {"slice_spec"}:
        return _taken(name, first, rest["slice_spec"])
    operation, known = _OF_ONE.get(function, ("", {}))
    if not operation or not rest.keys() <= known.keys() or "float" not in rest.get("dtype", "float"):
        return None
    return _operation(operation, name, [first], **{known[key]: one for key, one in rest.items()})


def _from_keras_3(layer: Layer) -> Layer | None:
    """An operation of Keras 3 with its module, None where there is no such operation."""
    if layer["class_name"] == "GetItem":
        arguments = layer["inbound_nodes"][0]["args"]
        return _taken(layer["config"]["name"], arguments[0], arguments[1])
    module = _module(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer["class_name"]).lower())
    return None if module is None else {"module": module, "registered_name": layer["class_name"]}


def _taken(name: str, tensor: Any, spec: Any) -> Layer | None:
    """A part of a tensor; None where it cannot be taken. `[..., ::-1]` turns the channels round, as torch needs it."""
    if isinstance(spec, dict):
        spec = spec.get("items", [spec])
    parts = [part.get("config") or part if isinstance(part, dict) else part for part in spec]
    slices = [part for part in parts if isinstance(part, dict) and "step" in part]
    flipped = [part for part in slices if (part["step"] or 1) < 0]
    if flipped:
        others = [part for part in parts[:-1] if not _is_dots(part) and part != _ALL]
        return None if others or parts[-1] != {**_ALL, "step": -1} else _operation("flip", name, [tensor], axis=-1)
    if dots := [part for part in parts if _is_dots(part)]:  # which a .h5 cannot hold
        rank = len(tensor["config"]["shape"]) if isinstance(tensor, dict) else 0
        place = parts.index(dots[0])
        parts[place : place + 1] = [_ALL] * (max(rank, _RANK) - len(parts) + 1)
    written = [{"class_name": "__slice__", "config": part} if isinstance(part, dict) else part for part in parts]
    return _operation("get_item", name, [tensor, written])


def _is_dots(part: Any) -> bool:
    return isinstance(part, dict) and part.get("class_name") == "__ellipsis__"


def _operation(operation: str, name: str, arguments: list[Any], **config: Any) -> Layer:
    kind = "".join(map(str.capitalize, operation.split("_")))
    return {
        "module": _module(operation),
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": kind,
        "inbound_nodes": [{"args": arguments, "kwargs": {}}],
    }


def _tensor(layer: str, call: int, output: int) -> Layer:
    """The result of a layer; Keras looks at its history alone."""
    config = {"shape": [None], "dtype": "float32", "keras_history": [layer, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def _constant(value: Any) -> Any:
    """Numbers as a tensor of floats; TensorFlow takes whole ones for the other operand's kind."""
    if isinstance(value, dict):
        return value
    return {"class_name": "__tensor__", "config": {"value": value, "dtype": "float32"}}


def _module(operation: str) -> str | None:
    """The module of an operation."""
    import keras

    return getattr(getattr(keras.ops, operation, None), "__module__", None)
