"""Every kind of network leaves torch: exported with a free batch axis, ONNX Runtime gives torch's answers."""

import logging

import numpy as np
import onnxruntime
import pytest
import torch

from onesheet.models import Ensemble, Output, TenCrop, build_network

pytest.importorskip("onnxscript")


def settle(network):
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(8, 3, *network.size))
    return network.eval()


@pytest.fixture
def alexnet():
    return TenCrop(build_network("alexnet", genres=3, size=(80, 76))).eval()


@pytest.fixture
def poster_cnn():
    return settle(build_network("poster-cnn", genres=3, size=(32, 24), widths=(4, 8)))


@pytest.fixture
def mobilenet(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.MobileNetV2Config(depth_multiplier=0.1, finegrained_output=False)
    config.save_pretrained(tmp_path)
    return settle(build_network(f"hf:{tmp_path}", genres=3, size=(49, 48), pretrained=False))


@pytest.fixture
def ensemble(poster_cnn):
    deeper = settle(build_network("poster-cnn", genres=3, size=(32, 24), widths=(4, 6, 8)))
    ensemble = Ensemble([poster_cnn, deeper])
    ensemble.size = poster_cnn.size
    return ensemble


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["alexnet", "poster_cnn", "mobilenet", "ensemble"])
def test_onnx_runtime_gives_torchs_answers(request, name, caplog):
    caplog.set_level(logging.ERROR)
    torch.manual_seed(0)
    network = request.getfixturevalue(name)
    size = network.network.size if name == "alexnet" else network.size
    posters = torch.rand(3, 3, *size)
    with torch.no_grad():
        expected = network(posters)
    outputs = [key for key, value in zip(Output._fields, expected, strict=True) if value is not None]
    assert ("evidence" in outputs) == (name != "alexnet")
    program = torch.onnx.export(
        network,
        (posters[:2],),
        dynamo=True,
        verbose=False,
        input_names=["posters"],
        output_names=outputs,
        dynamic_shapes={"posters": {0: "batch"}},
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    assert float(expected.embedding.std(0).max()) > 1e-4  # the posters tell apart
    for count in (1, 3):
        found = session.run(outputs, {"posters": posters[:count].numpy()})
        for key, value in zip(outputs, found, strict=True):
            np.testing.assert_allclose(value, getattr(expected, key)[:count].numpy(), rtol=1e-4, atol=1e-4, err_msg=key)
