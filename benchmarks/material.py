"""What the benchmarks work on: real posters from DATA, as many as requested.

DATA is a catalogue that `onesheet` reads, or a folder with chu2017/ and imdb/, as for quality.py.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from onesheet.data import Catalogue, Film, read_catalogue
from onesheet.images import Resize, Size, read_poster
from onesheet.packed import Packed, Split, pack, read_split, split
from onesheet.threads import thread_count

SIZE = (224, 160)
SOURCES = ("chu2017", "imdb")


def read(data: Path, *, posters: int | None = None) -> Catalogue:
    """The catalogue, or so many of its films, evenly spaced."""
    catalogue = read_catalogue(*_sources(data))
    if posters is None or posters >= len(catalogue):
        return catalogue
    chosen = np.linspace(0, len(catalogue) - 1, posters).astype(int).tolist()
    return Catalogue(tuple(catalogue.films[row] for row in chosen), catalogue.genres)


def one_part(catalogue: Catalogue) -> Split:
    return Split(catalogue, np.full(len(catalogue), "train"))


def to_tune(catalogue: Catalogue, *, train: int, validation: int) -> Split:
    """`train` films to learn from and `validation` others, films repeated where there are too few."""
    films = [catalogue.films[row % len(catalogue)] for row in range(train + validation)]
    renamed = tuple(Film(str(row), film.poster, film.genres) for row, film in enumerate(films))
    parts = np.repeat(["train", "validation"], [train, validation])
    return Split(Catalogue(renamed, catalogue.genres), parts)


def pack_parts(data: Path, folder: Path, *, posters: int | None = None) -> Packed:
    """Posters packed in three parts: by the split files beside DATA's catalogues, or split anew."""
    catalogue = read(data, posters=posters)
    files = [source / "split.csv" for source in _sources(data) if (source / "split.csv").exists()]
    parts = read_split(catalogue, *files) if files else split(catalogue, seed=0)
    return pack(parts, folder, size=SIZE)


def jpegs(catalogue: Catalogue) -> list[Film]:
    """The films whose poster is a JPEG by name: what every decoder reads."""
    return [film for film in catalogue.films if film.poster.lower().endswith((".jpg", ".jpeg"))]


def decode_all(posters: Sequence[str], *, size: Size, resize: Resize = "stretch", at_once: int) -> None:
    """Decode and resize on all cores, so many posters a turn, and let the pixels go."""

    def turn(start: int) -> None:
        for poster in posters[start : start + at_once]:
            read_poster(poster, size=size, resize=resize)

    with ThreadPoolExecutor(thread_count(None)) as pool:
        for _ in pool.map(turn, range(0, len(posters), at_once)):
            pass


def _sources(data: Path) -> Sequence[Path]:
    return [data / name for name in SOURCES if (data / name).is_dir()] or [data]
