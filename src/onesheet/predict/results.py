"""What a prediction says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

import numpy as np

from onesheet.errors import ConfigError, UnreadablePoster
from onesheet.images import open_poster
from onesheet.markup import Markup, bar, escaped, picture, table

if TYPE_CHECKING:
    from onesheet.predict.heat_map import HeatMap
    from onesheet.predict.predictor import Predictor

SHOWN_GENRES = 6


def percent(probability: float) -> str:
    """A probability for a person.

    Example:
        >>> percent(0.871), percent(0.004)
        ('87%', '<1%')
    """
    return "<1%" if 0 < probability < 0.005 else f"{probability:.0%}"


class Origin:
    """The model and the poster that a prediction came from.

    It stays where it was made: a deep copy or a pickle of it is None, so that a prediction travels without its model.
    """

    __slots__ = ("poster", "predictor")

    def __init__(self, predictor: Predictor, poster: str | Path | bytes) -> None:
        self.predictor = predictor
        self.poster = poster

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return NoneType, ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """The genres of one poster.

    Attributes:
        path: the poster, as it was named.
        genres: genre -> probability for the genres given at the operating point, most probable first.
        probabilities: genre -> calibrated probability in [0, 1], for every genre, in column order.
        at: the operating point.
    """

    path: str
    genres: dict[str, float]
    probabilities: dict[str, float]
    at: str
    _origin: Origin | None = field(default=None, repr=False, compare=False)

    def explain(self, genre: str | None = None) -> HeatMap:
        """Where in the poster the evidence for a genre lies (see `Predictor.explain`).

        Args:
            genre: any genre of the model; None = the most probable one.

        Raises:
            ConfigError: the prediction has been copied or pickled, and so has lost its model.
            CatalogueError: the model has no such genre.
            UnreadablePoster: the poster is not there any more.
        """
        if self._origin is None:
            raise ConfigError("a copied prediction has no model any more; use Predictor.explain(poster, genre)")
        genre = max(self.probabilities, key=self.probabilities.__getitem__) if genre is None else genre
        return self._origin.predictor.explain(self._origin.poster, genre)

    def to_dict(self) -> dict[str, object]:
        """The JSON form: `path`, `genres` (list of {genre, probability}), `probabilities`."""
        return {
            "path": self.path,
            "genres": [{"genre": name, "probability": value} for name, value in self.genres.items()],
            "probabilities": self.probabilities,
        }

    def _repr_html_(self) -> str:
        """For notebooks: the poster, small, beside the likeliest genres and the operating points that give them."""
        likely = sorted(self.probabilities, key=lambda name: -self.probabilities[name])
        rows = [
            (
                Markup(f"<b>{escaped(name)}</b>") if name in self.genres else name,
                bar(self.probabilities[name]),
                percent(self.probabilities[name]),
                ", ".join(self._points_that_give(name)),
            )
            for name in likely[: max(SHOWN_GENRES, len(self.genres))]
        ]
        genres = table(("genre", "", "probability", "given at"), rows, title=self.path)
        return f'<div style="display:flex;gap:1em;align-items:start">{self._thumbnail()}{genres}</div>'

    def _points_that_give(self, genre: str) -> list[str]:
        """The operating points that give a genre; none where the prediction has lost its model."""
        if self._origin is None:
            return []
        values, column = np.array([[*self.probabilities.values()]]), list(self.probabilities).index(genre)
        return [at for at, point in self._origin.predictor.points.items() if point.decide(values)[0, column]]

    def _thumbnail(self) -> str:
        """The poster as an <img>, "" where it is not there any more."""
        try:
            pixels = np.asarray(open_poster(self._origin.poster).picture) if self._origin else None
        except UnreadablePoster:
            return ""
        return "" if pixels is None else f'<img alt="" src="{picture(pixels)}">'


@dataclass(frozen=True, slots=True)
class Failure:
    """A poster that could not be read.

    Attributes:
        path: the poster, as it was named.
        error: one line for a person.
    """

    path: str
    error: str

    def to_dict(self) -> dict[str, object]:
        """The JSON form: `path`, `error`."""
        return {"path": self.path, "error": self.error}
