"""Forms of networks that people have: what Keras 2 wrote, numbered labels, arithmetic in the graph."""

import os

import pytest

from onesheet.errors import CatalogueError, ConfigError
from onesheet.exporting import read_genres

os.environ["KERAS_BACKEND"] = "torch"
pytest.importorskip("keras", reason="Keras is not installed; pip install 'onesheet-genres[keras]'")

from onesheet.exporting.keras_classifier import _for_keras_3


def test_one_output_of_an_inner_model_is_no_list():
    inner = {"class_name": "Functional", "config": {"name": "base", "layers": [], "output_layers": [["relu", 0, 0]]}}
    assert _for_keras_3(inner)["config"]["output_layers"] == ["relu", 0, 0]


def test_a_policy_of_dtypes_is_its_name():
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    assert _for_keras_3({"class_name": "Dense", "config": {"dtype": policy}})["config"] == {"dtype": "mixed_float16"}


def test_separable_convolutions_lose_what_keras_3_does_not_know():
    config = {"filters": 8, "kernel_initializer": {}, "kernel_regularizer": None, "kernel_constraint": None}
    assert _for_keras_3({"class_name": "SeparableConv2D", "config": config})["config"] == {"filters": 8}


def test_arithmetic_in_the_graph_is_listed():
    layer = {"class_name": "TFOpLambda", "config": {"function": "math.truediv"}, "inbound_nodes": [["x", 0, 0, {}]]}
    with pytest.raises(ConfigError, match=r"math\.truediv.*pass --scaling"):
        _for_keras_3({"class_name": "Functional", "config": {"layers": [layer]}})


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
