"""PosterNetwork and Ensemble: posters in [0, 1] -> logits, embedding and, where the network allows it, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from onesheet.errors import ConfigError

Size = tuple[int, int]  # H, W
SECOND_VIEW = 6 / 7  # side of the mirror image as a share of the poster's: two sizes see more (docs/dev/experiments.md)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Output(NamedTuple):
    """A network's output for N posters and G genres.

    Attributes:
        logits: float N×G.
        embedding: float N×D, the vector the head reads.
        evidence: float N×G×h×w, the class activation map (Zhou et al. 2016): its mean over h and w plus the
            head's bias is the logits. None while training, and for networks without has_evidence.
    """

    logits: Tensor
    embedding: Tensor
    evidence: Tensor | None


class PosterNetwork(nn.Module):
    """A backbone, a head of dropout and one dense layer, and the normalisation before them.

    Args:
        backbone: normalised posters N×3×H×W -> (embedding N×D, None). One with evidence, called with
            `with_features=True`, returns (embedding, features N×D×h×w), of which the embedding is the mean over h, w.
        size: H, W of the posters as stored.
        crop: side of the crop the network reads, as a fraction of the stored side; None: the whole poster.
            Training crops `input_size` windows at random; a poster given whole is cropped to its centre.
        test_crops: 1, or 10 for a network that is published with ten-crop testing (see `TenCrop`).

    Attributes:
        tta: test-time augmentation: outside of training, read each poster and its mirror image and average the two; a
            network that takes any size (has_evidence) reads the mirror image somewhat smaller.
        head: embedding N×D -> logits N×G; usable alone on stored embeddings (`tune="head"`).
        input_size: H, W of what the backbone reads: `size`, or its crop.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        size: Size,
        embedding_size: int,
        genres: int,
        dropout: float,
        has_evidence: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop: float | None = None,
        test_crops: int = 1,
    ) -> None:
        super().__init__()
        if genres < 1:
            raise ConfigError(f"a network needs at least one genre; got {genres}")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1); got {dropout}")
        self.backbone = backbone
        self.size = size
        self.input_size = cropped(size, crop=crop)
        self.crop = crop
        self.test_crops = test_crops
        self.embedding_size = embedding_size
        self.has_evidence = has_evidence
        dense = nn.Linear(embedding_size, genres)
        nn.init.normal_(dense.weight, std=0.01)
        nn.init.zeros_(dense.bias)
        self.head = nn.Sequential(nn.Dropout(dropout), dense)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))
        self.tta = False

    def embed(self, posters: Tensor) -> Tensor:
        """The backbone alone: posters as in forward -> embedding N×D."""
        return _mean([self.backbone(view)[0] for view in self._views(posters)])

    def forward(self, posters: Tensor) -> Output:
        """Posters, RGB, float N×3×H×W in [0, 1], of `size` or `input_size` -> Output; without `crop` of any size."""
        if self.training or not self.has_evidence:
            embedding = self.embed(posters)
            return Output(self.head(embedding), embedding, None)
        readings = [self.backbone(view, with_features=True) for view in self._views(posters)]
        embedding = _mean([embedding for embedding, _ in readings])
        return Output(self.head(embedding), embedding, self._evidence([features for _, features in readings]))

    def _views(self, posters: Tensor) -> list[Tensor]:
        """What the backbone reads of posters, normalised: themselves, and outside of training their mirror images."""
        if self.crop is not None:
            posters = centre_crop(posters, self.input_size)
        # One node in the model file: a difference and a quotient took ONNX Runtime a tenth of an int8 prediction.
        # The eps changes no number; torch 2.11 takes none of 0.
        posters = nn.functional.batch_norm(posters, self.mean.flatten(), self.std.flatten().square(), eps=1e-30)
        return [posters, self._second_view(posters)] if self.tta and not self.training else [posters]

    def _evidence(self, features: list[Tensor]) -> Tensor:
        """Features N×D×h×w of each view -> evidence N×G×h×w, the mirror image's turned back and as large."""
        weight = cast(nn.Linear, self.head[-1]).weight[:, :, None, None]
        first, *mirrored = (nn.functional.conv2d(one, weight) for one in features)
        return _mean([first, *(resized_map(one.flip(-1), first.shape[-2:]) for one in mirrored)])

    def _second_view(self, posters: Tensor) -> Tensor:
        if self.has_evidence:
            size = tuple(min(side, max(8, 8 * round(side * SECOND_VIEW / 8))) for side in posters.shape[-2:])
            posters = nn.functional.interpolate(posters, size, mode="bilinear", align_corners=False)
        return posters.flip(-1)  # last, as there is less to turn


def _mean(tensors: list[Tensor]) -> Tensor:
    return sum(tensors[1:], tensors[0]) / len(tensors)


def resized_map(features: Tensor, size: Sequence[int], start: Tensor | None = None) -> Tensor:
    """Features N×D×h×w at another h×w, each with the same mean; made from `start`, where a smaller form is at hand."""
    if features.shape[-2:] == tuple(size):
        return features
    resized = features if start is None else start
    if resized.shape[-2:] != tuple(size):
        resized = nn.functional.interpolate(resized, tuple(size), mode="bilinear", align_corners=False)
    return resized + (features.mean((2, 3), keepdim=True) - resized.mean((2, 3), keepdim=True))


def cropped(size: Size, *, crop: float | None) -> Size:
    """H, W of the crop that the fraction `crop` takes of H, W.

    Example:
        >>> cropped((256, 256), crop=227 / 256)
        (227, 227)
    """
    height, width = size
    return size if crop is None else (round(height * crop), round(width * crop))


def centre_crop(posters: Tensor, size: Size) -> Tensor:
    """The middle H×W window of posters N×3×H'×W'."""
    height, width = size
    top, left = (posters.shape[-2] - height) // 2, (posters.shape[-1] - width) // 2
    if (top, left) == (0, 0) and posters.shape[-2:] == (height, width):
        return posters
    return posters[..., top : top + height, left : left + width]


class Ensemble(nn.Module):
    """The mean of the networks' logits and of their evidence, with their embeddings side by side.

    Args:
        networks: of the same genres and poster size, outside of training.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, posters: Tensor) -> Output:
        """Posters, float N×3×H×W in [0, 1] -> Output; evidence where every network has it, as large as the first's."""
        logits, embeddings, maps = zip(*(network(posters) for network in self.networks), strict=True)
        evidence = None
        if all(one is not None for one in maps):
            evidence = torch.stack([resized_map(one, maps[0].shape[-2:]) for one in maps]).mean(0)
        return Output(torch.stack(logits).mean(0), torch.cat(embeddings, 1), evidence)
