from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install 'onesheet-genres[keras]'")
h5py = pytest.importorskip("h5py")

from onesheet.data import Catalogue  # noqa: E402
from onesheet.errors import ConfigError  # noqa: E402
from onesheet.evaluation import roc_auc  # noqa: E402
from onesheet.exporting import Conventions, adopt  # noqa: E402
from onesheet.genres import GenreSet  # noqa: E402
from onesheet.packed import Packed  # noqa: E402

GENRES = GenreSet(["Comedy", "Drama", "Horror"])
INSIDE = Conventions()
UNIT = Conventions(scaling="1/255")


@pytest.fixture(scope="module")
def posters(packed: Packed) -> NDArray[np.uint8]:
    return np.array(packed.posters)


@pytest.fixture(scope="module")
def genre_cnn(posters: NDArray[np.uint8], packed: Packed) -> Any:
    """The reference systems' form: convolution, pooling, dropout, dense, on posters divided by 255."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((48, 32, 3)),
            layers.Conv2D(8, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(4),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(3, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=["precision"])
    model.fit(posters / 255.0, packed.labels.astype("float32"), epochs=6, batch_size=20, verbose=0)
    return model


def write_keras_2(model: Any, folder: Path) -> tuple[Path, Path]:
    """model.json and its weights, as Keras 2 wrote them."""
    kept = (
        "name",
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "activation",
        "units",
        "pool_size",
        "rate",
        "epsilon",
    )
    layers = []
    for layer in model.layers:
        config = {key: value for key, value in layer.get_config().items() if key in kept}
        layers.append({"class_name": type(layer).__name__, "config": {**config, "dtype": "float32"}})
    layers[0]["config"]["batch_input_shape"] = [None, 48, 32, 3]
    written = {
        "class_name": "Sequential",
        "config": {"name": "sequential_1", "layers": layers},
        "keras_version": "2.4.0",
        "backend": "tensorflow",
    }
    (folder / "model.json").write_text(json.dumps(written))
    return folder / "model.json", write_weights_2(model, folder)


def write_weights_2(model: Any, folder: Path) -> Path:
    """The weights as Keras 2 wrote them: those of a model in a model in one group, statistics last."""
    with h5py.File(folder / "weights.h5", "w") as file:
        file.attrs.update({"backend": "tensorflow", "keras_version": "2.4.0"})
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            group = file.create_group(layer.name)
            names = [f"{weight.path}:0" for weight in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group[name] = weight.numpy()
    return folder / "weights.h5"


def write_keras_3(model: Any, folder: Path) -> tuple[Path, Path]:
    """The same two files as Keras 3 writes them."""
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "model.weights.h5")
    return folder / "model.json", folder / "model.weights.h5"


def write_whole(ending: str) -> Callable[[Any, Path], tuple[Path, None]]:
    def write(model: Any, folder: Path) -> tuple[Path, None]:
        model.save(folder / f"model{ending}")
        return folder / f"model{ending}", None

    return write


FORMS = {
    ".keras": write_whole(".keras"),
    ".h5": write_whole(".h5"),
    "model.json and weights of Keras 2": write_keras_2,
    "model.json and weights of Keras 3": write_keras_3,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_keras_own_answers(
    form: str, genre_cnn: Any, posters: NDArray[np.uint8], packed: Packed, tmp_path: Path
) -> None:
    path, weights = FORMS[form](genre_cnn, tmp_path)
    bundle = adopt(path, GENRES, tmp_path / "genres.onnx", weights=weights, conventions=UNIT)
    expected = genre_cnn.predict(posters / 255.0, verbose=0)
    assert np.nanmean(roc_auc(packed.labels, expected)) > 0.8  # it has learnt something
    scores = bundle.score(posters)
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-5)
    assert scores.embedding.shape[1] == 16
    assert bundle.card.versions["keras"] == keras.__version__
    assert bundle.card.training["model"] == f"adopted from {path.name}"
    assert str(tmp_path).encode() not in (tmp_path / "genres.onnx").read_bytes()


def test_a_nested_backbone_that_scales_itself(posters: NDArray[np.uint8], catalogue: Catalogue, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = layers.Input((48, 32, 3))
    x = layers.SeparableConv2D(8, 3, strides=2, activation="swish")(layers.Rescaling(1 / 127.5, offset=-1)(image))
    backbone = keras.Model(image, layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)]), name="backbone")
    poster = layers.Input((48, 32, 3))
    x = layers.RandomFlip("horizontal")(poster)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(backbone(x)))
    model = keras.Model(poster, layers.Dense(3, name="genres")(x))
    model.get_layer("genres").kernel.assign(model.get_layer("genres").kernel * 30)
    model.save(tmp_path / "model.keras")
    bundle = adopt(
        tmp_path / "model.keras", GENRES, tmp_path / "genres.onnx", conventions=INSIDE, catalogue=catalogue, threads=1
    )
    expected = model.predict(posters.astype("float32"), verbose=0)
    assert expected.std() > 0.1
    scores = bundle.score(posters)
    np.testing.assert_allclose(scores.logits, expected, atol=1e-4)
    fed = bundle.card.training["fed_and_read"]
    assert (fed["scaling"], fed["answers"], fed["layout"]) == ("none", "logits", "nhwc")
    np.testing.assert_allclose(scores.probabilities.mean(0), bundle.card.train_labels.mean(0), atol=0.05)
    said: list[str] = []
    adopt(tmp_path / "model.keras", GENRES, tmp_path / "genres.onnx", conventions=UNIT, notify=said.append)
    assert said == [
        "warning: model.keras scales pixels itself, and now gets them scaled 1/255 before; "
        "leave out --scaling unless they were in training"
    ]


def layer_2(name: str, kind: str, inbound: str, index: int = 0, **config: Any) -> dict[str, Any]:
    """A layer of a functional model as Keras 2.15 wrote it."""
    return {
        "module": "keras.src.engine.functional" if kind == "Functional" else "keras.layers",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [[[inbound, index, 0, {}]]] if inbound else [],
    }


def test_a_model_in_a_model_of_keras_2(posters: NDArray[np.uint8], tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = layers.Input((48, 32, 3), name="image")
    x = layers.DepthwiseConv2D(3, strides=2, name="wise")(layers.Conv2D(6, 3, name="convolution")(image))
    backbone = keras.Model(image, layers.BatchNormalization(name="norm")(x), name="backbone")
    poster = layers.Input((48, 32, 3), name="poster")
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Activation("relu", name="relu")(backbone(poster)))
    model = keras.Model(poster, layers.Dense(3, activation="sigmoid", name="genres")(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.4, weight.shape) for weight in model.weights])
    model.get_layer("genres").set_weights([rng.normal(size=(6, 3)) / 10, np.zeros(3)])
    shape = [None, 48, 32, 3]
    inner = [
        layer_2("image", "InputLayer", "", batch_input_shape=shape, dtype="float32", sparse=False, ragged=False),
        layer_2("convolution", "Conv2D", "image", filters=6, kernel_size=[3, 3], groups=1),
        layer_2("wise", "DepthwiseConv2D", "convolution", kernel_size=[3, 3], strides=[2, 2], groups=1),
        layer_2("norm", "BatchNormalization", "wise", axis=[3], epsilon=0.001),
    ]
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [["norm", 0, 0]]}
    outer = [
        layer_2("poster", "InputLayer", "", batch_input_shape=shape, dtype="float32", sparse=False, ragged=False),
        layer_2("backbone", "Functional", "poster", layers=inner, **ends),
        layer_2("relu", "Activation", "backbone", 1, activation="relu"),
        layer_2("pool", "GlobalAveragePooling2D", "relu"),
        layer_2("genres", "Dense", "pool", units=3, activation="sigmoid"),
    ]
    ends = {"input_layers": [["poster", 0, 0]], "output_layers": [["genres", 0, 0]]}
    written = {
        "class_name": "Functional",
        "config": {"name": "model", "layers": outer, **ends},
        "keras_version": "2.15.0",
    }
    (tmp_path / "model.json").write_text(json.dumps(written))
    weights = write_weights_2(model, tmp_path)
    bundle = adopt(tmp_path / "model.json", GENRES, tmp_path / "genres.onnx", weights=weights, conventions=UNIT)
    expected = model.predict(posters / 255.0, verbose=0)
    assert expected.std(0).max() > 0.001 and expected.std() > 0.01
    np.testing.assert_allclose(bundle.score(posters).probabilities, expected, atol=1e-5)


def with_lambda(form: str, folder: Path) -> tuple[Path, Path | None]:
    model = keras.Sequential(
        [
            keras.layers.Input((48, 32, 3)),
            keras.layers.Lambda(lambda posters: posters / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="sigmoid"),
        ]
    )
    return FORMS[form](model, folder)


@pytest.mark.parametrize("form", [".keras", ".h5", "model.json and weights of Keras 3"])
def test_code_in_a_file_is_rejected(form: str, tmp_path: Path) -> None:
    path, weights = with_lambda(form, tmp_path)
    with pytest.raises(ConfigError, match=r"has a Lambda layer, whose code is never run; replace it .*as ONNX where"):
        adopt(path, GENRES, tmp_path / "genres.onnx", weights=weights, conventions=UNIT)


def test_what_cannot_be_adopted(genre_cnn: Any, tmp_path: Path) -> None:
    genre_cnn.save(tmp_path / "model.keras")
    (tmp_path / "model.json").write_text(genre_cnn.to_json())
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    two = keras.Input((48, 32, 3)), keras.Input((48, 32, 3))
    answers = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Add()(two)))
    keras.Model(two, answers).save(tmp_path / "two.keras")
    cases: list[tuple[str, str | None, Conventions, GenreSet, str]] = [
        ("model.keras", None, INSIDE, GENRES, "does not show how pixels were scaled in training"),
        (
            "model.keras",
            None,
            UNIT,
            GenreSet(["A", "B"]),
            "2 genres are named, and the network's outputs for a poster are 'answers' of 3",
        ),
        ("model.json", None, UNIT, GENRES, "holds no weights; name the file of its weights with --weights"),
        ("model.keras", "broken.h5", UNIT, GENRES, "holds its weights; leave out --weights"),
        ("broken.h5", None, UNIT, GENRES, "Keras cannot read"),
        ("none.keras", None, UNIT, GENRES, "no such file"),
        ("two.keras", None, UNIT, GENRES, "has 2 inputs and 1 outputs; adopt an image classifier"),
    ]
    for name, weights, conventions, genres, message in cases:
        with pytest.raises(ConfigError, match=message):
            adopt(
                tmp_path / name,
                genres,
                tmp_path / "genres.onnx",
                weights=tmp_path / weights if weights else None,
                conventions=conventions,
            )
    assert not (tmp_path / "genres.onnx").exists()
