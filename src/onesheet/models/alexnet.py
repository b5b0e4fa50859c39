"""alexnet: the network of Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
neural networks" (NIPS 2012), as published, with its ten-crop testing and its colour augmentation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onesheet.errors import ConfigError
from onesheet.models.network import Output, PosterNetwork, Size, cropped

# The paper says 224×224, but its first layer (11×11, stride 4) gives the 55×55 map it draws only from 227.
CROP = 227 / 256
SMALLEST_INPUT = 67  # the side that leaves one cell after the last pooling


class LocalResponseNorm(nn.Module):
    """Section 3.3: b_i = a_i / (k + α Σ a_j²)^β, j the n channels around i; k = 2, n = 5, α = 1e-4, β = 0.75.

    torch's own layer divides α by n, and takes 2 to 4 times as long; here the sum over neighbours is a 1×1
    convolution with a banded matrix.
    """

    band: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        index = torch.arange(channels)
        band = ((index[:, None] - index).abs() <= 2).float()
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps N×C×h×w -> N×C×h×w."""
        return maps * (2 + 1e-4 * nn.functional.conv2d(maps * maps, self.band)) ** -0.75


def _cells(side: int) -> int:
    """Cells of the last pooled map along a side of the input."""
    side = (side - 11) // 4 + 1  # the first convolution; the others keep the side
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


class AlexNet(nn.Module):
    """Everything below the last dense layer; groups=2 are the paper's two GPU towers."""

    def __init__(self, *, input_size: Size, dropout: float) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4),
            nn.ReLU(inplace=True),
            LocalResponseNorm(96),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            LocalResponseNorm(256),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        height, width = (_cells(side) for side in input_size)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(256 * height * width, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
        )
        self._initialise()

    def _initialise(self) -> None:
        """Section 5: weights N(0, 0.01); biases 1 in convolutions 2, 4, 5 and the dense layers, else 0."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        for number, layer in enumerate(layers, start=1):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0 if number in (1, 3) else 1.0)

    def forward(self, posters: Tensor) -> tuple[Tensor, None]:
        """Normalised posters N×3×H×W -> embedding N×4096 (the second dense layer), no features."""
        return self.dense(self.maps(posters)), None


def alexnet(*, genres: int, size: Size, dropout: float | None = None) -> PosterNetwork:
    """Build alexnet for posters stored at `size`; it reads crops of 227/256 of it.

    Posters keep their [0, 255] scale and lose only the mean, as in the paper: the small initial weights and
    the constants of the response normalisation count on it. (The paper's mean is its training set's, pixel by
    pixel; here it is ImageNet's, channel by channel.)

    Raises:
        ConfigError: the size is too small.
    """
    dropout = 0.5 if dropout is None else dropout
    input_size = cropped(size, crop=CROP)
    if min(input_size) < SMALLEST_INPUT:
        smallest = next(side for side in range(67, 256) if round(side * CROP) >= SMALLEST_INPUT)
        raise ConfigError(
            f"alexnet needs posters of at least {smallest}×{smallest}; got {size[0]}×{size[1]}: take a larger size"
        )
    return PosterNetwork(
        AlexNet(input_size=input_size, dropout=dropout),
        size=size,
        embedding_size=4096,
        genres=genres,
        dropout=dropout,
        std=(1 / 255, 1 / 255, 1 / 255),
        crop=CROP,
        test_crops=10,
    )


class TenCrop(nn.Module):
    """Section 4.1's testing: the four corners, the centre, and their mirror images; probabilities averaged.

    Posters N×3×H×W at the network's `size` -> Output: the logits of the averaged probabilities, the averaged
    embedding, no evidence.
    """

    def __init__(self, network: PosterNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, posters: Tensor) -> Output:
        """Posters, float N×3×H×W in [0, 1] -> Output."""
        height, width = self.network.input_size
        bottom, right = posters.shape[-2] - height, posters.shape[-1] - width
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        crops = [posters[..., top : top + height, left : left + width] for top, left in corners]
        crops += [crop.flip(-1) for crop in crops]
        logits, embedding, _ = self.network(torch.cat(crops))
        logits = logits.reshape(10, -1, logits.shape[-1])
        # logit(mean p) without leaving the log scale, so that sure predictions stay finite.
        yes = nn.functional.logsigmoid(logits).logsumexp(0)
        no = nn.functional.logsigmoid(-logits).logsumexp(0)
        return Output(yes - no, embedding.reshape(10, -1, embedding.shape[-1]).mean(0), None)


class ColourComponents(NamedTuple):
    """The principal components of the colours: eigenvalues 3, eigenvectors 3×3 in columns, float32."""

    eigenvalues: NDArray[np.float32]
    eigenvectors: NDArray[np.float32]


def colour_principal_components(posters: NDArray[np.uint8]) -> ColourComponents:
    """Posters, uint8 N×H×W×3 -> components of their pixels' RGB covariance, colours taken in [0, 1].

    A few hundred posters are enough.
    """
    total, products, pixels = np.zeros(3), np.zeros((3, 3)), 0
    for poster in posters:  # one at a time: a packed store may be far larger than the memory
        colours = poster.reshape(-1, 3).astype(np.float64) / 255
        total += colours.sum(0)
        products += colours.T @ colours
        pixels += len(colours)
    mean = total / pixels
    eigenvalues, eigenvectors = np.linalg.eigh(products / pixels - np.outer(mean, mean))
    return ColourComponents(eigenvalues.clip(0).astype(np.float32), eigenvectors.astype(np.float32))


def pca_colour(posters: Tensor, *, alphas: Tensor, eigenvalues: Tensor, eigenvectors: Tensor) -> Tensor:
    """Section 4.1's colour augmentation: add Σ_c p_c α_c λ_c to every pixel of a poster.

    Args:
        posters: float N×3×H×W in [0, 1].
        alphas: float N×3, in the paper drawn from N(0, 0.1) for each poster and epoch.
        eigenvalues: float 3, from `colour_principal_components`.
        eigenvectors: float 3×3, components in columns.

    Returns:
        float N×3×H×W, clipped to [0, 1].
    """
    shift = (alphas * eigenvalues) @ eigenvectors.T
    return (posters + shift[:, :, None, None]).clamp(0, 1)
