"""hf:<hub name or folder>: any image backbone of transformers and its normalisation; safetensors, no remote code."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onesheet.errors import ConfigError, require
from onesheet.files import read_json
from onesheet.models.backbone import PretrainedBackbone
from onesheet.models.network import IMAGENET_MEAN, IMAGENET_STD, PosterNetwork, Size
from onesheet.speed.cpu_kernels import fast_mobilenet


def pretrained(
    source: str, *, genres: int, size: Size, dropout: float | None = None, levels: bool = True, weights: bool = True
) -> PosterNetwork:
    """Build a network on the backbone `source`, a folder that `save_pretrained` wrote or a name on the hub.

    Args:
        levels: the head reads the mean and deviation of every level's maps, not the last map's mean alone.
        weights: False takes the architecture alone, with random weights (to fill from a checkpoint).

    Raises:
        ConfigError: no such folder or name, no safetensors in it, weights missing, not an image model, remote
            code required, or a size the backbone does not take.
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
            raise ConfigError(f"no such folder: {source}; pass hf: a folder with config.json or a hub name")
    elif not (folder / "config.json").is_file():
        raise ConfigError(f"no config.json in {source}; pass hf: a folder written by transformers' save_pretrained")
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
    """Reject weights with holes, which the library would fill at random; a dense pooler goes anyway."""
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
        "check the name and the connection, or pass a folder: hf:<folder>"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:160]


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


def normalisation(source: str) -> tuple[list[float], list[float]]:
    """Mean and deviation the backbone was trained with, from its image processor; else ImageNet's.

    Args:
        source: a folder, or a name on the hub.

    Raises:
        OSError, ValueError: the processor's file cannot be had or read.
    """
    settings = _processor(source)
    if settings.get("do_normalize") is False:
        return [0.0] * 3, [1.0] * 3
    mean = settings.get("image_mean") or list(IMAGENET_MEAN)
    std = settings.get("image_std") or list(IMAGENET_STD)
    if settings.get("include_top"):  # EfficientNet's processor divides a second time
        std = [value * value for value in std]
    return list(mean), list(std)


def _processor(source: str) -> dict[str, Any]:
    from transformers.utils import cached_file

    folder = Path(source).expanduser()
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        if folder.is_dir():
            path: str | None = str(folder / name) if (folder / name).is_file() else None
        else:
            path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        if path:
            settings: dict[str, Any] = read_json(path)
            return settings.get(key, {}) if key else settings
    return {}
