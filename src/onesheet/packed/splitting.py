"""Split: which film trains, which validates, which tests."""

from __future__ import annotations

import difflib
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.catalogue_writer import stored_path, write_catalogue
from onesheet.data.cells import id_text, imdb_id, text
from onesheet.data.columns import IDS, POSTERS, SPLIT_HEADINGS, plain
from onesheet.data.findings import Finding, Findings
from onesheet.data.own_splits import SPLIT_NAMES, split_name
from onesheet.data.own_splits import SPLITS as SPLITS
from onesheet.data.tables import MAX_DOCUMENT_BYTES, Table, read_table
from onesheet.errors import CatalogueError
from onesheet.files import parse_json, read_within, whole_file
from onesheet.packed.stratification import stratify
from onesheet.spreadsheets import Writer

WHOLE = "catalogue"  # the one split of a catalogue that is not split


@dataclass(frozen=True, eq=False)
class Split:
    """A catalogue whose films are each in one split.

    Attributes:
        catalogue: the films.
        splits: one of `SPLITS` per film, or `WHOLE` for all, str N.
        findings: what was found wrong with the split.
    """

    catalogue: Catalogue
    splits: NDArray[np.str_]
    findings: Findings = Findings()  # noqa: RUF009 - immutable

    @classmethod
    def whole(cls, catalogue: Catalogue) -> Split:
        """A whole catalogue as the one split `WHOLE`: films to measure or to calibrate on."""
        return cls(catalogue, np.full(len(catalogue), WHOLE))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of one split's films in the catalogue, ascending."""
        return np.flatnonzero(self.splits == split).astype(np.int64)

    def shares(self) -> dict[str, NDArray[np.float64]]:
        """Split -> each genre's share of that split's films, float64 G in [0, 1]; nan in an empty split."""
        labels = self.catalogue.labels
        empty = np.full(labels.shape[1], np.nan)
        rows = {split: self.rows(split) for split in SPLITS}
        return {split: labels[rows[split]].mean(axis=0) if len(rows[split]) else empty for split in SPLITS}

    def write(self, folder: str | Path, *, table: str = "catalogue.parquet") -> None:
        """Write the films as `table` (.parquet, .csv), `split.csv` and `findings.csv` into a folder."""
        folder = Path(folder)
        write_catalogue(self.catalogue, folder / table)
        self.write_csv(folder / "split.csv")
        (self.catalogue.findings + self.findings).write_csv(folder / "findings.csv")

    def write_csv(self, path: str | Path) -> None:
        """Write `split.csv`, whole or not at all: id, split and poster a film; `read_split` reads it."""
        path = Path(path)
        with (
            whole_file(path) as part,
            part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            writer = Writer(file)
            writer.write(("id", "split", "poster"))
            for film, name in zip(self.catalogue.films, self.splits.tolist(), strict=True):
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
        CatalogueError: a share out of range, or a split without films.
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
    if len(items) < len(SPLITS):
        raise CatalogueError(f"a split needs at least {len(SPLITS)} films or groups; got {len(items)}; add films")
    counts = np.add.reduceat(labels[order], first, axis=0, dtype=np.int32)
    split_of_item = stratify(counts, sizes, (1 - validation - test, validation, test))
    splits = np.empty(len(order), dtype="<U10")
    splits[order] = np.array(SPLITS)[np.repeat(split_of_item, sizes)]
    found = Split(catalogue, splits)
    _check_splits(found, "pass more films or larger shares")
    return found


def read_split(catalogue: Catalogue, *paths: str | Path) -> Split:
    """A split given by files: films by id, path or file name, and a column `split` of train, validation, test.

    The column may also be called part, set, fold or subset.

    "val", "valid" and "dev" mean validation; numbers match IMDb ids that lost "tt" and zeros.

    Returns:
        The films that the files name; findings "not-in-split" for the others, and "leak" for films whose
        group is in an earlier split too.

    Raises:
        CatalogueError: no such file, no column `split`, an unknown split, a film in two splits, no film of the
            catalogue, or a split without films.
        MissingExtra: Parquet without pyarrow.
    """
    known = _Names(catalogue.films)
    named: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise CatalogueError(f"no such split file: {str(path)!r}; check its spelling")
        for film_id, split in read_split_rows(path):
            film_id = known.film_id(film_id)
            if film_id and named.setdefault(film_id, split) != split:
                raise CatalogueError(
                    f"film {film_id!r} is both {named[film_id]} and {split} in the split files; keep one"
                )
    if not named:
        shown = ", ".join(repr(str(path)) for path in paths)
        raise CatalogueError(f"the split {shown} names no film of the catalogue; pass the one that belongs to it")
    films = tuple(film for film in catalogue.films if film.film_id in named)
    missing = [
        Finding("not-in-split", 1.0, film.film_id, film.poster, action="left out; name it in the split file")
        for film in catalogue.films
        if film.film_id not in named
    ]
    splits = np.array([named[film.film_id] for film in films], dtype="<U10")
    kept = replace(catalogue, films=films)
    found = Split(kept, splits, Findings(missing + _leaks(kept, splits)))
    _check_splits(found, "name films for it in the split file")
    return found


class _Names:
    """The ways in which a split file may name films."""

    def __init__(self, films: Sequence[Film]) -> None:
        self._films = films
        self._ids = {film.film_id for film in films}

    def film_id(self, written: str) -> str:
        """The id of the film that is meant, "" for none: by id, or else by path, file name or name without suffix."""
        if written in self._ids:
            return written
        if (imdb := imdb_id(written, numbers=True)) in self._ids:
            return imdb
        name = written.replace("\\", "/").rsplit("/", 1)[-1]
        ways = (written, name, name.rsplit(".", 1)[0])
        return next((self._by_poster[way] for way in ways if way in self._by_poster), "")

    @cached_property
    def _by_poster(self) -> Mapping[str, str]:
        """Path, file name and file name without suffix -> film id; what several films share is left out."""
        found: dict[str, str] = {}
        for film in self._films:
            path = film.poster.replace("\\", "/")
            name = path.rsplit("/", 1)[-1]
            for way in {path, name, name.rsplit(".", 1)[0]}:
                found[way] = film.film_id if found.get(way, film.film_id) == film.film_id else ""
        return found


def has_own_split(catalogue: Catalogue) -> bool:
    """Whether the films come with a split: some to train on, and others."""
    found = {film.split for film in catalogue.films} - {""}
    return "train" in found and len(found) > 1


def own_split(catalogue: Catalogue, *, seed: int, validation: float = 0.15, test: float = 0.15) -> Split:
    """The split that the films come with; a validation or test set that it lacks is taken from the training set.

    Args:
        catalogue: as `has_own_split` wants it.
        seed: any whole number.
        validation: share of the training films, in (0, 1).
        test: share of the training films, in (0, 1).

    Returns:
        The films that are in a split; findings "not-in-split" for the others, "leak" as in `read_split`.

    Raises:
        CatalogueError: too few films for a split.
    """
    films = tuple(film for film in catalogue.films if film.split)
    splits = np.array([film.split for film in films], dtype="<U10")
    missing = [name for name in SPLITS[1:] if not (splits == name).any()]
    if missing:
        rows = np.flatnonzero(splits == "train")
        train = replace(catalogue, films=tuple(films[row] for row in rows))
        new = split(train, seed=seed, validation=validation, test=test).splits
        splits[rows] = np.where(np.isin(new, missing), new, "train")
    left = [
        Finding("not-in-split", 1.0, film.film_id, film.poster, action="left out; --resplit takes it")
        for film in catalogue.films
        if not film.split
    ]
    kept = replace(catalogue, films=films)
    found = Split(kept, splits, Findings(left + _leaks(kept, splits)))
    _check_splits(found, "add films, or pass --resplit")
    return found


def _shuffled(seed: int, kind: str, name: str) -> bytes:
    """A film's place in a shuffle that depends on no library's random numbers and on no order of films."""
    return hashlib.blake2b(f"{seed}\x1f{kind}\x1f{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def read_split_rows(path: Path) -> list[tuple[str, str]]:
    """The rows of a split file: id as written, and split. MM-IMDb's `split.json` (split -> ids) is one too.

    Raises:
        CatalogueError: no column `split`, an unreadable row or an unknown split.
    """
    table = _split_lists(path) or read_table(path)
    headings = [plain(name) for name in table.columns]
    column = next((headings.index(name) for name in SPLIT_HEADINGS if name in headings), None)
    if column is None or len(headings) < 2:
        raise CatalogueError(f"{str(path)!r} has no column 'split'; seen: {', '.join(table.columns)}; rename one")
    if table.bad:
        raise CatalogueError(f"the split {str(path)!r} has an unreadable row, {table.bad[0]}; repair it")
    film = next((headings.index(name) for name in (*IDS, *POSTERS) if name in headings), int(column == 0))
    named = []
    for row in table.rows:
        written = text(row[column]).lower()
        if written and not split_name(written):
            near = difflib.get_close_matches(written, SPLIT_NAMES, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise CatalogueError(f"unknown split {written!r} in {str(path)!r}; {hint}use {', '.join(SPLITS)}")
        if written:
            named.append((id_text(row[film]), split_name(written)))
    return named


def _split_lists(path: Path) -> Table | None:
    """A JSON object of split -> ids as a table; None where the file is something else."""
    try:
        found = parse_json(read_within(path, MAX_DOCUMENT_BYTES)) if path.suffix.lower() == ".json" else None
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(isinstance(ids, list) for ids in found.values()):
        return None
    return Table(path, ("id", "split"), [(film_id, split) for split, ids in found.items() for film_id in ids])


def _leaks(catalogue: Catalogue, splits: Sequence[str] | NDArray[np.str_]) -> list[Finding]:
    """Films whose group is in an earlier split too."""
    groups: dict[str, set[str]] = defaultdict(set)
    for film, split in zip(catalogue.films, splits, strict=True):
        groups[film.group].add(str(split))
    return [
        Finding(
            flag="leak",
            score=1.0,
            film_id=film.film_id,
            poster=film.poster,
            detail=f"nearly the same poster in {' and '.join(p for p in SPLITS if p in groups[film.group])}",
            action="kept as listed; metrics on this split are too good by it",
            group=film.group,
        )
        for film, split in zip(catalogue.films, splits, strict=True)
        if film.group and split != next(p for p in SPLITS if p in groups[film.group])
    ]


def _check_splits(found: Split, cure: str) -> None:
    for split in SPLITS:
        if not len(found.rows(split)):
            raise CatalogueError(f"the split has no film for {split}; {cure}")
