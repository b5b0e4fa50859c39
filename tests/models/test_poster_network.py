import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from onesheet.errors import ConfigError
from onesheet.models import build_network, default_size
from onesheet.models.network import centre_crop, cropped


def settle(network):
    """Give batch norm statistics that differ by channel, so that eval mode shows something."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator) * 0.1)
            layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
    return network.eval()


def test_poster_cnn_answers_with_the_promised_shapes_and_learns():
    network = build_network("poster-cnn", genres=3, size=(48, 32), widths=(4, 8, 12))
    output = network(torch.rand(5, 3, 48, 32))
    assert output.logits.shape == (5, 3)
    assert output.embedding.shape == (5, network.embedding_size) == (5, 12)
    assert output.evidence is None  # while training
    output.logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    height=st.integers(8, 40),
    width=st.integers(8, 40),
)
def test_mean_evidence_and_bias_are_the_logits(widths, height, width):
    torch.manual_seed(0)
    network = settle(build_network("poster-cnn", genres=4, size=(height, width), widths=widths))
    torch.nn.init.normal_(network.head[-1].bias)
    with torch.no_grad():
        output = network(torch.rand(2, 3, height, width))
    assert output.evidence.shape == (2, 4, height >> len(widths), width >> len(widths))
    torch.testing.assert_close(output.evidence.mean((2, 3)) + network.head[-1].bias, output.logits)


def test_head_alone_on_stored_embeddings_gives_the_same_logits():
    network = settle(build_network("poster-cnn", genres=4, size=(32, 32), widths=(4,)))
    posters = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network.head(network.embed(posters)), network(posters).logits)


def test_a_backbone_gives_the_features_whose_mean_is_the_embedding_on_request_alone():
    backbone = settle(build_network("poster-cnn", genres=4, size=(32, 32), widths=(4,))).backbone
    posters = torch.rand(2, 3, 32, 32)
    embedding, features = backbone(posters, with_features=True)
    torch.testing.assert_close(features.mean((2, 3)), embedding)
    alone, nothing = backbone(posters)
    assert nothing is None and torch.equal(alone, embedding)


def test_the_answer_is_the_mean_of_the_poster_and_of_its_smaller_mirror_image():
    network = settle(build_network("poster-cnn", genres=4, size=(56, 48), widths=(4, 8)))
    posters = torch.rand(2, 3, 56, 48)
    smaller = nn.functional.interpolate(posters.flip(-1), (48, 40), mode="bilinear")
    with torch.no_grad():
        output = network(posters)
        network.tta = False
        one, other = network(posters), network(smaller)
    torch.testing.assert_close(output.logits, (one.logits + other.logits) / 2)
    assert not torch.allclose(one.logits, other.logits)
    assert output.evidence.shape == one.evidence.shape != other.evidence.shape
    torch.testing.assert_close(output.evidence.mean((2, 3)) + network.head[-1].bias, output.logits)
    there, back = output.evidence - one.evidence / 2, other.evidence.flip(-1) / 2
    same_place = nn.functional.interpolate(back, there.shape[2:], mode="bilinear")
    assert np.corrcoef(there.flatten(), same_place.flatten())[0, 1] > 0.99


def test_a_network_without_crop_reads_smaller_posters_whole():
    network = settle(build_network("poster-cnn", genres=2, size=(64, 48), widths=(4, 8)))
    seen = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    network(torch.rand(1, 3, 32, 24))
    assert [tuple(shape) for shape in seen] == [(1, 3, 32, 24), (1, 3, 24, 24)]


def test_mirrors_are_left_out_on_request_in_training_and_beside_ten_crops():
    assert build_network("poster-cnn", genres=2, size=(32, 32), widths=(4,)).tta
    assert not build_network("poster-cnn", genres=2, size=(32, 32), widths=(4,), tta=False).tta
    assert not build_network("alexnet", genres=2, size=(80, 80)).tta
    network = build_network("poster-cnn", genres=2, size=(32, 32), widths=(4,), dropout=0.0).train()
    calls = []
    network.backbone.register_forward_hook(lambda *_: calls.append(1))
    network(torch.rand(2, 3, 32, 32))
    assert len(calls) == 1
    network.eval()(torch.rand(2, 3, 32, 32))
    assert len(calls) == 3


def test_normalisation_is_inside():
    network = build_network("poster-cnn", genres=1, size=(2, 2), widths=(1,))
    seen = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(2, 3, 2, 2))
    torch.testing.assert_close(seen[0], torch.zeros(2, 3, 2, 2))


def test_normalisation_adds_something_to_the_variance_which_torch_2_11_insists_on(monkeypatch):
    network = build_network("alexnet", genres=1, size=(256, 256)).train()
    given = []
    original = torch.nn.functional.batch_norm
    monkeypatch.setattr(
        torch.nn.functional,
        "batch_norm",
        lambda *values, **options: given.append(options) or original(*values, **options),
    )
    posters = torch.rand(2, 3, 227, 227)
    (normalised,) = network._views(posters)
    assert given[0]["eps"] > 0
    torch.testing.assert_close(normalised, (posters - network.mean) / network.std)


def test_seed_decides_the_weights_and_nothing_else():
    def build():
        torch.manual_seed(3)
        return build_network("poster-cnn", genres=2, size=(32, 32), widths=(4,)).state_dict()

    first, second = build(), build()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_channels_last_gives_the_same():
    network = settle(build_network("poster-cnn", genres=2, size=(32, 32), widths=(4, 8)))
    posters = torch.rand(2, 3, 32, 32)
    expected = network(posters).logits
    found = network.to(memory_format=torch.channels_last)(posters.to(memory_format=torch.channels_last)).logits
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50", "use alexnet, poster-cnn or hf:<name or folder> (did you mean hf:microsoft/resnet-50?)"),
        ("AlexNet", "(did you mean alexnet?)"),
        ("postercnn", "(did you mean poster-cnn?)"),
        ("mobilenet_v2", "(did you mean hf:google/mobilenet_v2_1.0_224?)"),
        ("facebook/dinov2-small", "(did you mean hf:facebook/dinov2-small?)"),
        ("hf:", "use alexnet, poster-cnn or hf:<name or folder>"),
        ("hf", "use alexnet, poster-cnn or hf:<name or folder>"),
        ("alexnet:x", "use alexnet"),
        ("", "unknown model ''"),
    ],
)
def test_unknown_models_are_rejected_with_the_nearest_name(name, said):
    for call in (lambda: default_size(name), lambda: build_network(name, genres=2, size=(64, 64))):
        with pytest.raises(ConfigError) as caught:
            call()
        assert said in str(caught.value)
        assert f"unknown model {name!r}" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"genres": 0}, "at least one genre; got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"dropout": -0.1}, "got -0.1"),
        ({"widths": ()}, "widths must be one or more positive"),
        ({"widths": (8, 0)}, "widths must be one or more positive"),
        ({"widths": (4,) * 6}, "at least 64×64; got 32×32"),
        ({"name": "alexnet", "widths": (4,)}, "widths belongs to poster-cnn; got model 'alexnet'"),
    ],
)
def test_options_out_of_range_are_rejected(options, said):
    options = {"name": "poster-cnn", "genres": 2, "size": (32, 32), **options}
    with pytest.raises(ConfigError, match=said):
        build_network(options.pop("name"), **options)


def test_default_sizes():
    assert default_size("alexnet") == (256, 256)
    assert default_size("poster-cnn") == default_size("hf:any/thing") == (224, 160)


def test_centre_crop_takes_the_middle():
    posters = torch.arange(5 * 7).reshape(1, 1, 5, 7)
    assert torch.equal(centre_crop(posters, (3, 3)), posters[..., 1:4, 2:5])
    assert centre_crop(posters, (5, 7)) is posters
    assert cropped((256, 200), crop=None) == (256, 200)
