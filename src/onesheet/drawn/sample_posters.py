"""Four drawn posters to try a model on, of genres that the bundled model finds in them."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import ImageFilter

from onesheet.drawn.drawn_poster import draw_poster
from onesheet.drawn.invented_films import Invented

# Film, seed, blur in pixels: hard edges can look like a documentary to the model.
SAMPLES = (
    (Invented("horror", "The Scream in the Cellar", 1994, ("Horror",)), 53, 1.5),
    (Invented("animation", "Captain Turnip", 2012, ("Animation", "Comedy")), 60, 0),
    (Invented("romance", "The Honeymoon", 2001, ("Comedy", "Romance")), 36, 0),
    (Invented("science-fiction", "Signal of the North", 2009, ("Action", "Sci-Fi")), 39, 3),
)


@cache
def sample_poster(number: int) -> bytes:
    """A drawn poster as JPEG, 300×450; `number` is a place in `SAMPLES`."""
    film, seed, blur = SAMPLES[number]
    drawn = draw_poster(film, width=300, height=450, rng=np.random.default_rng(seed)).image
    file = io.BytesIO()
    drawn.filter(ImageFilter.GaussianBlur(blur)).save(file, "JPEG", quality=88)
    return file.getvalue()
