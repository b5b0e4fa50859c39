"""Pictures of any of Pillow's modes -> RGB."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_STRIP_PIXELS = 250_000


def to_rgb(picture: Image.Image) -> Image.Image:
    """The picture in mode RGB, itself if it is; made strip by strip, so that nothing else of its size is in memory.

    Transparency is laid over white. Whole numbers of 16 bits or 32 keep their highest eight; floats are taken as 0..1,
    or as 0..255 where one is above 1.
    """
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    convert = _on_white if picture.has_transparency_data else partial(Image.Image.convert, mode="RGB")
    if picture.mode.startswith("I"):  # 16 bits, or 32 where a value needs them
        highest = max(int(np.asarray(strip).max()) for strip, _ in _strips(picture))
        convert = partial(_from_whole_numbers, bits=8 if highest <= 0xFFFF else 23)
    elif picture.mode == "F":  # 0..1, or 0..255 where a value is above 1
        brightest = max(float(_finite(strip).max()) for strip, _ in _strips(picture))
        convert = partial(_from_floats, scale=255 if brightest <= 1 else 1)
    rgb = Image.new("RGB", picture.size)
    for strip, top in _strips(picture):
        rgb.paste(convert(strip), (0, top))
    return rgb


def _strips(picture: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """A picture's strips of full width, each with where it begins."""
    rows = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height))), top


def _on_white(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")


def _from_whole_numbers(strip: Image.Image, *, bits: int) -> Image.Image:
    values = np.maximum(np.asarray(strip).astype(np.int64), 0)
    return Image.fromarray((values >> bits).astype(np.uint8)).convert("RGB")


def _from_floats(strip: Image.Image, *, scale: float) -> Image.Image:
    return Image.fromarray((_finite(strip) * scale).clip(0, 255).astype(np.uint8)).convert("RGB")


def _finite(strip: Image.Image) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = np.nan_to_num(np.asarray(strip), posinf=0, neginf=0)
    return grey
