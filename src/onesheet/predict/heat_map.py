"""A heat map: where in a poster the evidence for a genre lies, in numbers, in words and as a picture."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onesheet.files import whole_file
from onesheet.images import open_poster

Box = tuple[float, float, float, float]
"""Top, left, bottom, right."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

# Inferno, from cold to hot in equal steps of lightness (matplotlib's colour map by van der Walt and Smith, CC0).
_INFERNO = [
    *((0, 0, 4), (33, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84)),
    *((228, 90, 49), (249, 142, 9), (249, 203, 53), (252, 255, 164)),
]
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "centre", "right")


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """Where in a poster the evidence for a genre lies.

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
