"""Split: which film trains, which validates, which tests."""

from __future__ import annotations

import difflib
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.data.catalogue import Catalogue
from onesheet.data.catalogue_writer import stored_path
from onesheet.data.cells import imdb_id, text
from onesheet.data.columns import plain
from onesheet.data.findings import Finding, Findings
from onesheet.data.tables import MAX_DOCUMENT_BYTES, Table, read_table
from onesheet.errors import CatalogueError
from onesheet.files import parse_json, read_within, whole_file
from onesheet.packed.stratification import stratify
from onesheet.spreadsheets import Writer

PARTS = ("train", "validation", "test")
WHOLE = "catalogue"  # the one part of a catalogue that is not split
_SPELLINGS = {
    **{part: part for part in PARTS},
    **{
        "training": "train",
        "val": "validation",
        "valid": "validation",
        "dev": "validation",
        "testing": "test",
    },
}


@dataclass(frozen=True, eq=False)
class Split:
    """A catalogue whose films are each in one part.

    Attributes:
        catalogue: the films.
        parts: one of `PARTS` per film, or `WHOLE` for all, str N.
        findings: what was found wrong with the split.
    """

    catalogue: Catalogue
    parts: NDArray[np.str_]
    findings: Findings = Findings()  # noqa: RUF009 - immutable

    @classmethod
    def whole(cls, catalogue: Catalogue) -> Split:
        """A whole catalogue as the one part `WHOLE`: films to measure or to calibrate on."""
        return cls(catalogue, np.full(len(catalogue), WHOLE))

    def rows(self, part: str) -> NDArray[np.int64]:
        """Positions of one part's films in the catalogue, ascending."""
        return np.flatnonzero(self.parts == part).astype(np.int64)

    def shares(self) -> dict[str, NDArray[np.float64]]:
        """Part -> each genre's share of that part's films, float64 G in [0, 1]; nan in an empty part."""
        labels = self.catalogue.labels
        empty = np.full(labels.shape[1], np.nan)
        rows = {part: self.rows(part) for part in PARTS}
        return {part: labels[rows[part]].mean(axis=0) if len(rows[part]) else empty for part in PARTS}

    def write_csv(self, path: str | Path) -> None:
        """Write `split.csv`, whole or not at all: id, split and poster a film; `read_split` reads it."""
        path = Path(path)
        with (
            whole_file(path) as part,
            part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            writer = Writer(file)
            writer.write(("id", "split", "poster"))
            for film, name in zip(self.catalogue.films, self.parts.tolist(), strict=True):
                writer.write((film.film_id, name, stored_path(film.poster, path.parent)))


def split(catalogue: Catalogue, *, seed: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """Split by iterative stratification; films of one group (near-duplicate posters) stay together.

    The same films, groups and seed give the same split on every machine, in whatever order the films come.

    Args:
        catalogue: the films.
        seed: any whole number.
        validation: share of the films, in (0, 1).
        test: share of the films, in (0, 1); `validation` and `test` leave something to train on.

    Raises:
        CatalogueError: a share out of range, or a part without films.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 < share < 1:
            raise CatalogueError(f"the {name!r} share of split must be in (0, 1); got {share}")
    if validation + test >= 1:
        raise CatalogueError(
            f"'validation' and 'test' must leave films to train on; got {validation} + {test}; lower one"
        )
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, film in enumerate(catalogue.films):
        groups["group" if film.group else "film", film.group or film.film_id].append(row)
    # Large groups first, while there is room to even them out; the rest as only the seed decides.
    items = sorted(groups, key=lambda key: (-len(groups[key]), _shuffled(seed, *key)))
    labels = catalogue.labels
    first = np.cumsum([0] + [len(groups[item]) for item in items[:-1]])
    order = np.array([row for item in items for row in groups[item]], dtype=np.int64)
    sizes = np.array([len(groups[item]) for item in items], dtype=np.int64)
    if len(items) < len(PARTS):
        raise CatalogueError(f"a split needs at least {len(PARTS)} films or groups; got {len(items)}; add films")
    counts = np.add.reduceat(labels[order], first, axis=0, dtype=np.int32)
    part_of_item = stratify(counts, sizes, (1 - validation - test, validation, test))
    parts = np.empty(len(order), dtype="<U10")
    parts[order] = np.array(PARTS)[np.repeat(part_of_item, sizes)]
    found = Split(catalogue, parts)
    _check_parts(found, "give more films or larger shares")
    return found


def read_split(catalogue: Catalogue, *paths: str | Path) -> Split:
    """A split given by files: ids in the first column, a column `split` of train, validation, test.

    "val", "valid" and "dev" mean validation; numbers match IMDb ids that lost "tt" and zeros.

    Returns:
        The films that the files name; findings "not-in-split" for the others, and "leak" for films whose
        group stands in an earlier part too.

    Raises:
        CatalogueError: no such file, no column `split`, an unknown part, a film in two parts, no film of the
            catalogue, or a part without films.
        MissingExtra: Parquet without pyarrow.
    """
    known = {film.film_id for film in catalogue.films}
    named: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise CatalogueError(f"no such split file: {str(path)!r}; check its spelling")
        for film_id, part in read_parts(path):
            film_id = film_id if film_id in known else imdb_id(film_id, numbers=True)
            if film_id in known and named.setdefault(film_id, part) != part:
                raise CatalogueError(f"film {film_id!r} is both {named[film_id]} and {part} in the split; keep one")
    if not named:
        shown = ", ".join(repr(str(path)) for path in paths)
        raise CatalogueError(f"the split {shown} names no film of the catalogue; give the one that belongs to it")
    films = tuple(film for film in catalogue.films if film.film_id in named)
    missing = [
        Finding("not-in-split", 1.0, film.film_id, film.poster, action="left out; name it in the split file")
        for film in catalogue.films
        if film.film_id not in named
    ]
    parts = np.array([named[film.film_id] for film in films], dtype="<U10")
    kept = Catalogue(films, catalogue.genres, catalogue.findings)
    found = Split(kept, parts, Findings(missing + _leaks(kept, parts)))
    _check_parts(found, "name films for it in the split file")
    return found


def _shuffled(seed: int, kind: str, name: str) -> bytes:
    """A film's place in a shuffle that depends on no library's random numbers and on no order of films."""
    return hashlib.blake2b(f"{seed}\x1f{kind}\x1f{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def read_parts(path: Path) -> list[tuple[str, str]]:
    """The rows of a split file: id as written, and part. MM-IMDb's `split.json` (part -> ids) is one too.

    Raises:
        CatalogueError: no column `split`, an unreadable row or an unknown part.
    """
    table = _part_lists(path) or read_table(path)
    headings = [plain(name) for name in table.columns]
    if "split" not in headings:
        raise CatalogueError(f"{str(path)!r} has no column 'split'; seen: {', '.join(table.columns)}; rename one")
    if table.bad:
        raise CatalogueError(f"the split {str(path)!r} has an unreadable row, {table.bad[0]}; repair it")
    column = headings.index("split")
    named = []
    for row in table.rows:
        written = text(row[column]).lower()
        if written and written not in _SPELLINGS:
            near = difflib.get_close_matches(written, _SPELLINGS, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise CatalogueError(f"unknown part {written!r} in {str(path)!r}; {hint}use {', '.join(PARTS)}")
        if written:
            named.append((text(row[0]), _SPELLINGS[written]))
    return named


def _part_lists(path: Path) -> Table | None:
    """A JSON object of part -> ids as a table; None where the file is something else."""
    try:
        found = parse_json(read_within(path, MAX_DOCUMENT_BYTES)) if path.suffix.lower() == ".json" else None
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(isinstance(ids, list) for ids in found.values()):
        return None
    return Table(path, ("id", "split"), [(film_id, part) for part, ids in found.items() for film_id in ids])


def _leaks(catalogue: Catalogue, parts: Sequence[str] | NDArray[np.str_]) -> list[Finding]:
    """Films whose group also stands in an earlier part."""
    groups: dict[str, set[str]] = defaultdict(set)
    for film, part in zip(catalogue.films, parts, strict=True):
        groups[film.group].add(str(part))
    return [
        Finding(
            flag="leak",
            score=1.0,
            film_id=film.film_id,
            poster=film.poster,
            detail=f"nearly the same poster in {' and '.join(p for p in PARTS if p in groups[film.group])}",
            action="kept as given; figures of this part are too good by it",
            group=film.group,
        )
        for film, part in zip(catalogue.films, parts, strict=True)
        if film.group and part != next(p for p in PARTS if p in groups[film.group])
    ]


def _check_parts(found: Split, cure: str) -> None:
    for part in PARTS:
        if not len(found.rows(part)):
            raise CatalogueError(f"the {part!r} part of the split has no film; {cure}")
