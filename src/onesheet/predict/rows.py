"""Predictions as rows of a table: path, genres, one column a genre, error."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from onesheet.errors import require
from onesheet.predict.results import Failure, Prediction

ROWS_AT_ONCE = 10_000


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
