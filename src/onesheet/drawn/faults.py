"""The faults of real catalogues, put into a drawn one and written down."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onesheet.drawn.invented_films import GENRES

PER_1500_FILMS = {
    "exact-duplicate": 8,
    "near-duplicate": 8,
    "conflicting-duplicate": 3,
    "truncated": 3,
    "not-an-image": 2,
    "blank": 3,
    "no-poster": 5,
    "no-row": 4,
    "repeated-id": 4,
    "mis-encoded-title": 4,
    "wrong-label": 15,
}
FEWEST_FILMS = 30  # a film for each fault and enough without


@dataclass
class Row:
    """A line of the table.

    Attributes:
        poster: path relative to the table.
    """

    film_id: str
    title: str
    year: int
    genres: tuple[str, ...]
    poster: str


@dataclass
class Damage:
    """A drawn catalogue while faults are put in.

    Attributes:
        folder: folder of the table.
        rows: the lines of the table, changed in place.
        cues: film id -> genre -> box, changed in place.
        redraw: film id -> its picture once more.
        faults: flag -> what was done, one dict a film.
    """

    folder: Path
    rows: list[Row]
    cues: dict[str, dict[str, Any]]
    redraw: Callable[[str], Image.Image]
    rng: np.random.Generator
    faults: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add_all(self) -> None:
        """Put every fault in, each into films of its own."""
        whole = [row for row in self.rows if row.poster.endswith(".jpg")]
        self.rng.shuffle(whole)
        films = iter(whole)
        scale = len(self.rows) / 1500
        for flag, count in PER_1500_FILMS.items():
            self.faults[flag] = [self._add(flag, films) for _ in range(max(1, round(count * scale)))]

    def _add(self, flag: str, films: Iterator[Row]) -> dict[str, Any]:
        row = next(films)
        note: dict[str, Any] = {"film": row.film_id, "poster": row.poster}
        if flag.endswith("duplicate"):
            note["of"] = self._duplicate(flag, row, next(films))
        elif flag in ("truncated", "not-an-image", "blank", "no-poster"):
            self._spoil(flag, self.folder / row.poster)
            self.cues.pop(row.film_id)
        elif flag == "no-row":
            self.rows.remove(row)
            self.cues.pop(row.film_id)
        elif flag == "repeated-id":
            self.rows.append(row)
        elif flag == "mis-encoded-title":
            note["title"] = row.title if not row.title.isascii() else f"{row.title} in Málaga"
            row.title = note["title"].encode().decode("cp1252")
        else:
            note["genres"] = list(row.genres)
            row.genres = self._other_genres(row.genres)
        return note

    def _duplicate(self, flag: str, row: Row, original: Row) -> str:
        """Give the row the original's poster."""
        path = self.folder / row.poster
        if flag == "near-duplicate":
            image = self.redraw(original.film_id)
            share = self.rng.uniform(0.7, 0.95)
            image = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BICUBIC)
            image.save(path, quality=int(self.rng.integers(50, 75)))
        else:
            shutil.copyfile(self.folder / original.poster, path)
        conflicting = flag == "conflicting-duplicate"
        row.genres = self._other_genres(original.genres) if conflicting else original.genres
        self.cues[row.film_id] = self.cues[original.film_id]
        return original.film_id

    def _spoil(self, flag: str, path: Path) -> None:
        if flag == "truncated":
            data = path.read_bytes()
            path.write_bytes(data[: int(len(data) * self.rng.uniform(0.3, 0.7))])
        elif flag == "not-an-image":
            path.write_text("<html><body><h1>404 Not Found</h1></body></html>\n", encoding="utf-8")
        elif flag == "blank":
            Image.new("RGB", (200, 300), tuple(self.rng.integers(0, 256, 3).tolist())).save(path)
        else:
            path.unlink()

    def _other_genres(self, genres: tuple[str, ...]) -> tuple[str, ...]:
        others = [genre for genre in GENRES if genre not in genres]
        return tuple(sorted(str(g) for g in self.rng.choice(others, int(self.rng.integers(1, 3)), replace=False)))
