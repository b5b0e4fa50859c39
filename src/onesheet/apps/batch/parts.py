"""Make a part of a batch: from its number to its file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from onesheet.apps.batch.plan import Plan, PlanFile
from onesheet.apps.batch.poster_shards import read_shard
from onesheet.apps.batch.storage import Entry, Place
from onesheet.predict import Predictor
from onesheet.predict.predictions import table_columns, table_row, write_parquet
from onesheet.spreadsheets import Writer

Row = dict[str, Any]


class PartDone(NamedTuple):
    """A finished part.

    Attributes:
        number: its number, from 0.
        posters: number of rows.
        unreadable: number of rows with an error.
    """

    number: int
    posters: int
    unreadable: int


class PartMaker:
    """Makes any part of a batch, for every engine.

    Inference batches never cross parts, so that every worker computes the same bits.
    """

    def __init__(self, place: Place, plan: Plan, predictor: Predictor) -> None:
        self._place = place
        self._plan = plan
        self._predictor = predictor
        self._listed = PlanFile(place)

    def make(self, number: int) -> PartDone:
        """Predict a part and write its file atomically.

        Raises:
            OnesheetError: a shard cannot be read, or the file cannot be written.
            MissingExtra: a package that reads a poster's URL is not installed.
        """
        genres = self._predictor.genres.names
        answers = self._predictor.predict_many(self._entries(number), at=self._plan.at, read=Entry.read)
        posters = unreadable = 0

        def rows() -> Iterator[Row]:
            nonlocal posters, unreadable
            for answer in answers:
                row = table_row(answer, genres)
                posters += 1
                unreadable += row["error"] is not None
                yield row

        with self._place.whole(self._plan.part_name(number)) as path:
            FORMS[self._plan.form](path, rows(), genres)
        return PartDone(number, posters, unreadable)

    def _entries(self, number: int) -> Iterator[Entry]:
        for row in self._listed.part(number):
            if self._plan.kind in ("tar", "parquet"):
                yield from read_shard(row.path, row.location, self._plan.kind)
            elif row.location:
                yield Entry(row.path, content=row.location)
            else:
                yield Entry(row.path, error=f"cannot read {row.path!r}: the row has no poster; add its path")


def _write_csv(path: Path, rows: Iterable[Row], genres: Iterable[str]) -> None:
    columns = table_columns(genres)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = Writer(file)
        writer.write(columns)
        writer.write_all([row[column] for column in columns] for row in rows)


def _write_jsonl(path: Path, rows: Iterable[Row], genres: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


FORMS: dict[str, Callable[[Path, Iterable[Row], Iterable[str]], None]] = {
    "parquet": write_parquet,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
