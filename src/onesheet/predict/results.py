"""What a prediction says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

from onesheet.errors import ConfigError

if TYPE_CHECKING:
    from onesheet.predict.heat_map import HeatMap
    from onesheet.predict.predictor import Predictor


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
