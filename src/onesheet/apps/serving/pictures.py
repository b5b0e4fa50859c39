"""Pictures for the page: posters and heat maps, no larger than a page needs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onesheet.images import open_poster
from onesheet.predict import Predictor, heat_maps

LARGEST = (900, 600)
"""Height and width of a picture at most, in pixels."""

THUMBNAIL = (240, 160)

BRIGHTEST = "Onesheet-Brightest"


class Picture(NamedTuple):
    """A picture as it is sent."""

    content: bytes
    media_type: str
    headers: dict[str, str]


def poster_jpeg(poster: str | Path | bytes, *, max_pixels: int, largest: tuple[int, int] = LARGEST) -> bytes:
    """A poster as JPEG, whatever its file is.

    Raises:
        UnreadablePoster: it cannot be decoded or has more than `max_pixels`.
    """
    file = io.BytesIO()
    Image.fromarray(_pixels(poster, max_pixels, largest)).save(file, "JPEG", quality=88)
    return file.getvalue()


def as_address(jpeg: bytes) -> str:
    """A picture as a data: address."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def heat_png(predictor: Predictor, poster: str | Path | bytes, genre: str, *, max_pixels: int) -> Picture:
    """A heat map over a poster as PNG; its headers say where it is brightest, "" where nothing speaks for the genre.

    Raises:
        CatalogueError: the model has no such genre.
        UnreadablePoster: as `poster_jpeg`.
    """
    shown = _pixels(poster, max_pixels, LARGEST)
    file = io.BytesIO()
    heat = heat_maps(predictor, poster, [genre])[0]
    Image.fromarray(heat.over(shown)).save(file, "PNG")
    return Picture(file.getvalue(), "image/png", {BRIGHTEST: heat.brightest})


def _pixels(poster: str | Path | bytes, max_pixels: int, largest: tuple[int, int]) -> NDArray[np.uint8]:
    picture = open_poster(poster, at_least=largest, max_pixels=max_pixels).picture
    height, width = largest
    picture.thumbnail((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture)
