"""A drawn catalogue: films, posters, table, and what is wrong with it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onesheet.drawn.drawn_poster import DrawnPoster, draw_poster
from onesheet.drawn.faults import FEWEST_FILMS, Damage, Row
from onesheet.drawn.invented_films import Invented, invent
from onesheet.errors import ConfigError
from onesheet.files import whole_file, write_text
from onesheet.progress import Progress, shown
from onesheet.spreadsheets import Writer
from onesheet.threads import in_order


def draw_catalogue(
    folder: str | Path,
    *,
    films: int = 1500,
    seed: int = 0,
    faults: bool = True,
    threads: int | None = None,
    progress: Progress = shown,
) -> Path:
    """Draw a catalogue of posters of invented films; the same seed gives the same files.

    Each genre of a film shows its motif, palette and lettering with some chance only, and other genres' cues
    are mixed in, so that a good classifier is good and not perfect. `faults` puts in what real catalogues
    suffer from: duplicates, damaged files, missing posters, wrong genres and the like.

    Files written into the folder::

        posters.csv   id, title, year, genres (separated by |), poster
        posters/      film-0000.jpg and so on; some are PNG or WebP
        cues.json     film id -> genre -> its motif's box: left, top, right, bottom in [0, 1]
        faults.json   flag of the finding (or "wrong-label") -> the films concerned

    Args:
        folder: made if it is not there; posters of an earlier drawing in it are replaced.
        films: how many to invent.
        seed: any integer from 0.
        faults: whether to put faults in.
        threads: how many draw at once; None = one a core.
        progress: called with the task "draw".

    Returns:
        The path of `posters.csv`.

    Raises:
        ConfigError: too few films.
        OnesheetError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = draw_catalogue(folder, films=2, faults=False)
        ...     print(table.read_text(encoding="utf-8").splitlines()[0])
        id,title,year,genres,poster
    """
    fewest = FEWEST_FILMS if faults else 1
    if films < fewest:
        raise ConfigError(f"a drawn catalogue needs {fewest} films or more; got films={films}")
    folder = Path(folder)
    (folder / "posters").mkdir(parents=True, exist_ok=True)
    for old in (folder / "posters").glob("film-*.*"):
        old.unlink()
    invented = [invent(number, np.random.default_rng([seed, number])) for number in range(films)]
    rows, cues = [], {}
    drawn = in_order(partial(_draw_film, folder=folder, seed=seed), invented, threads=threads)
    for number, (row, boxes) in enumerate(drawn):
        rows.append(row)
        cues[row.film_id] = boxes
        progress("draw", number + 1, films)
    damage = Damage(
        folder=folder,
        rows=rows,
        cues=cues,
        redraw=lambda film_id: _draw(invented[int(film_id[5:])], seed=seed).image,
        rng=np.random.default_rng([seed, films]),
    )
    if faults:
        damage.add_all()
    write_text(folder / "cues.json", json.dumps(cues, indent=1))
    write_text(folder / "faults.json", json.dumps(damage.faults, indent=1, ensure_ascii=False))
    _write_table(folder / "posters.csv", rows)
    return folder / "posters.csv"


def _draw(film: Invented, *, seed: int) -> DrawnPoster:
    rng = np.random.default_rng([seed, int(film.film_id[5:]), 1])
    width = int(rng.choice([200, 220, 240, 270, 300], p=[0.4, 0.25, 0.2, 0.1, 0.05]))
    height = round(width * (1.5 if rng.random() < 0.85 else rng.uniform(1.38, 1.52)))
    return draw_poster(film, width=width, height=height, rng=rng)


def _draw_film(film: Invented, *, folder: Path, seed: int) -> tuple[Row, dict[str, Any]]:
    """Draw a film's poster into its file."""
    drawn = _draw(film, seed=seed)
    rng = np.random.default_rng([seed, int(film.film_id[5:]), 2])
    ending = str(rng.choice(["jpg", "png", "webp"], p=[0.86, 0.06, 0.08]))
    poster = f"posters/{film.film_id}.{ending}"
    _save(drawn.image, folder / poster, quality=int(rng.integers(55, 96)))
    return Row(film.film_id, film.title, film.year, film.genres, poster), dict(drawn.cues)


def _save(image: Image.Image, path: Path, *, quality: int) -> None:
    image.save(path, quality=quality, compress_level=3, method=1)  # each format takes what it knows


def _write_table(path: Path, rows: list[Row]) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = Writer(file)
        writer.write(("id", "title", "year", "genres", "poster"))
        writer.write_all((row.film_id, row.title, row.year, "|".join(row.genres), row.poster) for row in rows)
