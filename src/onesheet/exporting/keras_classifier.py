"""Keras files, of Keras 2 and 3, read by Keras 3 on torch: to a model in memory, and from there to ONNX."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onesheet.errors import ConfigError, require
from onesheet.evaluation.calibration import sigmoid
from onesheet.exporting.input_conventions import Conventions
from onesheet.exporting.keras_arithmetic import SCALING, rewrite_arithmetic
from onesheet.exporting.onnx_graph import to_onnx
from onesheet.files import parse_json
from onesheet.images import Size
from onesheet.onnx_file import MAX_FILE_BYTES

OWN_SCALING = ("Rescaling", "Normalization")
MODELS = ("Functional", "Model", "Sequential")
BATCH = 4
CURE = "save it as ONNX where it was trained, with model.export(PATH, format='onnx') or tf2onnx, and adopt that"
_TERMINAL = re.compile(r"\x1b\[[\d;]*m")
HARD_SIGMOID_2 = "hard_sigmoid_of_keras_2"  # steeper than that of Keras 3
NOT_IN_KERAS_3 = {
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SeparableConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SpatialDropout2D": ("trainable", "noise_shape"),
}


class KerasNetwork(nn.Module):
    """A Keras model as torch sees it, outside of training."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, posters: Tensor) -> Tensor:
        """What the model answers."""
        answers: Tensor = self.model(posters, training=False)
        return answers


def open_keras(path: Path, weights: Path | None = None) -> Any:
    """Read a Keras model.

    Nothing in a file is executed: one with a Lambda layer or a class of its own is rejected.

    Args:
        path: .keras, .h5, or the .json of an architecture.
        weights: the .h5 of the weights that belong to a .json.

    Raises:
        MissingExtra: no Keras.
        ConfigError: not there, damaged, with code of its own, or not made of layers that Keras knows.
    """
    for file in [path] if weights is None else [path, weights]:
        if not file.is_file():
            raise ConfigError(f"no such file: {str(file)!r}; name the network to adopt")
    if (path.suffix == ".json") != (weights is not None):
        cure = "leave out --weights" if weights else "name the file of its weights with --weights"
        raise ConfigError(f"{str(path)!r} {'holds its weights' if weights else 'holds no weights'}; {cure}")
    keras = _keras_on_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to who builds a model, not to who brings one
            model = _read(keras, path, weights)
        ends = len(model.inputs), len(model.outputs)
    except ConfigError as error:
        raise ConfigError(f"{str(path)!r} {error}") from error
    except Exception as error:  # Keras raises nearly anything
        if "`Lambda` layer" in str(error):
            cure = f"replace it by a layer of Keras, such as Rescaling; or {CURE}"
            raise ConfigError(f"{str(path)!r} has a Lambda layer, whose code is never run; {cure}") from error
        reason = " ".join(_TERMINAL.sub("", str(error)).split())[:200]
        cure = CURE if path.suffix == ".keras" else f"save it as .keras with Keras 3; or {CURE}"
        raise ConfigError(f"Keras cannot read {str(path)!r} ({reason}); {cure}") from error
    if ends != (1, 1) or len(model.inputs[0].shape) != 4:
        raise ConfigError(f"{str(path)!r} has {ends[0]} inputs and {ends[1]} outputs; adopt an image classifier")
    return model


def _read(keras: Any, path: Path, weights: Path | None) -> Any:
    """A model from its file, or from its architecture and its weights.

    What Keras 2 wrote, Keras 3 reads from a whole .h5 alone, so its two files are laid together as one.
    """
    import h5py

    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
        if path.suffix == ".keras":
            if not (inside := _files_of_keras_2(path, Path(folder))):
                return keras.saving.load_model(path, compile=False)
            path, weights = inside
        with h5py.File(weights or path) as file:
            text = path.read_text(encoding="utf-8") if weights else file.attrs["model_config"]
            group = file if weights else file["model_weights"]
            architecture = json.loads(text)
            if "layer_names" not in group.attrs:  # Keras 3's own form, which Keras 2.13 began to write
                if str(architecture.get("keras_version", "3")).startswith("3"):
                    model = keras.models.model_from_json(text)
                else:
                    kind = keras.Sequential if architecture["class_name"] == "Sequential" else keras.Model
                    model = kind.from_config(_for_keras_3(architecture)["config"])
                model.load_weights(weights)
                return model
            if _words(group.attrs.get("keras_version", "2")).startswith("3"):
                _name_operations(architecture)
            else:
                architecture = _for_keras_3(architecture)
            whole = Path(folder) / "whole.h5"
            with h5py.File(whole, "w") as joined:
                joined.attrs["model_config"] = json.dumps(architecture)
                group.copy(group, joined, "model_weights")
            return keras.saving.load_model(whole, compile=False)


def _files_of_keras_2(path: Path, folder: Path) -> tuple[Path, Path] | None:
    """The architecture and the weights in a .keras file that Keras 2 wrote, unpacked; None where Keras 3 wrote it.

    Raises:
        ConfigError: they are larger than `MAX_FILE_BYTES`.
    """
    with zipfile.ZipFile(path) as file:
        version = str(parse_json(file.read("metadata.json")).get("keras_version", "3"))
        if not version.startswith("2"):
            return None
        if sum(part.file_size for part in file.infolist()) > MAX_FILE_BYTES:
            raise ConfigError(f"unpacks to more than {MAX_FILE_BYTES:,} bytes; {CURE}")
        architecture = parse_json(file.read("config.json")) | {"keras_version": version}
        (folder / "config.json").write_text(json.dumps(architecture), encoding="utf-8")
        return folder / "config.json", Path(file.extract("model.weights.h5", folder))


def _words(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _name(name: str) -> str:
    """A layer's name as Keras 3 takes it."""
    return name.replace("/", "_")


def _for_keras_3(part: Any) -> Any:
    """An architecture of Keras 2 as Keras 3 reads it.

    Keras 3 takes the batch in a first layer's shape for a side, knows no `groups` where there is one only, looks for
    classes in modules that are gone, and counts the calls of a model in a model from 0 where Keras 2 did from 1. A
    model's one output in a list is a list of outputs to it, and a policy of dtypes is known by its name. It takes no
    names with slashes.

    Raises:
        ConfigError: arithmetic of TensorFlow in the graph.
    """
    if isinstance(part, list):
        named = len(part) > 2 and isinstance(part[0], str) and isinstance(part[1], int)  # a layer's result
        return [_name(part[0]), *part[1:3], *map(_for_keras_3, part[3:])] if named else list(map(_for_keras_3, part))
    if not isinstance(part, dict):
        return part
    gone = ("module", "registered_name", "build_config") if "class_name" in part else ()
    if part.get("class_name") == "Policy":
        return part["config"]["name"]
    made = {key: _for_keras_3(value) for key, value in part.items() if key not in gone}
    made |= {"name": _name(made["name"])} if isinstance(made.get("name"), str) else {}
    config = made.get("config")
    if "class_name" in made and isinstance(config, dict):
        if made["class_name"] != "InputLayer" and "batch_input_shape" in config:
            config["input_shape"] = config.pop("batch_input_shape")[1:]
        if config.get("activation") == "hard_sigmoid":
            config["activation"] = HARD_SIGMOID_2
        if config.get("groups") == 1:
            del config["groups"]
        for name in NOT_IN_KERAS_3.get(made["class_name"], ()):
            config.pop(name, None)
        outputs = config.get("output_layers")
        if isinstance(outputs, list) and len(outputs) == 1 and isinstance(outputs[0], list):
            config["output_layers"] = outputs[0]
        inner = [one.get("name") for one in config.get("layers", []) if one["class_name"] in MODELS]
        rewrite_arithmetic(config.get("layers", []), models=inner, cure=CURE)
        for layer in config.get("layers", []):
            for call in (call for calls in layer.get("inbound_nodes", []) if isinstance(calls, list) for call in calls):
                call[1] -= call[0] in inner
    return made


def _name_operations(part: Any) -> None:
    """Name the modules of the operations in an architecture of Keras 3, in place."""
    if isinstance(part, list):
        for one in part:
            _name_operations(one)
    elif isinstance(part, dict):
        _name_operations([*part.values()])
        if "class_name" in part and isinstance(part.get("config"), dict) and "layers" in part["config"]:
            rewrite_arithmetic(part["config"]["layers"], cure=CURE)


def scales_itself(model: Any) -> bool:
    """Whether a layer of the model, or of a model in it, scales pixels, or arithmetic on its input does."""
    if any(type(layer).__name__ in OWN_SCALING for layer in _layers(model)):
        return True
    pixels = {id(model.inputs[0])}
    for operation in getattr(model, "operations", ()):
        if type(operation).__module__.startswith("keras.src.ops"):
            taken = operation.input if isinstance(operation.input, list) else [operation.input]
            if pixels & set(map(id, taken)):
                if type(operation).__name__ in SCALING:
                    return True
                pixels.add(id(operation.output))
    return False


def keras_to_onnx(model: Any, path: Path, size: Size | None) -> None:
    """Write a Keras model as the ONNX graph that its own export would be: floats in, its answers out.

    Args:
        model: from `open_keras`.
        path: the file to write.
        size: H, W of the images where it takes any.

    Raises:
        ConfigError: it takes images of any size, and none is passed.
        ExportError: a layer of it cannot be converted to ONNX.
    """
    shape = list(model.inputs[0].shape[1:])
    if None in shape:
        if size is None:
            raise ConfigError("the model takes images of any size; pass the size of training with --size, as 224x224")
        shape = [3, *size] if shape[0] == 3 else [*size, 3]
    to_onnx(KerasNetwork(model).eval(), torch.zeros(2, *shape), path, outputs=["answers"], cure=CURE)


def keras_probabilities(model: Any, pixels: NDArray[np.float32], conventions: Conventions) -> NDArray[np.float64]:
    """What Keras itself answers N×G to what `Conventions.pixels` makes of posters."""
    fed = pixels if conventions.layout == "nhwc" else pixels.transpose(0, 3, 1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an input by name, which takes pixels without it as well
        values = np.asarray(model.predict(fed, batch_size=BATCH, verbose=0), dtype=np.float64)
    return values if conventions.answers == "probabilities" else sigmoid(values)


def _keras_on_torch() -> Any:
    """Keras, with torch under it.

    Raises:
        ConfigError: it runs in this process already, on something else.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    keras = require("keras", purpose="adopting a Keras model", extra="keras")
    if keras.config.backend() != "torch":
        raise ConfigError(
            f"Keras runs on {keras.config.backend()} in this process; set KERAS_BACKEND=torch before it is imported"
        )
    keras.saving.get_custom_objects()[HARD_SIGMOID_2] = lambda x: keras.ops.clip(0.2 * x + 0.5, 0, 1)
    return keras


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)
