"""Model files that mean harm are rejected by name before a runtime sees them."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onesheet import bundle, onnx_file
from onesheet.bundle import CARD_KEY, read_bundle
from onesheet.errors import BundleError

Change = Callable[[onnx.ModelProto], object]


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sessions that are made."""
    made: list[object] = []
    real = onnxruntime.InferenceSession

    def session(*arguments: Any, **options: Any) -> Any:
        made.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(bundle.onnxruntime, "InferenceSession", session)
    return made


@pytest.fixture
def changed(model_path: Path, tmp_path: Path) -> Callable[[Change], Path]:
    def make(change: Change) -> Path:
        model = onnx.load(model_path)
        change(model)
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


def weights(model: onnx.ModelProto) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.data_type == 1 and len(tensor.dims) > 1)


def outside(place: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = weights(model)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return change


def set_values(values: float) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = weights(model)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[3] = values
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


def add_node(node: onnx.NodeProto) -> Change:
    return lambda model: model.graph.node.append(node)


def inner_graph() -> onnx.GraphProto:
    return helper.make_graph([helper.make_node("Identity", ["logits"], ["y"])], "inner", [], [])


def set_shape(*sizes: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = weights(model)
        del tensor.dims[:]
        tensor.dims.extend(sizes)

    return change


def two_places(model: onnx.ModelProto) -> None:
    weights(model).float_data.extend([0.0] * 9)


def nan_in_a_node(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.array([1, np.nan], np.float32), "c")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def nan_apart(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("c", TensorProto.FLOAT, [2], [1.0, np.nan]))


def in_a_function(model: onnx.ModelProto) -> None:
    opset = helper.make_opsetid("", 20)
    model.functions.append(helper.make_function("mine", "f", ["x"], ["y"], [], [opset]))


def sparse(model: onnx.ModelProto) -> None:
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("p", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2]))


def again(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key=CARD_KEY, value=model.metadata_props[0].value)


HOSTILE: dict[str, tuple[Change, str]] = {
    "external data": (outside("weights.bin"), r"weights in another file \('"),
    "an absolute path": (outside("/etc/passwd"), "weights in another file"),
    "a path above": (outside("../../secret"), "weights in another file"),
    "a custom operator": (add_node(helper.make_node("Run", [], ["r"], domain="evil")), "operator 'Run' of 'evil'"),
    "a Microsoft operator": (
        add_node(helper.make_node("FusedConv", [], ["r"], domain="com.microsoft")),
        "operator 'FusedConv' of 'com.microsoft'",
    ),
    "a graph in If": (
        add_node(helper.make_node("If", ["c"], ["r"], then_branch=inner_graph(), else_branch=inner_graph())),
        "a graph inside a node 'If'",
    ),
    "a graph in Loop": (add_node(helper.make_node("Loop", ["c"], ["r"], body=inner_graph())), "a graph inside a node"),
    "functions": (in_a_function, "functions"),
    "training graphs": (lambda model: model.training_info.add(), "training graphs"),
    "sparse tensors": (sparse, "sparse tensors"),
    "a huge shape": (set_shape(10**9, 10**9, 10**9), r"of shape \[1000000000, 1000000000"),
    "a shape without end": (set_shape(*[2**62] * 40_000), "of more than 64 dimensions"),
    "a negative shape": (set_shape(-1), "of shape"),
    "an overflowing shape": (set_shape(2**32, 2**32), "of shape"),
    "a small shape": (set_shape(1), r"of shape \[1\] and"),
    "data twice": (two_places, "its data in several places"),
    "text weights": (
        lambda model: model.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, [1], [b"x"])),
        "a tensor 't' of element type 8",
    ),
    "NaN weights": (set_values(np.nan), "weights that are no numbers"),
    "NaN in typed data": (nan_apart, r"weights that are no numbers \('c'\)"),
    "NaN in a node": (nan_in_a_node, r"weights that are no numbers \('c'\)"),
    "a card of 50 MB": (
        lambda model: setattr(model.metadata_props[0], "value", "a" * 50_000_000),
        "50,000,.* bytes of metadata 'onesheet'",
    ),
    "two cards": (again, "two entries 'onesheet'"),
    "another input": (
        lambda model: model.graph.input.append(helper.make_tensor_value_info("x", 1, [1])),
        "does not take posters",
    ),
    "a float input": (
        lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 1),
        "does not take posters",
    ),
    "fewer genres": (
        lambda model: setattr(model.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 2),
        "genres are not the card's",
    ),
    "embeddings that are no vectors": (
        lambda model: model.graph.output[2].type.tensor_type.shape.dim.pop(),
        "embedding is not float32 of rank 2",
    ),
    "embeddings of whole numbers": (
        lambda model: setattr(model.graph.output[2].type.tensor_type, "elem_type", 7),
        "embedding is not float32 of rank 2",
    ),
    "evidence that is no map": (
        lambda model: model.graph.output[3].type.tensor_type.shape.dim.pop(),
        "evidence is not float32 of rank 4",
    ),
    "evidence of fewer genres": (
        lambda model: setattr(model.graph.output[3].type.tensor_type.shape.dim[1], "dim_value", 2),
        "genres are not the card's",
    ),
    "no logits": (lambda model: model.graph.output.pop(1), "lacks outputs"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_rejected_by_name_before_a_session_is_made(
    name: str, changed: Callable[[Change], Path], sessions: list[object]
) -> None:
    change, said = HOSTILE[name]
    path = changed(change)
    with pytest.raises(BundleError, match=said) as caught:
        read_bundle(path)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 600
    assert not sessions


def test_the_file_itself_is_opened(changed: Callable[[Change], Path], sessions: list[object]) -> None:
    bundle = read_bundle(changed(lambda model: None))
    assert len(sessions) == 1 and np.isfinite(bundle.score(np.zeros((2, 48, 32, 3), np.uint8)).probabilities).all()


def card_with(**changes: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        card = json.loads(model.metadata_props[0].value)
        model.metadata_props[0].value = json.dumps(card | changes)

    return change


FILMS = {"label_sets": [[[0], 10**12]]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"genres": ["Comedy", "Drama", "\x1b[2J"]}, "genres"),
        ({"calibration": {"scale": [1, 1, float("nan")], "bias": [0, 0, 0]}}, "not JSON"),
        ({"calibration": {"scale": [1, 1, 1], "bias": [0, 0, "x"]}}, "damaged card"),
        ({"data": FILMS}, "1,000,000,000,000 films in label sets"),
        ({"data": {"label_sets": [[[7], 1]]}}, "label set"),
        ({"data": {"label_sets": [[[0], -5]]}}, "films of a label set"),
        ({"training": "no"}, "training"),
        ({"versions": [1]}, "versions"),
        ({"created": 7}, "created"),
        ({"protocol": 10**30}, "newer than 1"),
    ],
    ids=str,
)
def test_a_hostile_card_is_rejected_by_its_field(
    changes: dict[str, Any], said: str, changed: Callable[[Change], Path], sessions: list[object]
) -> None:
    with pytest.raises(BundleError, match=said):
        read_bundle(changed(card_with(**changes)))
    assert not sessions


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\ufeff{}", '{"protocol": 1e999}', "{"])
def test_a_card_that_is_no_card(text: str, changed: Callable[[Change], Path], sessions: list[object]) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props[0].value = text

    with pytest.raises(BundleError, match="damaged card: n"):
        read_bundle(changed(change))
    assert not sessions


def test_infinite_answers_are_not_given(changed: Callable[[Change], Path]) -> None:
    opened = read_bundle(changed(set_values(np.inf)))
    with pytest.raises(BundleError, match="has outputs that are no numbers"):
        opened.score(np.full((1, 48, 32, 3), 255, np.uint8))


def answering(name: str, values: object) -> Change:
    """A graph that says of an output what is right, and answers with something else."""

    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = [f"true_{name}" if output == name else output for output in node.output]
            node.input[:] = [f"true_{name}" if source == name else source for source in node.input]
        array = numpy_helper.from_array(np.array(values, np.float32))
        model.graph.node.append(helper.make_node("Constant", [], [name], value=array))

    return change


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("probabilities", [[5.05, 0.5, 0.5]], "no probabilities"),
        ("probabilities", [[-0.01, 0.5, 0.5]], "no probabilities"),
        ("embedding", 1.0, "of another shape"),
        ("embedding", [[1.0], [2.0]], "of another shape"),
        ("embedding", [[np.inf, 1.0]], "no numbers"),
        ("evidence", [1.0], "of another shape"),
        ("evidence", [[[[np.inf]]] * 3], "no numbers"),
    ],
    ids=str,
)
def test_answers_that_are_not_what_the_graph_says(
    name: str, values: object, said: str, changed: Callable[[Change], Path]
) -> None:
    opened = read_bundle(changed(answering(name, values)))
    with pytest.raises(BundleError, match=f"has outputs that are {said}"):
        opened.score(np.zeros((1, 48, 32, 3), np.uint8))


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize("twice", [b"\x10\x06\x10\x01", b"\x10\x01\x70\x00\x70\x00"], ids=["type", "place"])
def test_a_field_that_comes_twice_hides_nothing(twice: bytes, tmp_path: Path) -> None:
    """Protobuf takes the last of them: whole numbers at first sight, NaN to the runtime."""
    tensor = b"\x08\x01" + twice + field(9, b"\0\0\xc0\x7f")
    (tmp_path / "twice.onnx").write_bytes(field(7, field(5, tensor)))
    with pytest.raises(BundleError, match="of two element types or places"):
        onnx_file.read_onnx(tmp_path / "twice.onnx")


def test_what_is_no_model_file_is_known_by_its_first_byte(tmp_path: Path) -> None:
    with (tmp_path / "sparse.onnx").open("wb") as file:
        file.truncate(300_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="is not an ONNX file"):
            read_bundle(tmp_path / "sparse.onnx")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_graph_that_cannot_be_computed_is_one_error(changed: Callable[[Change], Path]) -> None:
    def change(model: onnx.ModelProto) -> None:  # reshapes what it cannot
        model.graph.initializer.append(helper.make_tensor("far", TensorProto.INT64, [2], [7, 11]))
        model.graph.node.insert(0, helper.make_node("Reshape", ["posters", "far"], ["spoilt"]))
        model.graph.output.append(helper.make_tensor_value_info("spoilt", TensorProto.UINT8, None))

    opened = read_bundle(changed(change))
    with pytest.raises(BundleError, match="cannot be computed"):
        opened.score(np.zeros((1, 48, 32, 3), np.uint8))


def test_a_file_larger_than_any_model_is_not_read(tmp_path: Path, sessions: list[object]) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(onnx_file.MAX_FILE_BYTES + 1)
    with pytest.raises(BundleError, match="has 2,000,000,001 bytes, and a model file may have 2,000,000,000"):
        read_bundle(path)


def test_damaged_model_files_open_or_are_one_error(model_path: Path, tmp_path: Path) -> None:
    data, chance, path = model_path.read_bytes(), random.Random(0), tmp_path / "damaged.onnx"
    rejected = 0
    for _ in range(300):
        spoilt = bytearray(data)
        for _ in range(chance.choice((1, 3, 20))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        if chance.random() < 0.2:
            del spoilt[chance.randrange(len(spoilt)) :]
        path.write_bytes(spoilt)
        try:
            read_bundle(path).score(np.zeros((1, 48, 32, 3), np.uint8))
        except BundleError as error:
            rejected += 1
            assert "\n" not in str(error)
    assert 20 < rejected < 300
