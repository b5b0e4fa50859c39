"""Grad-CAM: where a network in training finds a genre, before there is a model file."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from onesheet.errors import ConfigError
from onesheet.models import PosterNetwork


def grad_cam(network: PosterNetwork, posters: Tensor, genre_column: int) -> Tensor:
    """Where in posters the evidence for a genre is (Selvaraju et al. 2017).

    The paper's map times h·w and without its ReLU, negative where a place speaks against the genre: for a network with
    evidence that is `Output.evidence`, of every level that its head reads; for another it is made from the gradients of
    the backbone's last feature map. The network runs as outside of training and is left as it was.

    Args:
        network: any network with a feature map; with `crop`, the map is that of the centre crop.
        posters: RGB, float N×3×H×W in [0, 1].
        genre_column: column of the logits.

    Returns:
        float N×h×w.

    Raises:
        ConfigError: the network ends in tokens, as transformers do, and has no last feature map.
    """
    was_training = {module: module.training for module in network.modules()}
    try:
        network.eval()
        if network.has_evidence:
            with torch.no_grad():
                return cast(Tensor, network(posters).evidence)[:, genre_column]
        return _from_gradients(network, posters, genre_column)
    finally:
        for module, training in was_training.items():
            module.training = training


def _from_gradients(network: PosterNetwork, posters: Tensor, genre_column: int) -> Tensor:
    """By the paper's formula: the last map's channels, each by its mean gradient."""
    maps: list[Tensor] = []  # one a reading: a mirrored poster is a second
    last: list[Tensor] = []

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim >= 3 and output.shape[2:].numel() > 1:
            last[:] = [output]

    def close(*_: Any) -> None:
        maps.extend(last)

    hooks = [module.register_forward_hook(note) for module in network.backbone.modules()]
    hooks.append(network.backbone.register_forward_hook(close))
    try:
        with torch.enable_grad():  # through frozen backbones too, hence from the posters on
            logits = network(posters.detach().requires_grad_()).logits
            if not maps or maps[0].ndim != 4:
                raise ConfigError(
                    "Grad-CAM needs a last feature map and this network ends in tokens; export it and use "
                    "onesheet explain"
                )
            gradients = torch.autograd.grad(logits[:, genre_column].sum(), maps)
    finally:
        for hook in hooks:
            hook.remove()
    readings = [
        torch.einsum("nchw,nc->nhw", features, gradient.sum((2, 3)))
        for features, gradient in zip(maps, gradients, strict=True)
    ]
    return sum((reading.flip(-1) for reading in readings[1:]), readings[0]).detach()
