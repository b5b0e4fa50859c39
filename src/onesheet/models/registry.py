"""Model names -> networks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.errors import ConfigError
from onesheet.models.alexnet import alexnet
from onesheet.models.network import PosterNetwork, Size
from onesheet.models.poster_cnn import poster_cnn
from onesheet.models.pretrained import pretrained


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of build_network."""

    source: str
    genres: int
    size: Size
    dropout: float | None
    widths: Sequence[int] | None
    levels: bool
    pretrained: bool


@dataclass(frozen=True, kw_only=True)
class Model:
    """One kind of network: how to build it, and the H, W it is trained at by default."""

    build: Callable[[Request], PosterNetwork]
    size: Size = (224, 160)


MODELS: dict[str, Model] = {
    "alexnet": Model(
        build=lambda request: alexnet(genres=request.genres, size=request.size, dropout=request.dropout),
        size=(256, 256),
    ),
    "poster-cnn": Model(
        build=lambda request: poster_cnn(
            genres=request.genres, size=request.size, dropout=request.dropout, widths=request.widths
        )
    ),
    "hf": Model(
        build=lambda request: pretrained(
            request.source,
            genres=request.genres,
            size=request.size,
            dropout=request.dropout,
            levels=request.levels,
            weights=request.pretrained,
        )
    ),
}

# What people call well-known backbones -> where they are.
BACKBONES = {
    "resnet18": "hf:microsoft/resnet-18",
    "resnet50": "hf:microsoft/resnet-50",
    "mobilenetv2": "hf:google/mobilenet_v2_1.0_224",
    "efficientnet": "hf:google/efficientnet-b0",
    "convnextv2": "hf:facebook/convnextv2-tiny-22k-224",
    "swinv2": "hf:microsoft/swinv2-tiny-patch4-window8-256",
    "vit": "hf:google/vit-base-patch16-224",
    "dinov2": "hf:facebook/dinov2-small",
    "siglip": "hf:google/siglip-base-patch16-224",
}


def build_network(
    name: str,
    *,
    genres: int,
    size: Size,
    dropout: float | None = None,
    widths: Sequence[int] | None = None,
    levels: bool = True,
    pretrained: bool = True,
    tta: bool = True,
) -> PosterNetwork:
    """Build the network `name` in training mode; random weights come from torch's global generator.

    Args:
        name: "alexnet", "poster-cnn" or "hf:<hub name or folder>".
        genres: columns of the logits.
        size: H, W of the posters as stored.
        dropout: before the head (alexnet: in its dense layers too), in [0, 1); None: 0.5 for alexnet,
            0.2 for the others.
        widths: channels of poster-cnn's blocks, which are as many as the widths.
        levels: the head of an hf: backbone reads every level's maps where it can, not the last one's mean alone.
        pretrained: False leaves an hf: backbone's weights random, to fill from a checkpoint.
        tta: test-time augmentation, the mean of a poster and its mirror image; alexnet's ten crops have the mirror
            images already.

    Raises:
        ConfigError: an unknown name, an option that does not fit, or a backbone that cannot be had.

    Example:
        >>> network = build_network("poster-cnn", genres=3, size=(64, 48), widths=(8, 16))
        >>> network.embedding_size, network.has_evidence
        (16, True)
    """
    model, source = _find(name)
    if widths is not None and model is not MODELS["poster-cnn"]:
        raise ConfigError(f"widths belongs to poster-cnn; got model {name!r}: leave widths out")
    request = Request(
        source=source, genres=genres, size=size, dropout=dropout, widths=widths, levels=levels, pretrained=pretrained
    )
    network = model.build(request)
    network.tta = tta and network.test_crops == 1
    return network


def default_size(name: str) -> Size:
    """H, W that `name` is trained at by default.

    Raises:
        ConfigError: an unknown name.

    Example:
        >>> default_size("alexnet"), default_size("poster-cnn")
        ((256, 256), (224, 160))
    """
    return _find(name)[0].size


def _find(name: str) -> tuple[Model, str]:
    kind, _, source = name.partition(":")
    if kind in MODELS and bool(source) == (kind == "hf") and ":" not in name.removeprefix("hf:"):
        return MODELS[kind], source
    raise ConfigError(f"unknown model {name!r}; use alexnet, poster-cnn or hf:<name or folder>{_nearest(name)}")


def _nearest(name: str) -> str:
    if ("/" in name and not name.startswith("hf:")) or (name and Path(name).is_dir()):
        return f" (did you mean hf:{name}?)"
    known = {_plain(model): model for model in MODELS if model != "hf"} | BACKBONES
    found = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.6)
    return f" (did you mean {known[found[0]]}?)" if found else ""


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
