"""Grad-CAM against the class activation map and against the paper's formula, written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motifs import MOTIFS, draw_poster, on_motif
from onesheet.errors import ConfigError
from onesheet.models import PosterNetwork, build_network
from onesheet.training import grad_cam


@pytest.mark.parametrize("by_gradients", [False, True])
@pytest.mark.parametrize("tta", [False, True])
def test_it_is_the_class_activation_map_where_there_is_one(tta: bool, by_gradients: bool) -> None:
    torch.manual_seed(0)
    network = build_network("poster-cnn", genres=3, size=(32, 24), widths=(4, 8), tta=tta)
    posters = torch.rand(3, 3, 32, 24)
    with torch.no_grad():
        network.train()(posters)  # batch norm's statistics
        network.head[-1].weight.mul_(100)  # type: ignore[index, union-attr, operator]
        network.has_evidence = not by_gradients
        logits = network.eval()(posters).logits
        features = [network.backbone(view, with_features=True)[1] for view in network._views(posters)]
        evidence = network._evidence(features)
    assert len(features) == 1 + tta and evidence.std() > 0.01
    for column in range(3):
        maps = grad_cam(network, posters, column)
        torch.testing.assert_close(maps, evidence[:, column], rtol=1e-4, atol=1e-5)
        bias = network.head[-1].bias[column]  # type: ignore[index, union-attr]
        torch.testing.assert_close(maps.mean((1, 2)) + bias, logits[:, column], rtol=1e-4, atol=1e-4)


def test_it_is_the_papers_formula_where_there_is_none() -> None:
    torch.manual_seed(0)
    network = build_network("alexnet", genres=3, size=(150, 150)).eval()
    posters = torch.rand(2, 3, 150, 150)
    maps = grad_cam(network, posters, 1)
    middle = (posters[..., 8:141, 8:141] - network.mean) / network.std  # 227/256 of 150 is 133
    features = network.backbone.maps(middle).detach().requires_grad_()  # type: ignore[operator]
    network.head(network.backbone.dense(features))[:, 1].sum().backward()  # type: ignore[operator]
    assert features.grad is not None
    weights = features.grad.mean((2, 3), keepdim=True)
    expected = (weights * features).sum(1) * features.shape[2] * features.shape[3]
    assert expected.abs().max() > 0
    torch.testing.assert_close(maps, expected.detach())


def test_the_peak_lies_on_the_motif_and_random_weights_move_it(motif_network: PosterNetwork) -> None:
    rng = np.random.default_rng(7)
    pixels = np.stack([draw_poster(MOTIFS, rng) for _ in range(12)])
    posters = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    hits, alike = [], []
    for column, genre in enumerate(MOTIFS):
        for values in grad_cam(motif_network, posters, column).numpy():
            row, place = divmod(int(values.argmax()), values.shape[1])
            hits.append(on_motif(genre, row * 4 + 2, place * 4 + 2))
    assert np.mean(hits) >= 0.9  # chance: a third
    torch.manual_seed(3)
    other = build_network("poster-cnn", genres=3, size=(48, 32), widths=(8, 16))
    for column in range(3):
        maps = zip(grad_cam(motif_network, posters, column), grad_cam(other, posters, column), strict=True)
        for true, random in maps:
            alike.append(float(torch.corrcoef(torch.stack([true.ravel(), random.ravel()]))[0, 1]))
    assert np.mean(alike) < 0.5


@pytest.mark.parametrize("by_gradients", [False, True])
def test_a_network_in_training_is_left_as_it_was(by_gradients: bool) -> None:
    torch.manual_seed(0)
    network = build_network("poster-cnn", genres=3, size=(32, 24), widths=(4, 8))
    network.has_evidence = not by_gradients
    network.backbone.requires_grad_(False).eval()  # as with --tune head
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    with torch.no_grad():
        maps = grad_cam(network, torch.rand(2, 3, 32, 24), 0)
    assert maps.shape == (2, 8, 6) and not maps.requires_grad
    assert [module.training for module in network.modules()] == modes and len(set(modes)) == 2
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_network_that_ends_in_tokens_is_rejected(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    ).save_pretrained(tmp_path)
    network = build_network(f"hf:{tmp_path}", genres=3, size=(32, 32), pretrained=False)
    with pytest.raises(ConfigError, match="this network ends in tokens; export it"):
        grad_cam(network, torch.rand(1, 3, 32, 32), 0)
    assert not any(module._forward_hooks for module in network.modules())
