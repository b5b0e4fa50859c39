"""What was decided, as a table that `train` reads: the reviewed table itself, or a new one of its films."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from onesheet.apps.review.decision_store import Decision
from onesheet.apps.review.relabelling import Change, relabelled
from onesheet.apps.review.review_source import Source
from onesheet.data import Catalogue, Film
from onesheet.data.catalogue_writer import catalogue_csv
from onesheet.data.genre_map import read_genre_map
from onesheet.data.reading import read_table_rows
from onesheet.genres import GenreSet


def export(source: Source, decisions: Mapping[str, Decision]) -> bytes:
    """The table's own bytes with other genre cells, or where no single table has all films, their catalogue as CSV.

    Args:
        source: what was reviewed.
        decisions: film id -> the current decision.

    Raises:
        CatalogueError: the table is not as it was any more.
    """
    if source.table is None:
        return catalogue_csv(corrected(source.catalogue, source.bare, decisions))
    before = {film.film_id: film.genres for film in (*source.catalogue.films, *source.bare)}
    changes = {film: Change(before[film], genres) for film, genres in _decided(decisions).items() if film in before}
    (found,) = read_table_rows(*source.paths, **source.options)
    return relabelled(found, changes, read_genre_map(source.genre_map or {}))


def about_export(source: Source) -> str:
    """What `export` gives, and what is not in it, for a person."""
    if source.table is not None:
        name = source.table.name
        return (
            f"The corrected catalogue is {name} with other genres for the films decided, and every other letter as it "
            f"is. Keep it beside {name}: its posters are looked for from there."
        )
    note = f"The corrected catalogue is a new table of the {len(source.catalogue):,} films read."
    if source.left_out:
        reasons = ", ".join(f"{count:,} {flag}" for flag, count in source.left_out.items())
        note += f" Not in it: {reasons}{' (until they are given genres)' if source.bare else ''}."
    if source.run:
        note += " To have the run's own CSV or TSV file corrected, export to .csv where the run was started."
    return note


def corrected(catalogue: Catalogue, bare: Iterable[Film], decisions: Mapping[str, Decision]) -> Catalogue:
    """A catalogue with the genres that were decided; every other film is left as it is.

    Args:
        catalogue: films with genres.
        bare: films without; those that have been given some join the catalogue.
        decisions: film id -> the current decision.
    """
    decided = _decided(decisions)
    films = [replace(film, genres=decided.get(film.film_id, film.genres)) for film in (*catalogue.films, *bare)]
    kept = tuple(film for film in films if film.genres)
    return Catalogue(kept, GenreSet(sorted({name for film in kept for name in film.genres})), catalogue.findings)


def _decided(decisions: Mapping[str, Decision]) -> dict[str, tuple[str, ...]]:
    """Film id -> genres decided."""
    return {film: decision.genres for film, decision in decisions.items() if decision.action != "skip"}
