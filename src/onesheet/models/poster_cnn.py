"""poster-cnn: a small network from scratch: convolution, batch normalisation, pooling, dropout, dense."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from onesheet.errors import ConfigError
from onesheet.models.network import PosterNetwork, Size

WIDTHS = (32, 64, 128, 256)


class PosterCNN(nn.Module):
    """Blocks of 3×3 convolution, batch normalisation, ReLU and 2×2 max pooling; then the mean over the map.

    Ending in the mean, not in a dense layer over the whole map, leaves few weights to overfit on a small
    catalogue and has evidence.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, width in zip((3, *widths), widths, strict=False):
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*layers)

    def forward(self, posters: Tensor, *, with_features: bool = False) -> tuple[Tensor, Tensor | None]:
        """Normalised posters N×3×H×W -> embedding N×D, and if requested features N×D×h×w."""
        features = self.blocks(posters)
        return features.mean((2, 3)), features if with_features else None


def poster_cnn(
    *, genres: int, size: Size, dropout: float | None = None, widths: Sequence[int] | None = None
) -> PosterNetwork:
    """Build poster-cnn; one block per width, D = the last width.

    Raises:
        ConfigError: the widths or the size do not make a network.
    """
    widths = WIDTHS if widths is None else tuple(widths)
    if not widths or min(widths) < 1:
        raise ConfigError(f"widths must be one or more positive numbers, as {WIDTHS}; got {widths}")
    smallest = 2 ** len(widths)
    if min(size) < smallest:
        raise ConfigError(
            f"poster-cnn with {len(widths)} blocks needs posters of at least {smallest}×{smallest}; "
            f"got {size[0]}×{size[1]}: take a larger size or fewer widths"
        )
    return PosterNetwork(
        PosterCNN(widths),
        size=size,
        embedding_size=widths[-1],
        genres=genres,
        dropout=0.2 if dropout is None else dropout,
        has_evidence=True,
    )
