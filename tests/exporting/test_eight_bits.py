"""Files in 8 bits answer the same on every processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from transformers import MobileNetV2Config

from eight_bits import answers, dot, layers_in_8_bits
from onesheet.errors import ConfigError
from onesheet.exporting import Conventions, adopt, onnx_graph
from onesheet.exporting.onnx_graph import ExportGraph, to_precision, write_graph
from onesheet.genres import GenreSet
from onesheet.models import build_network


class Network(NamedTuple):
    """A small network: its graph in 32 bits, posters, and what it answers."""

    graph: Path
    posters: NDArray[np.uint8]
    answers: list[NDArray[np.float32]]

    def likeness(self, found: list[NDArray[Any]]) -> list[float]:
        """Correlation of each output with the network's."""
        pairs = zip(found, self.answers, strict=True)
        return [float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in pairs]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A MobileNetV2 whose batch norms have met its posters; each first channel is the same everywhere."""
    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    MobileNetV2Config(depth_multiplier=0.1, min_depth=4, finegrained_output=False).save_pretrained(folder)
    network = build_network(f"hf:{folder}", genres=3, size=(64, 48), pretrained=False)
    posters = np.random.default_rng(0).integers(0, 256, (40, 8, 6, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    graph, shown = ExportGraph(network), torch.from_numpy(posters)
    for norm in [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]:
        norm.momentum = 1.0
        torch.nn.init.normal_(norm.weight[1:], 1, 0.5)
        torch.nn.init.zeros_(norm.weight[:1])
    with torch.no_grad():
        network.train()(shown.permute(0, 3, 1, 2) / 255)
        network.eval()
        outputs = [values.numpy() for values in graph(shown)]
    write_graph(graph, folder / "graph.onnx", size=(64, 48))
    return Network(folder / "graph.onnx", posters, outputs)


def in_8_bits(network: Network, path: Path) -> Path:
    path.write_bytes(network.graph.read_bytes())
    to_precision(path, "int8", network.posters, np.arange(len(network.posters)))
    return path


def test_a_channel_without_a_deviation_stays_a_number(network: Network, tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(in_8_bits(network, tmp_path / "int8.onnx"))
    seen = session.run(["logits", "embedding", "evidence"], {"posters": network.posters})
    assert all(np.isfinite(found).all() for found in seen)
    assert min(network.likeness(seen)) > 0.8


def test_sums_in_16_bits_change_nothing(network: Network, tmp_path: Path) -> None:
    path = in_8_bits(network, tmp_path / "int8.onnx")
    exact, saturating = (answers(path, network.posters, saturating=way) for way in (False, True))
    for one, other in zip(exact, saturating, strict=True):
        np.testing.assert_array_equal(one, other)
    assert min(network.likeness(saturating)) > 0.8
    ours = onnxruntime.InferenceSession(path).run(None, {"posters": network.posters})
    alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(exact, ours, strict=True)]
    assert min(alike) > 0.95  # they round differently here and there, and nothing else


def test_sums_in_16_bits_would_spoil_weights_of_8_bits(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize = onnx_graph.quantize_static
    monkeypatch.setattr(
        onnx_graph, "quantize_static", lambda *files, **options: quantize(*files, **options | {"reduce_range": False})
    )
    path = in_8_bits(network, tmp_path / "wide.onnx")
    exact, saturating = (network.likeness(answers(path, network.posters, saturating=way)) for way in (False, True))
    lost = [one - other for one, other in zip(exact, saturating, strict=True)]
    assert min(exact) > 0.8 and min(lost) > 0 and max(lost) > 0.05


def test_two_products_are_added_within_16_bits() -> None:
    full, most = np.full((1, 3), 255, np.uint8), np.full((3, 1), 127, np.int8)
    assert dot(full, most, saturating=False).item() == 3 * 255 * 127
    assert dot(full, most, saturating=True).item() == 32767 + 255 * 127
    assert dot(full, -most, saturating=True).item() == -32768 - 255 * 127


kernels = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 3), st.integers(1, 3)),
    elements=st.floats(-1e4, 1e4, width=32),
)


@settings(max_examples=25, deadline=None)
@given(kernel=kernels)
def test_no_two_products_leave_16_bits(kernel: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_convolution(tmp_path_factory.mktemp("any") / "any.onnx", kernel)
    to_precision(path, "int8", np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8), np.arange(2))
    ((weights, depthwise),) = layers_in_8_bits(path)
    assert weights.dtype == np.int8 and weights.shape == kernel.shape and not depthwise
    assert 2 * 255 * np.abs(weights.astype(int)).max() <= 2**15 - 1
    rows = weights.reshape(len(weights), -1)
    used = np.abs(kernel.reshape(rows.shape)).max(1) > 1e-3  # the quantiser widens ranges that are nearly nothing
    assert (np.abs(rows[used]).max(1) >= 63).all()  # and 7 bits are used


def test_only_depthwise_weights_have_8_bits(network: Network, tmp_path: Path) -> None:
    layers = layers_in_8_bits(in_8_bits(network, tmp_path / "int8.onnx"))
    most = {
        kind: max(np.abs(one.astype(int)).max() for one, depthwise in layers if depthwise == kind)
        for kind in (False, True)
    }
    assert most == {False: 64, True: 127}


@pytest.mark.parametrize("channels", [3, 16, 40])
@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_this_processor_adds_depthwise_products_one_by_one(channels: int, side: int, sign: int) -> None:
    values = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "weights": np.full((channels, 1, side, side), sign * 127, np.int8),
        "scales": np.ones(channels, np.float32),
        "zeros": np.zeros(channels, np.int8),
        "step": np.float32(255 * 127 * side * side / 100),
        "middle": np.uint8(128),
    }
    inputs = ["maps", "one", "zero", "weights", "scales", "zeros", "step", "middle"]
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", inputs, ["sums"], group=channels)],
        "depthwise",
        [helper.make_tensor_value_info("maps", TensorProto.UINT8, [1, channels, 9, 9])],
        [helper.make_tensor_value_info("sums", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (sums,) = session.run(None, {"maps": np.full((1, channels, 9, 9), 255, np.uint8)})
    assert (sums == 128 + sign * 100).all()


def write_convolution(path: Path, kernel: NDArray[np.float32]) -> Path:
    """posters -> a convolution, its mean and a dense layer -> logits; a kernel of one colour reads the first."""
    nodes = [
        helper.make_node("Cast", ["posters"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["colours"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["colours", "first"], ["pixels"], axis=1),
        helper.make_node("Conv", ["pixels", "kernel"], ["maps"], "convolution"),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["logits"], "dense_layer"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("posters", TensorProto.UINT8, ["N", 8, 8, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(np.arange(kernel.shape[1]), "first"),
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.ones((len(kernel), 2), np.float32), "dense"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_layers_in_8_bits_alone_are_computed_with_in_32(network: Network, tmp_path: Path) -> None:
    path, opened = tmp_path / "w8.onnx", tmp_path / "opened.onnx"
    path.write_bytes(network.graph.read_bytes())
    to_precision(path, "w8", network.posters, np.arange(len(network.posters)))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(opened)
    onnxruntime.InferenceSession(path, options)
    kinds = {tensor.data_type for tensor in onnx.load(opened).graph.initializer}
    assert kinds <= {TensorProto.FLOAT, TensorProto.INT64}


def test_a_network_that_calculates_in_8_bits_is_not_adopted(tmp_path: Path) -> None:
    path = write_convolution(tmp_path / "int8.onnx", np.ones((4, 3, 3, 3), np.float32))
    to_precision(path, "int8", np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, np.int64))
    wanted = (
        r"calculates in 8 bits \(QuantizeLinear\), and its answers would depend on the processor; adopt the network"
    )
    with pytest.raises(ConfigError, match=wanted):
        adopt(path, GenreSet(["Comedy", "Drama"]), tmp_path / "genres.onnx", conventions=Conventions(scaling="none"))
    assert not (tmp_path / "genres.onnx").exists()
