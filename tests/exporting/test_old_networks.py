"""Forms of networks that people have: what Keras 2 wrote, numbered labels, arithmetic in the graph."""

import json
import os
import zipfile

import numpy as np
import pytest

from onesheet.errors import CatalogueError, ConfigError
from onesheet.exporting import Conventions, read_genres

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install 'onesheet-genres[keras]'")
h5py = pytest.importorskip("h5py")

from onesheet.exporting.keras_classifier import (  # noqa: E402
    NOT_IN_KERAS_3,
    _for_keras_3,
    keras_probabilities,
    open_keras,
    scales_itself,
)


def test_one_output_of_an_inner_model_is_no_list():
    inner = {"class_name": "Functional", "config": {"name": "base", "layers": [], "output_layers": [["relu", 0, 0]]}}
    assert _for_keras_3(inner)["config"]["output_layers"] == ["relu", 0, 0]


def test_a_policy_of_dtypes_is_its_name():
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    assert _for_keras_3({"class_name": "Dense", "config": {"dtype": policy}})["config"] == {"dtype": "mixed_float16"}


DOTS, TURNED = {"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}
CHANNELS = {"class_name": "__tuple__", "items": [DOTS, TURNED]}
MEAN = [-103.939, -116.779, -123.68]
SIZE = (12, 8)
# What code does to pixels -> TensorFlow's functions with their arguments, as Keras 2 writes them.
ARITHMETIC = {
    "tf": ([("math.truediv", {"y": 127.5}), ("math.subtract", {"y": 1.0})], lambda x: x / 127.5 - 1),
    "whole numbers": ([("math.multiply", {"y": 0.01}), ("math.subtract", {"y": 1})], lambda x: x * 0.01 - 1),
    "caffe": (
        [("__operators__.getitem", {"slice_spec": CHANNELS}), ("nn.bias_add", {"bias": MEAN, "data_format": "NHWC"})],
        lambda x: x[..., ::-1] + np.array(MEAN),
    ),
    "from one": ([("math.subtract", {"_first": 1.0}), ("cast", {"dtype": "float32"})], lambda x: 1 - x),
    "clipped": ([("clip_by_value", {"clip_value_min": 9, "clip_value_max": 99})], lambda x: x.clip(9, 99)),
    "cropped": (
        [
            (
                "__operators__.getitem",
                {"slice_spec": [DOTS, {**TURNED, "start": 1, "step": 2}, {**TURNED, "step": 1}]},
            )
        ],
        lambda x: x[:, :, 1::2],
    ),
}


def functional(steps, *, name="model", body=()):
    """A functional model of Keras 2: pixels, TensorFlow's functions, and a mean over the picture."""
    shape = [None, *SIZE, 3]
    layers = [{"class_name": "InputLayer", "config": {"batch_input_shape": shape, "name": "in/1"}, "inbound_nodes": []}]
    before = "in/1"
    for number, (function, arguments) in enumerate(steps):
        tensor = [before, 0, 0, {**arguments, "name": None}]
        if "_first" in arguments:
            tensor = ["_CONSTANT_VALUE", -1, arguments["_first"], {"y": tensor[:3], "name": None}]
        kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
        before = f"tf.{number}"
        layers.append({"class_name": kind, "config": {"name": before, "function": function}, "inbound_nodes": [tensor]})
    pool = {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}, "inbound_nodes": [[[before, 0, 0, {}]]]}
    for layer in (layers := [*layers, pool]):
        layer["name"] = layer["config"]["name"]
    ends = {"input_layers": [["in/1", 0, 0]], "output_layers": [["pool", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": name, "layers": layers, **ends}}


@pytest.mark.parametrize("kind", ARITHMETIC)
def test_arithmetic_of_keras_2_is_that_of_tensorflow(kind):
    steps, expected = ARITHMETIC[kind]
    model = keras.Model.from_config(_for_keras_3(functional(steps))["config"])
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(pixels, verbose=0), expected(pixels).mean((1, 2)), rtol=1e-5)
    assert scales_itself(model) == (kind not in ("clipped", "cropped"))


def test_hard_sigmoid_is_that_of_keras_2(tmp_path):
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 1, 1, 3], "name": "image"}},
        {"class_name": "Activation", "config": {"name": "a", "activation": "hard_sigmoid"}},
    ]
    with h5py.File(tmp_path / "network.h5", "w") as file:
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
        file.attrs["model_config"] = json.dumps(model)
        file.create_group("model_weights").attrs.update({"layer_names": [], "keras_version": "2.4.0"})
    model = open_keras(tmp_path / "network.h5")
    values = np.array([[[[-3, 1, 2]]]], "float32")
    np.testing.assert_allclose(model.predict(values, verbose=0), np.clip(0.2 * values + 0.5, 0, 1), rtol=1e-6)


def test_an_input_by_name_gives_no_warning(tmp_path, recwarn):
    image = keras.Input((*SIZE, 3), name="image")
    keras.Model({"image": image}, keras.layers.GlobalAveragePooling2D()(image)).save(tmp_path / "network.keras")
    model = open_keras(tmp_path / "network.keras")
    pixels = np.full((1, *SIZE, 3), 0.5, "float32")
    answers = keras_probabilities(model, pixels, Conventions(layout="nhwc", answers="probabilities"))
    np.testing.assert_allclose(answers, [[0.5, 0.5, 0.5]])
    assert not [warning for warning in recwarn if "structure" in str(warning.message)]


@pytest.mark.parametrize(
    "function, arguments", [("image.resize", {"size": [8, 8]}), ("cast", {"dtype": "uint8"}), ("math.pow", {"y": 2})]
)
def test_other_arithmetic_in_the_graph_is_listed(function, arguments):
    with pytest.raises(
        ConfigError, match=rf"cannot read \({function}\); save the network without it; or save it as ONNX"
    ):
        _for_keras_3(functional([("math.truediv", {"y": 255}), (function, arguments)]))


def test_two_tensors_are_added():
    written = functional([("math.truediv", {"y": 2.0}), ("__operators__.add", {"y": ["in/1", 0, 0]})])
    model = keras.Model.from_config(_for_keras_3(written)["config"])
    pixels = np.full((1, *SIZE, 3), 10, "float32")
    np.testing.assert_allclose(model.predict(pixels, verbose=0), [[15, 15, 15]])


def test_arithmetic_in_an_h5_of_keras_3(tmp_path):
    image = keras.Input((*SIZE, 3))
    inner = keras.Input((*SIZE, 3))
    turned = keras.Model(inner, inner[..., ::-1] / 2)
    answers = keras.layers.GlobalAveragePooling2D()(turned(keras.applications.resnet50.preprocess_input(image)))
    keras.Model(image, answers).save(tmp_path / "network.h5")
    model = open_keras(tmp_path / "network.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype("float32")
    expected = (pixels.mean((1, 2)) + np.array(MEAN[::-1])) / 2
    np.testing.assert_allclose(model.predict(pixels, verbose=0), expected, rtol=1e-4)
    assert scales_itself(model)


def test_a_keras_file_of_keras_2(tmp_path):
    model = keras.Sequential([keras.layers.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "model.weights.h5")
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, *SIZE, 3], "name": "image"}},
        {"module": "keras.layers", "class_name": "Flatten", "config": {"name": "flatten"}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 2}},
    ]
    with zipfile.ZipFile(tmp_path / "network.keras", "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        file.writestr(
            "config.json", json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
        )
        file.write(tmp_path / "model.weights.h5", "model.weights.h5")
    pixels = np.ones((1, *SIZE, 3), "float32")
    read = open_keras(tmp_path / "network.keras")
    np.testing.assert_allclose(read.predict(pixels, verbose=0), model.predict(pixels, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("kind, gone", NOT_IN_KERAS_3.items())
def test_what_keras_3_does_not_take_is_left_out(kind, gone):
    made = _for_keras_3({"class_name": kind, "config": {"rate": 0.1, **dict.fromkeys(gone)}})
    assert made["config"] == {"rate": 0.1}


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_before_labels_are_left_out_with_a_message(tmp_path, first):
    (tmp_path / "labels.txt").write_text(f"{first} Action\n{first + 1} Science Fiction\n")
    told = []
    assert read_genres(tmp_path / "labels.txt", notify=told.append).names == ("Action", "Science Fiction")
    assert "labels.txt numbers its lines" in told[0]


def test_numbers_alone_are_no_genres(tmp_path):
    (tmp_path / "labels.txt").write_text("0\n1\n")
    with pytest.raises(CatalogueError, match="has numbers for genres"):
        read_genres(tmp_path / "labels.txt")
