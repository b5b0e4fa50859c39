"""What a prediction says."""

from __future__ import annotations

from dataclasses import dataclass


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
