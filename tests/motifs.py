"""Posters of noise whose genres each show as one patch at a known place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# genre -> chance, and the patch (rows, columns, channel) that shows it
MOTIFS = {
    "Comedy": (0.5, slice(4, 16), slice(4, 16), 0),
    "Drama": (0.4, slice(28, 42), slice(4, 20), 1),
    "Horror": (0.3, slice(18, 30), slice(18, 30), 2),
}


def draw_poster(genres: Iterable[str], rng: np.random.Generator) -> NDArray[np.uint8]:
    """48×32 noise with a bright patch for each genre."""
    pixels = rng.integers(0, 110, (48, 32, 3)).astype(np.uint8)
    for genre in genres:
        _, rows, columns, channel = MOTIFS[genre]
        pixels[rows, columns, channel] += 110
    return pixels


def on_motif(genre: str, row: int, column: int) -> bool:
    """Whether a pixel lies on a genre's patch, or within a cell of the network's last map of it."""
    _, rows, columns, _ = MOTIFS[genre]
    return rows.start - 4 <= row < rows.stop + 4 and columns.start - 4 <= column < columns.stop + 4
