"""The normalisation a published backbone wants, from the image processor's file beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onesheet.files import read_json
from onesheet.models.network import IMAGENET_MEAN, IMAGENET_STD


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
