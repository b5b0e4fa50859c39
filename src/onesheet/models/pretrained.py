"""hf:<hub name or folder>: any image backbone of transformers, from safetensors, never remote code."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onesheet.errors import ConfigError, require
from onesheet.models.image_processor import normalisation
from onesheet.models.mobilenet import fast_mobilenet
from onesheet.models.network import PosterNetwork, Size, resized_map


class PretrainedBackbone(nn.Module):
    """A transformers image model: one vector a poster, and the map whose mean that is, where there is one.

    After `find_levels` that map has channels for the mean and the deviation of every channel of the earlier levels
    too: what an ImageNet network has no class for, such as colour and grain, is told by them (docs/results.md).

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

    def forward(self, posters: Tensor) -> tuple[Tensor, Tensor | None]:
        """Normalised posters N×3×H×W -> embedding N×D, features N×D×h×w or None."""
        output = self.model(pixel_values=posters, **self.options)
        if not self.has_map:
            return self.pooled(output), None
        features = output.last_hidden_state
        if self.map_norm is not None:
            features = _normalise_as_pooled(features, self.map_norm)
        if self.levels:
            size = features.shape[-2:]
            features = torch.cat([features, *(level_maps(output.hidden_states[i], size) for i in self.levels)], dim=1)
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
            raise ValueError(f"it answers with shape {tuple(pooled.shape)}, not one vector a poster")
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


def pretrained(
    source: str, *, genres: int, size: Size, dropout: float | None = None, levels: bool = True, weights: bool = True
) -> PosterNetwork:
    """Build a network on the backbone `source`, a folder that `save_pretrained` wrote or a name on the hub.

    Args:
        levels: the head reads the mean and deviation of every level's maps, not the last map's mean alone.
        weights: False takes the architecture alone, with random weights (to fill from a checkpoint).

    Raises:
        ConfigError: no such folder or name, no safetensors in it, weights missing, not an image model, remote
            code wanted, or a size the backbone does not take.
    """
    model = _load(source, weights=weights)
    published = copy.deepcopy(model.config)  # fast_mobilenet changes what transformers would build from it
    fast_mobilenet(model)
    _calm_batch_norm(model)
    backbone = PretrainedBackbone(model, options=_options(model, size=size))
    backbone.published_config = published
    try:
        trial = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(0))
        embedding_size = backbone.find_map(trial)
        if levels and backbone.has_map:
            embedding_size += backbone.find_levels(trial)
    except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f"hf:{source} does not take posters of {size[0]}×{size[1]} ({_first_line(error)}); "
            f"use {_own_size(model)} or another backbone"
        ) from error
    try:
        mean, std = normalisation(source)
    except (OSError, ValueError) as error:
        raise ConfigError(_explain(source, error, local=Path(source).expanduser().is_dir())) from error
    network = PosterNetwork(
        backbone,
        size=size,
        embedding_size=embedding_size,
        genres=genres,
        dropout=0.2 if dropout is None else dropout,
        has_evidence=backbone.has_map,
        mean=mean,
        std=std,
    )
    return network.train()


def level_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps N×C×h×w -> N×2C×h'×w', h×w at `size`, whose means over h' and w' are each channel's mean and deviation."""
    maps = maps.float()
    mean = maps.mean((2, 3), keepdim=True)
    squares = (maps - mean) ** 2
    both = torch.cat([maps, squares * (squares.mean((2, 3), keepdim=True) + 1e-5).rsqrt()], dim=1)
    cells = (both.shape[2] // size[0], both.shape[3] // size[1])
    return resized_map(both, size, nn.functional.avg_pool2d(both, cells))


def save_architecture(network: PosterNetwork, folder: Path) -> None:
    """Write what `pretrained(folder, weights=False)` builds the backbone from: its published config.json."""
    network.backbone.published_config.save_pretrained(folder)  # type: ignore[union-attr,operator]


def _load(source: str, *, weights: bool) -> Any:
    transformers = require("transformers", purpose=f"the backbone hf:{source}", extra="train")
    safetensors = require("safetensors", purpose=f"the backbone hf:{source}", extra="train")
    folder = Path(source).expanduser()
    local = folder.is_dir()
    _check_source(source, folder=folder, weights=weights)
    where = {"local_files_only": local, "trust_remote_code": False}
    path = str(folder) if local else source
    try:
        with quiet(transformers):
            config = transformers.AutoConfig.from_pretrained(path, **where)
            config = getattr(config, "vision_config", config)  # SigLIP, CLIP: the image half
            _check_reads_images(source, config, transformers=transformers)
            if not weights:
                return transformers.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
            model, loading = transformers.AutoModel.from_pretrained(
                path,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **where,
            )
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigError(_explain(source, error, local=local)) from error
    _check_complete(source, model, missing=loading["missing_keys"])
    return model


def _check_source(source: str, *, folder: Path, weights: bool) -> None:
    """Say what a folder lacks before the library does, in one line."""
    if not folder.is_dir():
        if source.count("/") > 1 or source.startswith((".", "/", "~")) or "\\" in source:
            raise ConfigError(f"no such folder: {source}; give hf: a folder with config.json or a hub name")
    elif not (folder / "config.json").is_file():
        raise ConfigError(f"no config.json in {source}; give hf: a folder written by transformers' save_pretrained")
    elif weights and not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"no safetensors file in {source}; only safetensors are read: load the model in transformers "
            "and save it again with save_pretrained"
        )


def _check_reads_images(source: str, config: Any, *, transformers: Any) -> None:
    kind = transformers.MODEL_MAPPING.get(type(config), None)
    if getattr(kind, "main_input_name", None) != "pixel_values":
        raise ConfigError(
            f"hf:{source} is a {config.model_type!r} model, which reads no images; use an image backbone, "
            "as hf:microsoft/resnet-50"
        )


def _check_complete(source: str, model: Any, *, missing: set[str]) -> None:
    """Refuse weights with holes, which the library would fill at random; a dense pooler goes anyway."""
    missing = {name for name in missing if not name.startswith("pooler.")}
    if missing:
        raise ConfigError(
            f"{len(missing)} of {len(model.state_dict())} weights are missing from {source} "
            f"(first {min(missing)}); use a whole checkpoint of a {model.config.model_type!r} model"
        )


def _explain(source: str, error: Exception, *, local: bool) -> str:
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return f"hf:{source} needs code of its own, which is never run; use a backbone transformers contains"
    if "model type" in text or "model_type" in text:
        return f"hf:{source} is of no type that transformers knows; use a backbone transformers contains"
    if local:
        return f"cannot load {source} ({_first_line(error)}); save it again with save_pretrained"
    if "safetensors" in text:
        return f"no safetensors file in {source} on the hub; only safetensors are read: use another backbone"
    return (
        f"cannot get {source} from the Hugging Face hub ({_first_line(error)}); "
        "check the name and the connection, or give a folder: hf:<folder>"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:160]


def _drop_dense_pooler(model: Any) -> bool:
    """Take ViT's pooler away: a dense layer on the first token; many published checkpoints do not hold it,
    and the library would put random numbers there. True: take the first token itself.
    """
    pooler = getattr(model, "pooler", None)
    if not isinstance(getattr(pooler, "dense", None), nn.Linear):
        return False
    model.pooler = None
    return True


def _calm_batch_norm(model: nn.Module) -> None:
    """Give torch's usual momentum to batch norm that carries TensorFlow's over.

    TensorFlow's 0.997 is the share of the old statistics, torch's the share of the new: MobileNet and
    EfficientNet in transformers would keep little but the last batch, and validate on its luck.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.momentum is not None and layer.momentum > 0.5:
            layer.momentum = 0.1


def _options(model: Any, *, size: Size) -> dict[str, bool]:
    """Position encodings are interpolated where the network can and the size is not its own."""
    own = getattr(model.config, "image_size", None)
    own = (own, own) if isinstance(own, int) else tuple(own or ())
    takes = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if takes and own != size else {}


def _own_size(model: Any) -> str:
    own = getattr(model.config, "image_size", None)
    return f"its own size {own}×{own}" if isinstance(own, int) else "a larger size"


@contextmanager
def _training_untouched(model: nn.Module) -> Iterator[None]:
    """Training mode, as random weights in eval mode answer zero; statistics and generator stay the same."""
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


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Silence the library's log and progress bars, and its hub's, here only."""
    log, hub_log = transformers.utils.logging, logging.getLogger("huggingface_hub")
    verbosity, bars, hub_level = log.get_verbosity(), log.is_progress_bar_enabled(), hub_log.level
    log.set_verbosity_error()
    hub_log.setLevel(logging.ERROR)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        hub_log.setLevel(hub_level)
        if bars:
            log.enable_progress_bar()
