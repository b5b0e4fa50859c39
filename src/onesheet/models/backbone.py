"""PretrainedBackbone: an image model of transformers as a backbone, with the maps that its embedding is the mean of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from onesheet.models.network import resized_map

EPSILON = 1e-5  # added to a variance before its root


class PretrainedBackbone(nn.Module):
    """A transformers image model: one vector per poster, and the map whose mean that is, where there is one.

    After `find_levels` that map has channels for the mean and the deviation of every channel of the earlier levels
    too: what an ImageNet network has no class for, such as colour and grain, is in them (docs/dev/experiments.md).

    Args:
        model: an AutoModel; its pooler is dropped where that is a dense layer (see `_drop_dense_pooler`).
        options: what its forward wants beside the pixels.
    """

    def __init__(self, model: nn.Module, *, options: dict[str, bool]) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self.levels: list[int] = []
        self.published_config: Any = None
        self.first_token = _drop_dense_pooler(model)
        self.map_norm: nn.LayerNorm | None = None
        self.has_map = False

    def forward(self, posters: Tensor, *, with_features: bool = False) -> tuple[Tensor, Tensor | None]:
        """Normalised posters N×3×H×W -> embedding N×D, and if requested and available, features N×D×h×w."""
        output = self.model(pixel_values=posters, **self.options)
        if not self.has_map:
            return self.pooled(output), None
        features = output.last_hidden_state
        if self.map_norm is not None:
            features = _normalise_as_pooled(features, self.map_norm)
        levels = [output.hidden_states[i] for i in self.levels]
        if not with_features:
            last = features.mean((2, 3), dtype=torch.float32 if levels else None)
            return torch.cat([last, *map(mean_and_deviation, levels)], dim=1), None
        features = torch.cat([features, *(level_maps(maps, features.shape[-2:]) for maps in levels)], dim=1)
        return features.mean((2, 3)), features

    def pooled(self, output: Any) -> Tensor:
        """The library's own vector: the pooler's, else the first token or the mean of the last state."""
        states: Tensor = output.last_hidden_state
        if self.first_token:
            return states[:, 0]
        pooler = getattr(output, "pooler_output", None)
        if pooler is not None:
            return torch.flatten(pooler, 1)
        return states.mean((2, 3)) if states.ndim == 4 else states.mean(1)

    @torch.no_grad()
    def find_map(self, posters: Tensor) -> int:
        """Try the network once; claim features only where their mean is the pooled vector. Returns D."""
        with _training_untouched(self.model):
            output = self.model(pixel_values=posters, **self.options)
        pooled, states = self.pooled(output), output.last_hidden_state
        if pooled.ndim != 2:
            raise ValueError(f"its output has shape {tuple(pooled.shape)}, not one vector per poster")
        if states.ndim == 4 and states.shape[1] == pooled.shape[1]:
            norm = getattr(self.model, "layernorm", None)
            if _same(states.mean((2, 3)), pooled):
                self.has_map = True
            elif isinstance(norm, nn.LayerNorm) and _same(norm(states.mean((2, 3))), pooled):
                self.has_map, self.map_norm = True, norm
        return int(pooled.shape[1])

    @torch.no_grad()
    def find_levels(self, posters: Tensor) -> int:
        """Read the earlier levels too from now on, where the network shows their maps. Returns what D grows by."""
        options = {**self.options, "output_hidden_states": True}
        with _training_untouched(self.model):
            output = self.model(pixel_values=posters, **options)
        shown = output.hidden_states or ()
        if any(state.ndim != 4 for state in shown):
            return 0
        shapes = [*(state.shape for state in shown), output.last_hidden_state.shape]
        self.levels = [i for i in range(len(shown)) if shapes[i] != shapes[i + 1]]  # the last map of each shape
        self.options = options if self.levels else self.options
        return 2 * sum(int(shapes[i][1]) for i in self.levels)


def mean_and_deviation(maps: Tensor) -> Tensor:
    """Maps N×C×h×w -> N×2C, each channel's mean and deviation over h and w."""
    flat = maps.permute(0, 2, 3, 1).flatten(1, 2).float()  # channels last: fast in the gradient too
    mean = flat.mean(1, keepdim=True)
    variance = ((flat - mean) ** 2).mean(1)
    return torch.cat([mean.squeeze(1), variance * (variance + EPSILON).rsqrt()], dim=1)


def level_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps N×C×h×w -> N×2C×h'×w', h×w at `size`, whose means over h' and w' are `mean_and_deviation`."""
    maps = maps.float()
    mean = maps.mean((2, 3), keepdim=True)
    squares = (maps - mean) ** 2
    both = torch.cat([maps, squares * (squares.mean((2, 3), keepdim=True) + EPSILON).rsqrt()], dim=1)
    cells = (both.shape[2] // size[0], both.shape[3] // size[1])
    return resized_map(both, size, nn.functional.avg_pool2d(both, cells))


@contextmanager
def _training_untouched(model: nn.Module) -> Iterator[None]:
    """Training mode, as random weights in eval mode give zero; statistics and generator stay the same."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    was_training = model.training
    with torch.random.fork_rng(devices=[]):
        model.train()
        try:
            yield
        finally:
            model.train(was_training)
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _same(one: Tensor, other: Tensor) -> bool:
    scale = float(other.abs().max())
    return scale > 0 and torch.allclose(one, other, rtol=1e-4, atol=1e-4 * scale)


def _normalise_as_pooled(features: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Features N×D×h×w whose mean over the map is `norm` of the mean of the given ones (ConvNeXt).

    A layer norm divides by a number that depends on the poster, here that of the mean, and is linear else.
    """
    scale = (features.mean((2, 3)).var(1, correction=0) + norm.eps).rsqrt()
    centred = (features - features.mean(1, keepdim=True)) * scale[:, None, None, None]
    return centred * norm.weight[:, None, None] + norm.bias[:, None, None]


def _drop_dense_pooler(model: Any) -> bool:
    """Take ViT's pooler away: a dense layer on the first token; many published checkpoints do not hold it,
    and the library would put random numbers there. True: take the first token itself.
    """
    pooler = getattr(model, "pooler", None)
    if not isinstance(getattr(pooler, "dense", None), nn.Linear):
        return False
    model.pooler = None
    return True
