"""What is reviewed: a run's films, or a catalogue."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onesheet.apps.review.relabelling import is_one_table
from onesheet.data import Catalogue, Film, Findings, read_catalogue
from onesheet.data.reading import TableRows, read_table_rows
from onesheet.errors import CatalogueError, ConfigError

# A run's catalogue -> the splits that its model has not learnt from; heads on a model file learn from validation too.
HELD_OUT = {"catalogue.parquet": ("validation", "test"), "catalogue.csv": ("test",)}
DECISIONS = "decisions.sqlite"
_OPTIONS = ("posters", "poster_column", "id_column", "genre_column")
_GONE = frozenset({"no-poster", "no-row", "no-genre", "bad-row", "not-in-split"})


@dataclass(frozen=True)
class Source:
    """What is reviewed.

    Attributes:
        catalogue: its films with genres.
        bare: its films without, whose posters are there.
        run: the run's folder whose held-out films are looked at; None = a model reads the whole catalogue.
        table: the one table that has all films; None where they are no single CSV or TSV file.
        paths: what `read_table_rows` reads to find that table.
        options: the options it was read with.
        genre_map: the mapping file it was read with, None = none.
        left_out: flag -> how many posters and rows have no film in `catalogue`.
        held_out: the run's splits that its model has not learnt from.
    """

    catalogue: Catalogue
    bare: tuple[Film, ...]
    run: Path | None
    table: Path | None
    paths: tuple[str, ...]
    options: dict[str, Any]
    genre_map: str | None
    left_out: dict[str, int]
    held_out: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What is reviewed, and what corrections are good for, for a person."""
        if self.run:
            return (
                f"Reviewed are the films held out from training, the run's {' and '.join(self.held_out)} "
                f"set{'s'[: len(self.held_out) - 1]}. Their corrections "
                "make the measurement truer; the network learns nothing from them while they stay held out."
            )
        return "Reviewed is the whole catalogue. A model finds the labels it has learnt from right: take another model."


def read_source(*, run: str | Path | None = None, catalogue: str | Path | None = None) -> Source:
    """Read what is reviewed: a run's catalogue, or a catalogue (give one of the two).

    Raises:
        ConfigError: there is no run in the folder.
        CatalogueError: the catalogue cannot be read.
        MissingExtra: a run's catalogue without pyarrow.
    """
    if run is not None:
        return _of_run(Path(run))
    assert catalogue is not None
    read = read_catalogue(catalogue)
    tables = read_table_rows(catalogue)
    table = tables[0].table.path if is_one_table(tables) else None
    return Source(read, _bare(read, tables), None, table, (str(catalogue),), {}, None, _left_out(read.findings))


def decisions_path(*, run: str | Path | None = None, catalogue: str | Path | None = None) -> Path:
    """Where decisions are stored by default: in the run's or catalogue's folder, or beside the table."""
    if run is not None:
        return Path(run) / DECISIONS
    assert catalogue is not None
    path = Path(catalogue)
    return path / DECISIONS if path.is_dir() else path.with_suffix(f".{DECISIONS}")


def _of_run(run: Path) -> Source:
    """Its catalogue, and the table that it was made from, where that is still there."""
    catalogue = next((name for name in HELD_OUT if (run / name).is_file()), None)
    if catalogue is None:
        raise ConfigError(f"no run in {str(run)!r}; name a folder that onesheet train has finished")
    films = read_catalogue(run / catalogue)
    gone = _left_out(Findings.read_csv(run / "findings.csv")) if (run / "findings.csv").is_file() else {}
    recipe = _recipe(run / "config.toml")
    options = {name: recipe[name] for name in _OPTIONS if recipe.get(name)}
    paths = tuple(recipe.get("catalogue", ()))
    try:
        tables = read_table_rows(*paths, **options)
        table = tables[0].table.path if is_one_table(tables) else None
    except CatalogueError:  # it has been moved
        table = None
    return Source(films, (), run, table, paths, options, recipe.get("genre_map"), gone, HELD_OUT[catalogue])


def _recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is damaged ({error}); train again into another folder") from error


def _bare(read: Catalogue, tables: Sequence[TableRows]) -> tuple[Film, ...]:
    """The films without genres whose posters are there, each once, as their first row has them."""
    known = {film.film_id for film in read.films}
    found: dict[str, str] = {}
    for one in read.findings.of("no-genre"):
        if one.poster and one.film_id and one.film_id not in known:
            found.setdefault(one.film_id, one.poster)
    bare: dict[str, Film] = {}
    for rows in tables:
        for row, film in zip(rows.rows, rows.film_ids, strict=True):
            if film in found and film not in bare:
                source = row.source or rows.table.path.name
                bare[film] = Film(film, found[film], (), row.title, row.year, source, row.group)
    return tuple(bare.values())


def _left_out(findings: Findings) -> dict[str, int]:
    """Why films are not in a catalogue, and how many."""
    return Findings(one for one in findings if one.drops or one.flag in _GONE).counts
