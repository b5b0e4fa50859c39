import numpy as np
import pytest
import torch
from torch import nn

from onesheet.errors import ConfigError
from onesheet.models import Output, TenCrop, build_network
from onesheet.models.alexnet import LocalResponseNorm, colour_principal_components, pca_colour


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return build_network("alexnet", genres=1000, size=(256, 256))


def layers(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def test_it_has_the_published_number_of_parameters(published):
    assert published.input_size == (227, 227)
    assert sum(parameter.numel() for parameter in published.parameters()) == 60_965_224


def test_the_maps_have_the_published_sides(published):
    seen = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
        for layer in layers(published, nn.Conv2d)
    ]
    published.eval()
    with torch.no_grad():
        output = published(torch.rand(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    assert seen == [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]
    assert output.logits.shape == (1, 1000)
    assert output.embedding.shape == (1, 4096)
    assert output.evidence is None and not published.has_evidence


def test_it_starts_as_published(published):
    convolutions, dense = layers(published, nn.Conv2d), layers(published, nn.Linear)
    for layer in (*convolutions, *dense):
        assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
        assert abs(float(layer.weight.detach().mean())) < 3e-4
    assert [float(layer.bias.detach().unique()) for layer in convolutions] == [0, 1, 0, 1, 1]
    assert [float(layer.bias.detach().unique()) for layer in dense] == [1, 1, 0]
    assert [layer.p for layer in layers(published, nn.Dropout)] == [0.5, 0.5]


def test_only_the_mean_is_taken_from_the_colours(published):
    # The initial weights count on colours in [0, 255]: without that scale the signal dies before the head.
    torch.testing.assert_close(published.std * 255, torch.ones(3, 1, 1))


def test_response_normalisation_is_the_papers_formula():
    activity = torch.rand(2, 9, 3, 2, generator=torch.Generator().manual_seed(0)) * 200
    expected = torch.empty_like(activity)
    channels = activity.shape[1]
    for i in range(channels):
        near = range(max(0, i - 5 // 2), min(channels - 1, i + 5 // 2) + 1)
        expected[:, i] = activity[:, i] / (2 + 1e-4 * sum(activity[:, j] ** 2 for j in near)) ** 0.75
    torch.testing.assert_close(LocalResponseNorm(channels)(activity), expected)


def test_it_takes_other_sizes_and_says_which_are_too_small():
    with torch.no_grad():
        network = build_network("alexnet", genres=2, size=(120, 75)).eval()
        assert network(torch.rand(1, 3, 120, 75)).logits.shape == (1, 2)
        assert network(torch.rand(1, 3, *network.input_size)).logits.shape == (1, 2)
    with pytest.raises(ConfigError, match="at least 75×75; got 120×74"):
        build_network("alexnet", genres=2, size=(120, 74))


class Corner(nn.Module):
    """Stands for a network: tells crops apart by their first and last pixel of the first row."""

    input_size = (3, 3)

    def forward(self, posters):
        first, last = posters[:, 0, 0, 0], posters[:, 0, 0, -1]
        return Output(torch.stack([first, last], 1), posters.flatten(1), None)


def test_ten_crops_are_the_corners_the_centre_and_their_mirrors():
    posters = torch.linspace(-3, 3, 2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    output = TenCrop(Corner())(posters)
    crops = []
    for top, left in [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)]:
        crop = posters[:, :, top : top + 3, left : left + 3]
        crops += [crop, crop.flip(-1)]
    probabilities = torch.stack([Corner()(crop).logits.sigmoid() for crop in crops]).mean(0)
    torch.testing.assert_close(output.logits.sigmoid(), probabilities)
    torch.testing.assert_close(output.embedding, torch.stack([crop.flatten(1) for crop in crops]).mean(0))
    assert output.evidence is None


def test_ten_crops_keep_sure_predictions_finite():
    output = TenCrop(Corner())(torch.full((1, 3, 5, 5), 500.0))
    torch.testing.assert_close(output.logits, torch.full((1, 2), 500.0))


def test_colour_components_are_those_of_the_covariance():
    posters = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    posters[..., 1] = posters[..., 0] // 2 + 20  # colours that vary together
    values, vectors = colour_principal_components(posters)
    covariance = np.cov(posters.reshape(-1, 3).T / 255, bias=True)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-6)
    assert values.dtype == vectors.dtype == np.float32
    assert (values >= 0).all()


def test_pca_colour_shifts_each_poster_along_the_components():
    values, vectors = torch.tensor([0.1, 0.2, 0.3]), torch.linalg.qr(torch.rand(3, 3))[0]
    alphas = torch.tensor([[0.0, 0.0, 0.0], [0.3, -0.2, 0.1]])
    posters = torch.full((2, 3, 4, 2), 0.5)
    shifted = pca_colour(posters, alphas=alphas, eigenvalues=values, eigenvectors=vectors)
    assert torch.equal(shifted[0], posters[0])
    expected = sum(vectors[:, c] * alphas[1, c] * values[c] for c in range(3))
    torch.testing.assert_close(shifted[1] - posters[1], expected.view(3, 1, 1).expand(3, 4, 2))
    bright = pca_colour(posters + 0.5, alphas=alphas * 100, eigenvalues=values, eigenvectors=vectors)
    assert bright.min() >= 0 and bright.max() <= 1
