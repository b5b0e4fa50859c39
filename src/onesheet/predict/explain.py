"""Heat maps from a model file: its own evidence, or occlusion where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onesheet.images import open_poster, placed
from onesheet.predict.heat_map import Box, HeatMap
from onesheet.threads import in_order

if TYPE_CHECKING:
    from onesheet.predict.predictor import Predictor

CELLS = 8  # of the occlusion map along the poster's shorter side; a patch covers 2×2 of them
BATCH = 2  # covered posters scored at once, as predictor.py does


def heat_maps(predictor: Predictor, poster: str | Path | bytes, genres: Sequence[str]) -> list[HeatMap]:
    """Where in a poster the evidence for each of some genres lies, from reading it once.

    Raises:
        CatalogueError: the model has no such genre.
        UnreadablePoster: the poster cannot be decoded.
    """
    columns = [predictor.genres.column(genre) for genre in genres]
    size, resize = predictor.card.size, predictor.card.resize
    decoded = open_poster(poster, at_least=size)
    pixels = decoded.resized(size, resize)
    top, left, height, width = placed((decoded.height, decoded.width), size, resize)
    box: Box = (top / size[0], left / size[1], (top + height) / size[0], (left + width) / size[1])
    scores = predictor.score(pixels[None])
    if scores.evidence is not None:
        method, maps = "evidence", scores.evidence[0, columns]
    else:
        colour = pixels[top : top + height, left : left + width].mean((0, 1))
        method, maps = "occlusion", occlusion(predictor, pixels, colour, scores.logits[0])[columns]
    return [
        HeatMap(genre, float(scores.probabilities[0, column]), values, method, poster, box)
        for genre, column, values in zip(genres, columns, maps, strict=True)
    ]


def occlusion(
    predictor: Predictor, pixels: NDArray[np.uint8], colour: NDArray[np.float64], logits: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What every genre's logit loses when a place is covered (Zeiler and Fergus 2014), as a map.

    A patch of 2×2 cells is slid over the poster cell by cell; a cell's value is the mean over the four patches that
    cover it.

    Args:
        predictor: the model.
        pixels: the poster, uint8 H×W×3, as the model takes it.
        colour: of the patch, RGB in [0, 255]: the poster's own mean hides a place without adding a new thing.
        logits: float32 G, of the poster uncovered.

    Returns:
        float32 G×h×w.
    """
    sides = pixels.shape[:2]
    rows, columns = (round(CELLS * side / min(sides)) for side in sides)
    row_edges, column_edges = (
        np.linspace(0, side, cells + 1).round().astype(int) for side, cells in zip(sides, (rows, columns), strict=True)
    )
    patches = [
        (
            slice(row_edges[max(row - 1, 0)], row_edges[min(row + 1, rows)]),
            slice(column_edges[max(column - 1, 0)], column_edges[min(column + 1, columns)]),
        )
        for row in range(rows + 1)
        for column in range(columns + 1)
    ]

    def covered(batch: Sequence[tuple[slice, slice]]) -> NDArray[np.float32]:
        copies = np.repeat(pixels[None], len(batch), axis=0)
        for copy, place in zip(copies, batch, strict=True):
            copy[place] = colour.round()
        return predictor.score(copies).logits

    batches = [patches[start : start + BATCH] for start in range(0, len(patches), BATCH)]
    losses = logits - np.concatenate(list(in_order(covered, batches, threads=predictor.threads)))
    grid = losses.T.reshape(-1, rows + 1, columns + 1)
    maps: NDArray[np.float32] = (grid[:, :-1, :-1] + grid[:, 1:, :-1] + grid[:, :-1, 1:] + grid[:, 1:, 1:]) / 4
    return maps
