import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from onesheet.speed.cpu_kernels import SparingReLU6, StridedConvolution, fast_mobilenet

transformers = pytest.importorskip("transformers")


def randomise(model):
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.3)
            torch.nn.init.normal_(layer.running_mean, std=0.01)
            torch.nn.init.uniform_(layer.running_var, 1e-4, 4e-4)  # random weights make small maps
    return model.eval()


def build(config):
    torch.manual_seed(0)
    return randomise(transformers.AutoModel.from_config(config))


@pytest.fixture(scope="module", params=["v1", "v2", "v2-dilated", "v2-first-expanded"])
def pair(request):
    """The library's network and the fast form with the same weights."""
    options = {"v2-dilated": {"output_stride": 8}, "v2-first-expanded": {"first_layer_is_expansion": False}}

    def config():
        if request.param == "v1":
            return transformers.MobileNetV1Config(depth_multiplier=0.2)
        return transformers.MobileNetV2Config(
            depth_multiplier=0.2, finegrained_output=False, **options.get(request.param, {})
        )

    library, fast = build(config()), build(config())
    fast_mobilenet(fast)
    fast.load_state_dict(library.state_dict())
    return library, fast


@settings(max_examples=15)
@given(height=st.integers(33, 75), width=st.integers(33, 75))
def test_outputs_are_identical_at_odd_and_even_sizes(pair, height, width):
    library, fast = pair
    posters = torch.randn(1, 3, height, width)
    with torch.no_grad():
        expected, found = library(posters), fast(posters)
    assert expected.last_hidden_state.shape == found.last_hidden_state.shape
    scale = float(expected.last_hidden_state.std())
    assert scale > 1e-3  # a constant answer would prove nothing
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, rtol=1e-4, atol=1e-4 * scale)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, rtol=1e-4, atol=1e-4 * scale)


def test_gradients_are_identical(pair):
    library, fast = pair
    posters = torch.randn(2, 3, 64, 48)
    for model in pair:
        model.zero_grad()
        model(posters).pooler_output.square().sum().backward()
    for (name, one), other in zip(library.named_parameters(), fast.parameters(), strict=True):
        scale = float(one.grad.abs().max())
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-3 * scale + 1e-12, msg=name)


@pytest.mark.parametrize(
    ("kind", "rounding"),
    [(torch.float32, {"rtol": 1e-4, "atol": 1e-5}), (torch.bfloat16, {"rtol": 0.01, "atol": 0.02})],  # 24 bits and 8
)
@settings(max_examples=20)
@given(
    height=st.integers(5, 20),
    width=st.integers(5, 20),
    stride=st.tuples(st.integers(1, 3), st.integers(2, 3)),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
)
def test_a_depthwise_convolution_has_exact_answers_and_gradients(kind, rounding, height, width, stride, dilation, bias):
    torch.manual_seed(0)
    layer = StridedConvolution(4, 4, 3, stride=stride, dilation=dilation, groups=4, bias=bias)
    layer.load_state_dict({name: value.to(kind).float() for name, value in layer.state_dict().items()})
    maps = torch.randn(2, 4, height, width).to(kind).float().requires_grad_()
    exact_maps = maps.detach().double().requires_grad_()
    exact = {name: value.detach().double().requires_grad_() for name, value in layer.named_parameters()}
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        found = layer(maps)
    padding = [one for side, step in ((width, stride[1]), (height, stride[0])) for one in same(side, step, dilation)]
    expected = functional.conv2d(
        functional.pad(exact_maps, padding), **exact, stride=stride, dilation=dilation, groups=4
    )
    gradient = torch.randn_like(found)
    found.backward(gradient)
    expected.backward(gradient.double())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        torch.testing.assert_close(layer(maps).double(), expected, **rounding)
    torch.testing.assert_close(found.double(), expected, **rounding)
    torch.testing.assert_close(maps.grad.double(), exact_maps.grad, **rounding)
    for name, one in layer.named_parameters():
        scale = max(1.0, float(exact[name].grad.abs().max()))
        torch.testing.assert_close(
            one.grad.double() / scale, exact[name].grad / scale, rtol=rounding["rtol"], atol=rounding["atol"], msg=name
        )


def same(side, stride, dilation):
    """transformers' `apply_tf_padding`: of a kernel of 3, before and behind."""
    total = max(3 - (side % stride or stride), 0)
    return total // 2 * dilation, (total - total // 2) * dilation


@pytest.mark.parametrize(
    ("device", "bfloat16", "gradient", "channels", "kernel_is_padded"),
    [
        ("cpu", True, True, 4, True),
        ("cpu", True, False, 4, True),
        ("cpu", False, True, 4, False),  # as fast, and takes less memory
        ("cpu", False, False, 4, True),
        ("cpu", True, True, 8, False),  # two results a map: not depthwise
        ("meta", True, True, 4, False),  # stands for a GPU
        ("meta", False, False, 4, False),
    ],
)
def test_on_a_cpu_a_depthwise_convolution_pads_its_kernel(
    device, bfloat16, gradient, channels, kernel_is_padded, monkeypatch
):
    padded, pad = [], functional.pad
    monkeypatch.setattr(functional, "pad", lambda values, by: (padded.append(values.shape), pad(values, by))[1])
    layer = StridedConvolution(4, channels, 3, stride=2, groups=4, bias=False, device=device)
    maps = torch.randn(1, 4, 8, 6, device=device)
    with torch.set_grad_enabled(gradient), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        layer(maps)
    assert padded == [layer.weight.shape if kernel_is_padded else maps.shape]


def test_an_exported_network_has_the_kernels_that_were_learnt():
    layer = StridedConvolution(4, 4, 3, stride=2, groups=4, bias=False).eval()
    with torch.no_grad():
        program = torch.export.export(layer, (torch.randn(2, 4, 8, 6),))
    (convolution,) = (node for node in program.graph.nodes if "conv" in str(node.target))
    maps, kernel = (node.meta["val"].shape for node in convolution.args[:2])
    assert kernel == layer.weight.shape and maps == (2, 4, 9, 7)


def test_a_depthwise_convolution_keeps_its_maps_as_they_come_for_the_gradient():
    layer = StridedConvolution(4, 4, 3, stride=2, groups=4)
    maps = torch.randn(1, 4, 8, 6, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(maps)
    assert result.grad_fn.saved_tensors[0].data_ptr() == maps.data_ptr()


def test_a_sparing_activation_has_second_gradients():
    maps = (torch.rand(40, dtype=torch.double) * 12 - 3).requires_grad_()
    assert torch.autograd.gradgradcheck(SparingReLU6(), maps)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_sparing_activation_keeps_its_result_only(kind):
    maps = torch.cat((torch.tensor([-1, 0, 6, 7, float("nan")]), 4 * torch.randn(200))).to(kind).requires_grad_()
    same = maps.detach().clone().requires_grad_()
    found, expected = SparingReLU6()(maps), torch.nn.ReLU6()(same)
    assert [kept.data_ptr() for kept in found.grad_fn.saved_tensors] == [found.data_ptr()]
    gradient = torch.randn_like(found)
    found.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(maps.grad, same.grad, rtol=0, atol=0, equal_nan=True)
    with torch.no_grad():
        assert SparingReLU6()(maps).grad_fn is None


def test_only_strided_convolutions_copy_and_activations_are_sparing(pair):
    _, fast = pair
    for layer in fast.modules():
        assert not isinstance(layer, torch.nn.ReLU6) or isinstance(layer, SparingReLU6)
        if isinstance(layer, torch.nn.Conv2d):
            assert isinstance(layer, StridedConvolution) == (layer.stride != (1, 1))


def test_other_networks_stay_as_they_are():
    model = transformers.AutoModel.from_config(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])
    )
    before = str(model)
    fast_mobilenet(model)
    assert str(model) == before


def test_the_switch_leaves_a_mobilenet_as_it_is(monkeypatch):
    model = build(transformers.MobileNetV2Config(depth_multiplier=0.2))
    before = str(model)
    monkeypatch.setenv("ONESHEET_SPEED_OFF", "kernels")
    fast_mobilenet(model)
    assert str(model) == before and model.config.tf_padding
