"""Predictions: the genres of a poster as data, as JSON, as a table row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from onesheet.errors import require
from onesheet.markup import Markup, bar, escaped, table

SHOWN_GENRES = 6
ROWS_AT_ONCE = 10_000


def percent(probability: float) -> str:
    """A probability for a person.

    Example:
        >>> percent(0.871), percent(0.004)
        ('87%', '<1%')
    """
    return "<1%" if 0 < probability < 0.005 else f"{probability:.0%}"


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

    def _repr_html_(self) -> str:
        """For notebooks: the likeliest genres, the predicted ones in bold."""
        likely = sorted(self.probabilities, key=lambda name: -self.probabilities[name])
        rows = [
            (
                Markup(f"<b>{escaped(name)}</b>") if name in self.genres else name,
                bar(self.probabilities[name]),
                percent(self.probabilities[name]),
            )
            for name in likely[: max(SHOWN_GENRES, len(self.genres))]
        ]
        return table(("genre", "", "probability"), rows, title=self.path)


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


def table_columns(genres: Iterable[str]) -> list[str]:
    """The headings.

    Example:
        >>> table_columns(["Comedy", "Drama"])
        ['path', 'genres', 'Comedy', 'Drama', 'error']
    """
    return ["path", "genres", *genres, "error"]


def table_row(answer: Prediction | Failure, genres: Iterable[str]) -> dict[str, Any]:
    """One row; a path that is no UTF-8 has its bytes spelt out."""
    path = answer.path.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(answer, Failure):
        return {"path": path, "genres": None, **dict.fromkeys(genres), "error": answer.error}
    return {"path": path, "genres": "|".join(answer.genres), **answer.probabilities, "error": None}


def write_parquet(path: Path, rows: Iterable[dict[str, Any]], genres: Iterable[str]) -> None:
    """Write rows to a Parquet file, a few thousand at a time; text, and probabilities as float32.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow = require("pyarrow", purpose="writing Parquet", extra="parquet")
    parquet = require("pyarrow.parquet", purpose="writing Parquet", extra="parquet")
    genres = list(genres)
    schema = arrow.schema(
        [(name, arrow.float32() if name in genres else arrow.string()) for name in table_columns(genres)]
    )
    left = iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while chunk := list(islice(left, ROWS_AT_ONCE)):
            writer.write_table(arrow.Table.from_pylist(chunk, schema=schema))
