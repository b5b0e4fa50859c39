"""The films of chu2017, imdb and more, packed once: posters, labels, and how much each label counts."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import onesheet
from onesheet.images import read_poster

SIZE = (224, 160)  # height and width of packed posters
MOVIELENS_LACKS = {"Biography", "History", "Music", "Sport", "Short"}
MOVIELENS_WEAK = {"Musical", "War", "Thriller", "Family", "Mystery"}  # a third or more disagree with IMDb's
WEAK = 0.5


@dataclass(frozen=True, eq=False)
class Films:
    """Packed films, in the order of their folders' `split.csv`.

    Attributes:
        ids: IMDb ids without `tt` or leading zeros, N.
        split: "train", "validation" or "test", N.
        posters: uint8 N×224×160×3, RGB.
        labels: float32 N×G, 0 or 1.
        weights: float32 N×G in 0..1, how much a label counts; 0 where the source does not have the genre.
        genres: the G genres of the bundled model.
    """

    ids: list[str]
    split: NDArray[np.str_]
    posters: NDArray[np.uint8]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]
    genres: tuple[str, ...]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)


def load_films(store: Path, data: Path | None = None) -> Films:
    """Read the packed films in `store`; pack them from `data` first if they are not there.

    Raises:
        FileNotFoundError: nothing is packed and no `data` is given.
    """
    packed = store / "films.npz"
    if not packed.exists():
        if data is None:
            raise FileNotFoundError(f"no packed films in {store}: pass --data, the folder of chu2017, imdb and more")
        pack(data, store)
    with np.load(packed) as kept:
        arrays = {name: kept[name] for name in kept.files}
    return Films(
        ids=arrays["ids"].tolist(),
        split=arrays["split"],
        posters=np.load(store / "posters.npy", mmap_mode="r"),
        labels=arrays["labels"],
        weights=arrays["weights"],
        genres=tuple(arrays["genres"].tolist()),
    )


def pack(data: Path, store: Path) -> None:
    """Write `posters.npy` and, when all is done, `films.npz` into `store`."""
    genres = onesheet.load().genres.names
    store.mkdir(parents=True, exist_ok=True)
    kaggle = {row["imdbId"]: set(row["Genre"].split("|")) for row in _rows(data / "imdb" / "MovieGenre.csv")}
    films = [film for film in _films(data, kaggle) if film[3] & set(genres)]
    posters = np.lib.format.open_memmap(store / "posters.npy", mode="w+", dtype=np.uint8, shape=(len(films), *SIZE, 3))

    def decode(row: int) -> None:
        posters[row] = read_poster(films[row][2], size=SIZE)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(decode, range(len(films))))
    posters.flush()
    np.savez(
        store / "films.npz",
        ids=np.array([film[0] for film in films]),
        split=np.array([film[1] for film in films]),
        labels=np.array([[genre in film[3] for genre in genres] for film in films], np.float32),
        weights=np.array([[film[4].get(genre, 1) for genre in genres] for film in films], np.float32),
        genres=np.array(genres),
    )


def _films(data: Path, kaggle: dict[str, set[str]]) -> Iterator[tuple[str, str, Path, set[str], dict[str, float]]]:
    """Id, split, poster, genres, and the weights that are not 1, of each film with a poster.

    Training films have the genres of both tables; the others those of their own table, by which results are compared.
    """
    chu = {row["Id"]: set(ast.literal_eval(row["Genre"])) for row in _rows(data / "chu2017" / "train.csv")}
    for row in _rows(data / "chu2017" / "split.csv"):
        key = row["Id"].removeprefix("tt").lstrip("0")
        in_kaggle = row["split"] == "train" and key in kaggle
        labels = chu[row["Id"]] | (kaggle[key] if in_kaggle else set())
        # chu2017 has no Film-Noir.
        weights = {} if in_kaggle else {"Film-Noir": 0.0}
        yield key, row["split"], data / "chu2017" / "Images" / f"{row['Id']}.jpg", labels, weights
    for row in _rows(data / "imdb" / "split.csv"):
        key = row["imdbId"]
        yield key, row["split"], data / "imdb" / "posters" / f"{key}.webp", kaggle[key], {}
    movielens = dict.fromkeys(MOVIELENS_WEAK, WEAK) | dict.fromkeys(MOVIELENS_LACKS, 0.0)
    for row in _rows(data / "more" / "labels.csv"):
        weights = movielens if row["label_source"] == "movielens" else {}
        poster = data / "more" / "posters" / f"{row['imdbId']}.webp"
        yield row["imdbId"], "train", poster, set(row["Genre"].split("|")), weights


def _rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
