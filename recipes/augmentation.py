"""Random crops, flips, colour, blur and CutMix of a batch of posters."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(posters: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Uint8 N×3×H×W posters -> float32 N×3×`size` in 0..1, channels last; maps of more channels are only flipped."""
    if posters.shape[1] > 3:
        flipped = torch.rand(len(posters), 1, 1, 1, generator=generator) < 0.5
        return (torch.where(flipped, posters.flip(-1), posters) / 255).contiguous(memory_format=torch.channels_last)
    crops = torch.stack([_crop(poster, generator, size) for poster in posters]) / 255
    return _blur(_colour(crops, generator), generator).contiguous(memory_format=torch.channels_last)


def cutmix(posters: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of each poster's neighbour into it, in place; targets N×… mix by area (Yun et al. 2019)."""
    height, width = posters.shape[2:]
    side = _uniform(generator, 0.2, 0.7)
    h, w = int(height * side), int(width * side)
    top, left = int(_uniform(generator, 0, height - h)), int(_uniform(generator, 0, width - w))
    box = posters[:, :, top : top + h, left : left + w]
    box.copy_(box.roll(1, 0))
    return posters, torch.lerp(targets.roll(1, 0), targets, 1 - h * w / (height * width))


def _crop(poster: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """A random part of 40% to all of the area, flipped half the time, resized to `size`."""
    height, width = poster.shape[1:]
    area, stretch = _uniform(generator, 0.4, 1) ** 0.5, math.exp(_uniform(generator, -0.07, 0.07))
    h, w = min(height, round(height * area / stretch)), min(width, round(width * area * stretch))
    top, left = int(_uniform(generator, 0, height - h + 1)), int(_uniform(generator, 0, width - w + 1))
    part = poster[None, :, top : top + h, left : left + w]
    part = F.interpolate(part, size, mode="bilinear", antialias=True)[0]
    return part.flip(-1) if _uniform(generator, 0, 1) < 0.5 else part


def _colour(posters: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation change by up to 20%; one poster in ten loses its colour."""
    factors = torch.empty(3, len(posters), 1, 1, 1).uniform_(0.8, 1.2, generator=generator)
    factors[2, torch.rand(len(posters), generator=generator) < 0.1] = 0
    brightness, contrast, saturation = factors
    grey = posters.mean(1, keepdim=True)
    middle = grey.mean((2, 3), keepdim=True)
    coloured = torch.lerp(grey, posters, saturation)
    return (torch.lerp(middle, coloured, contrast) * brightness).clamp_(0, 1)


def _blur(posters: Tensor, generator: torch.Generator) -> Tensor:
    """In two batches of five, a third of the posters is blurred by one Gaussian of 0.5 to 2 pixels."""
    if _uniform(generator, 0, 1) < 0.6:
        return posters
    offsets = torch.arange(-5, 6) / _uniform(generator, 0.5, 2)
    kernel = torch.softmax(-(offsets**2) / 2, 0).repeat(3, 1, 1)
    some = posters[::3]
    some = F.conv2d(F.pad(some, (5, 5, 0, 0), mode="replicate"), kernel[:, :, None], groups=3)
    posters[::3] = F.conv2d(F.pad(some, (0, 0, 5, 5), mode="replicate"), kernel[..., None], groups=3)
    return posters


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high, generator=generator))
