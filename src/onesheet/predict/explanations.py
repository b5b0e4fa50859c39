"""Heat maps: where in a poster the evidence for a genre is, from the model file's evidence or by occlusion."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onesheet.bundle import Card, Scores
from onesheet.files import whole_file
from onesheet.genres import GenreSet
from onesheet.images import open_poster, placed
from onesheet.threads import in_order

Box = tuple[float, float, float, float]
"""Top, left, bottom, right."""

CELLS = 8  # of the occlusion map along the poster's shorter side; a patch covers 2×2 of them
BATCH = 2  # covered posters scored at once, as predictor.py does

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

# Inferno, from cold to hot in equal steps of lightness (matplotlib's colour map by van der Walt and Smith, CC0).
_INFERNO = [
    *((0, 0, 4), (33, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84)),
    *((228, 90, 49), (249, 142, 9), (249, 203, 53), (252, 255, 164)),
]
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "centre", "right")


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Where in a poster the evidence for a genre is.

    Attributes:
        genre: the genre.
        probability: its calibrated probability, in [0, 1].
        values: float32 h×w in units of the logit; positive speaks for the genre, negative against it. From
            "evidence", their mean plus the head's bias is the logit; from "occlusion", each is what the logit loses
            when the place is covered.
        method: "evidence" (the model file's class activation map), "occlusion" or "grad-cam".
        poster: the poster, a path or a file's bytes.
        box: the part of the map that the poster fills, as fractions of its sides; less than the whole where the
            poster was padded.
    """

    genre: str
    probability: float
    values: NDArray[np.float32]
    method: str
    poster: str | Path | bytes = field(repr=False)
    box: Box = WHOLE

    @property
    def brightest(self) -> str:
        """Which ninth of the poster speaks most for the genre, as "upper left" or "centre"; "" where none does."""
        ninths = self._strength(90, 90).reshape(3, 30, 3, 30).mean((1, 3))
        if not ninths.any():
            return ""
        row, column = divmod(int(ninths.argmax()), 3)
        return " ".join(filter(None, (_ROWS[row], _COLUMNS[column])))

    def overlay(self, poster: str | Path | bytes | None = None) -> NDArray[np.uint8]:
        """The poster under the map's colours: grey where nothing speaks for the genre, bright yellow where most does.

        Args:
            poster: another copy of the same poster, as a larger scan; None = the poster explained.

        Returns:
            uint8 H×W×3, RGB, of the poster's own size.

        Raises:
            UnreadablePoster: the poster is not there any more or cannot be decoded.
        """
        return self.over(np.asarray(open_poster(self.poster if poster is None else poster).picture))

    def over(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As `overlay`, over a poster's pixels, uint8 H×W×3."""
        picture, strength = Image.fromarray(pixels), self._strength(*pixels.shape[:2])
        heat = Image.fromarray((strength / (strength.max() or 1) * 255).round().astype(np.uint8))
        heat.putpalette(_palette())
        # grey, and flattened, so that a white sky does not pass for heat
        grey = picture.convert("L").point([round(48 + level * 0.625) for level in range(256)])
        return np.asarray(Image.blend(grey.convert("RGB"), heat.convert("RGB"), 0.6))

    def save(self, path: str | Path) -> None:
        """Write the overlay as PNG; the file appears whole or not at all.

        Raises:
            OnesheetError: the folder cannot be written or the disk is full.
        """
        png = self._repr_png_()
        with whole_file(path) as part:
            part.write_bytes(png)

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        file = io.BytesIO()
        Image.fromarray(self.overlay()).save(file, "PNG")
        return file.getvalue()

    def _strength(self, height: int, width: int) -> NDArray[np.float32]:
        """What speaks for the genre, over the poster's part of the map: float32 height×width, 0 or more."""
        rows, columns = self.values.shape
        top, left, bottom, right = self.box
        box = (left * columns, top * rows, right * columns, bottom * rows)
        speaking = Image.fromarray(self.values.clip(min=0))
        return np.asarray(speaking.resize((width, height), Image.Resampling.BICUBIC, box=box)).clip(min=0)


def _palette() -> bytes:
    """The colours of 256 strengths, RGB after RGB."""
    steps, table = np.linspace(0, len(_INFERNO) - 1, 256), np.array(_INFERNO)
    channels = [np.interp(steps, range(len(table)), channel) for channel in table.T]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


class Scorer(Protocol):
    """What `heat_maps` needs of a `Predictor`."""

    genres: GenreSet
    card: Card
    threads: int

    def score(self, posters: NDArray[np.uint8]) -> Scores:
        """Scores of posters of the card's size."""


def heat_maps(predictor: Scorer, poster: str | Path | bytes, genres: Sequence[str]) -> list[HeatMap]:
    """Where in a poster the evidence for each of some genres is, from reading it once.

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
    predictor: Scorer, pixels: NDArray[np.uint8], colour: NDArray[np.float64], logits: NDArray[np.float32]
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
