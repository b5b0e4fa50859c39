"""Augmentation of batches on the device that trains: one resampling for all geometry, then colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from onesheet.models import PosterNetwork
from onesheet.models.alexnet import colour_principal_components, pca_colour
from onesheet.training.config import TrainConfig
from onesheet.training.loader import Batch

Augmentation = Callable[[Tensor, torch.Generator, tuple[int, int]], Tensor]
"""uint8 N×3×H×W posters, randomness and the H×W to return -> float32 N×3×H×W in [0, 1]."""

COLOUR_SAMPLE = 256  # posters whose pixels give the principal components of colour


def build_augmentation(
    network: PosterNetwork, posters: NDArray[np.uint8], rows: NDArray[np.int64], *, crop_area: float, seed: int
) -> Augmentation:
    """What suits the network: crop, flip and colour as in its paper for one that takes crops, else ours.

    Args:
        network: the network that trains.
        posters: uint8 N×H×W×3, the store.
        rows: int64, the training set.
        crop_area: smallest share of a poster that our crops show.
        seed: chooses the posters that the principal components of colour are taken from.
    """
    if network.crop is None:

        def ours(batch: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
            crops = random_resized_crop(batch, generator, size=size, area=(crop_area, 1.0))
            return random_blur(random_colour(crops, generator), generator)

        return ours
    sample = np.random.default_rng(seed).permutation(rows)[:COLOUR_SAMPLE]
    components = colour_principal_components(posters[np.sort(sample)])
    eigenvalues, eigenvectors = (torch.from_numpy(values) for values in components)

    def as_published(batch: Tensor, generator: torch.Generator, _: tuple[int, int]) -> Tensor:
        patches = in_floats(random_crop(batch, generator, size=network.input_size))
        alphas = torch.empty(len(batch), 3).normal_(0, 0.1, generator=generator)
        device = batch.device
        return pca_colour(
            patches,
            alphas=alphas.to(device),
            eigenvalues=eigenvalues.to(device),
            eigenvectors=eigenvectors.to(device),
        )

    return as_published


def random_resized_crop(
    posters: Tensor,
    generator: torch.Generator,
    *,
    size: tuple[int, int],
    area: tuple[float, float],
    stretch: float = 1.15,
) -> Tensor:
    """A random part of each poster, mirrored half the time, brought to `size` by one bilinear resampling.

    On a CPU bytes are resampled, which is faster there (benchmarks/NOTES.md); elsewhere one grid does for all posters.

    Args:
        posters: uint8 N×3×H×W.
        generator: source of randomness, on the CPU.
        size: H, W of the result.
        area: range of the part's share of the poster, in (0, 1].
        stretch: largest change of the aspect ratio, at least 1.

    Returns:
        float32 N×3×H×W in [0, 1].
    """
    n = len(posters)
    share = torch.empty(n).uniform_(*area, generator=generator).sqrt()
    ratio = torch.empty(n).uniform_(-math.log(stretch), math.log(stretch), generator=generator).exp().sqrt()
    sides = torch.stack((share / ratio, share * ratio), 1).clamp(max=1)
    flipped = torch.randint(0, 2, (n,), generator=generator) == 1
    offsets = (torch.rand(n, 2, generator=generator) * 2 - 1) * (1 - sides)
    resample = resample_bytes if posters.is_cpu else resample_by_grid
    return resample(posters, sides, offsets, flipped, size)


def resample_bytes(posters: Tensor, sides: Tensor, offsets: Tensor, flipped: Tensor, size: tuple[int, int]) -> Tensor:
    """A part of whole pixels of each poster, resampled in 8 bits, antialiased, one poster after the other.

    Args:
        posters: uint8 N×3×H×W.
        sides: float N×2, heights and widths of the parts as shares of the poster's, in 0..1.
        offsets: float N×2, the parts' middles, down and across: 0 is the poster's middle, 1 - side the
            farthest that a part may be from it.
        flipped: bool N.
        size: H, W of the result.

    Returns:
        float32 N×3×H×W in [0, 1].
    """
    whole = torch.tensor(posters.shape[2:])
    pixels = (sides * whole).round().clamp(min=1)
    starts = (((1 + offsets) * whole - pixels) / 2).round().clamp(min=0).minimum(whole - pixels)
    boxes = torch.cat((starts, starts + pixels), 1).int().tolist()
    parts = []
    for poster, (top, left, bottom, right), flip in zip(posters, boxes, flipped.tolist(), strict=True):
        part = F.interpolate(poster[None, :, top:bottom, left:right], size, mode="bilinear", antialias=True)[0]
        parts.append(part.flip(-1) if flip else part)
    return in_floats(torch.stack(parts))


def resample_by_grid(posters: Tensor, sides: Tensor, offsets: Tensor, flipped: Tensor, size: tuple[int, int]) -> Tensor:
    """As `resample_bytes`, at fractions of pixels, not antialiased, in a few kernels for the whole batch."""
    across = _places(size[1], torch.where(flipped, -sides[:, 1], sides[:, 1]), offsets[:, 1]).to(posters.device)
    down = _places(size[0], sides[:, 0], offsets[:, 0]).to(posters.device)
    shape = (len(posters), *size)
    grid = torch.stack((across[:, None, :].expand(shape), down[:, :, None].expand(shape)), -1)
    return F.grid_sample(in_floats(posters), grid, padding_mode="border", align_corners=False)


def _places(count: int, scale: Tensor, shift: Tensor) -> Tensor:
    """Where `count` pixels of each crop's side are on its poster, N×count in -1..1; scale and shift of N.

    A crop has no turn, so that its two sides say all that `affine_grid` would, in less time.
    """
    return torch.addcmul(shift[:, None], scale[:, None], (torch.arange(count) * 2 + 1) / count - 1)


def random_colour(
    posters: Tensor, generator: torch.Generator, *, strength: float = 0.2, grey_chance: float = 0.1
) -> Tensor:
    """Random brightness, contrast and saturation, each by a factor in 1 ± strength; some posters lose all colour.

    Args:
        posters: float N×3×H×W in [0, 1].
        generator: source of randomness, on the CPU.
        strength: half-width of the factors' range.
        grey_chance: of a poster to come without colour, as a film of the 1940s or a photocopy would.
    """
    factors = torch.empty(3, len(posters), 1, 1, 1).uniform_(1 - strength, 1 + strength, generator=generator)
    factors[2, torch.rand(len(posters), generator=generator) < grey_chance] = 0
    brightness, contrast, saturation = factors.to(posters.device)
    grey = posters.mean(1, keepdim=True)
    middle = grey.mean((2, 3), keepdim=True)
    # Saturation about the grey of each pixel, then contrast about the poster's middle, then brightness, as one sum.
    even = torch.addcmul(brightness * (1 - contrast) * middle, brightness * contrast * (1 - saturation), grey)
    return torch.addcmul(even, brightness * contrast * saturation, posters).clamp_(0, 1)


def random_blur(
    posters: Tensor,
    generator: torch.Generator,
    *,
    chance: float = 0.15,
    radius: tuple[float, float] = (0.5, 2.0),
) -> Tensor:
    """Some posters out of focus, as a small picture blown up is: a Gaussian blur, each of its own radius.

    Args:
        posters: float N×3×H×W.
        generator: source of randomness, on the CPU.
        chance: of a poster to be blurred.
        radius: range of the Gaussian's standard deviation, in pixels.
    """
    chosen = torch.nonzero(torch.rand(len(posters), generator=generator) < chance)[:, 0].to(posters.device)
    radii = torch.empty(len(posters), 1).uniform_(*radius, generator=generator).to(posters.device)[chosen]
    if not len(chosen):
        return posters
    reach = math.ceil(2.5 * radius[1])
    offsets = torch.arange(-reach, reach + 1, device=posters.device)
    weights = torch.softmax(-((offsets / radii) ** 2) / 2, 1).repeat_interleave(3, 0).to(posters.dtype)[:, None]
    channels = posters[chosen].flatten(0, 1)[None]  # one picture of 3 channels a poster, each with its own weights
    for kernel, margins in (weights[:, :, None], (reach, reach, 0, 0)), (weights[..., None], (0, 0, reach, reach)):
        channels = F.conv2d(F.pad(channels, margins, mode="replicate"), kernel, groups=len(kernel))
    blurred = posters.clone()
    blurred[chosen] = channels.reshape(len(chosen), *posters.shape[1:])
    return blurred


def random_crop(posters: Tensor, generator: torch.Generator, *, size: tuple[int, int]) -> Tensor:
    """Krizhevsky et al. 2012, 4.1: a random H×W patch of each poster, mirrored half the time, nothing resampled."""
    height, width = size
    n, _, full_height, full_width = posters.shape
    top = torch.randint(0, full_height - height + 1, (n,), generator=generator)
    left = torch.randint(0, full_width - width + 1, (n,), generator=generator)
    flipped = torch.randint(0, 2, (n,), generator=generator)
    patches = [
        posters[i, :, top[i] : top[i] + height, left[i] : left[i] + width].flip(-1)
        if flipped[i]
        else posters[i, :, top[i] : top[i] + height, left[i] : left[i] + width]
        for i in range(n)
    ]
    return torch.stack(patches).contiguous(memory_format=torch.channels_last)


def cutmix(posters: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Yun et al. 2019: a rectangle of each poster taken from another of the batch, labels by area."""
    height, width = posters.shape[2:]
    side = float(torch.empty(1).uniform_(0.2, 0.7, generator=generator))
    cut_height, cut_width = max(1, int(height * side)), max(1, int(width * side))
    top = int(torch.randint(0, height - cut_height + 1, (1,), generator=generator))
    left = int(torch.randint(0, width - cut_width + 1, (1,), generator=generator))
    other = torch.randperm(len(posters), generator=generator).to(posters.device)
    mixed = posters.clone()
    mixed[:, :, top : top + cut_height, left : left + cut_width] = posters[
        other, :, top : top + cut_height, left : left + cut_width
    ]
    keep = 1 - cut_height * cut_width / (height * width)
    return mixed, torch.lerp(labels[other], labels, keep)


def in_floats(posters: Tensor) -> Tensor:
    """uint8 posters -> float32 in [0, 1], laid out as they are."""
    return posters / 255


def as_floats(batch: Batch, _: int = 0) -> Batch:
    """uint8 N×H×W×3 posters -> float N×3×H×W in [0, 1], channels last, as validation sees them in every epoch."""
    return batch._replace(inputs=in_floats(batch.inputs.permute(0, 3, 1, 2)))


@dataclass(frozen=True, eq=False)
class Augmenting:
    """Training posters augmented, to floats and mixed.

    Attributes:
        config: resolved choices.
        augment: changes a batch of posters, or None.
    """

    config: TrainConfig
    augment: Augmentation | None = None

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """uint8 N×H×W×3 posters -> float N×3×H×W in [0, 1], channels last; `epoch` counts from 0."""
        posters, generator = batch.inputs.permute(0, 3, 1, 2), torch.Generator().manual_seed(batch.seed)
        augment, size = self.augment, self._crop_size(posters, epoch)
        inputs = augment(posters, generator, size) if augment else in_floats(posters)
        inputs, targets = self._mix(inputs, batch.targets, generator)
        # Resampling and mixing return NCHW, in which a step of MobileNetV2 takes 1.25 times as long.
        return batch._replace(inputs=inputs.contiguous(memory_format=torch.channels_last), targets=targets)

    def _crop_size(self, posters: Tensor, epoch: int) -> tuple[int, int]:
        """H, W of this epoch's crops: smaller crops first cost less and teach as much (Tan and Le 2021).

        A crop shows things larger than the whole poster does: one of fewer pixels shows them at the size at which the
        network will see them (Touvron et al. 2019).
        """
        last, start = (self.config.epochs or 1) - 1, self.config.start_scale
        scale = self.config.crop_scale * (start + (1 - start) * epoch / last if last else 1.0)
        height, width = posters.shape[-2:]
        return (height, width) if scale == 1 else (max(16, round(height * scale)), max(16, round(width * scale)))

    def _mix(self, posters: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chance = float(torch.rand(1, generator=generator))
        return cutmix(posters, targets, generator) if chance < self.config.cutmix else (posters, targets)
