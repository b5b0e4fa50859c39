"""read_catalogue: any poster collection with genres to one Catalogue, with findings for what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.cells import imdb_id, text
from onesheet.data.columns import Columns, Row, check_columns, find_columns, read_rows
from onesheet.data.findings import Finding, Findings
from onesheet.data.genre_map import read_genre_map, settle_genres
from onesheet.data.merging import join_rows, merge
from onesheet.data.poster_folders import Disk, PosterFolders, folders_beside
from onesheet.data.readers.layouts import read_source
from onesheet.data.readers.source import Source
from onesheet.data.tables import Table
from onesheet.errors import CatalogueError
from onesheet.genres import GenreSet


@dataclass(frozen=True)
class _Part:
    """One table, in the terms of a catalogue."""

    source: Source
    table: Table
    rows: list[Row]
    places: PosterFolders
    columns: Columns
    guessed: str  # the folder that was tried only because the table lies there


def read_catalogue(
    *paths: str | Path,
    posters: str | Path | Sequence[str | Path] | None = None,
    poster_column: str | None = None,
    id_column: str | None = None,
    genre_column: str | None = None,
    genre_map: str | Path | Mapping[str, str] | None = None,
    min_films: int = 1,
) -> Catalogue:
    """Read one or several poster collections into one catalogue.

    Recognised: any CSV, TSV, JSON-lines or Parquet table with a column of poster paths or ids and genres as
    delimited text, as a list or as one-hot columns; a folder that holds one; the layout of Chu & Guo 2017;
    Kaggle's MovieGenre.csv; MovieLens; IMDb's title.basics.tsv.gz; MM-IMDb, folder or HDF5; Parquet and WebDataset
    shards with the posters inside; "hf-dataset:" and a name or folder; a folder per genre. The files are only read;
    posters that are not files are unpacked once (`unpacking.py`).

    Rows of the same film are made one (first poster and title kept, genres united); several catalogues are
    merged by IMDb id, then by identical poster file, and find IMDb-named posters in each other's folders.

    Args:
        paths: tables or folders.
        posters: folders where posters lie; by default beside the table and in images/, posters/ and the like
            there, or anywhere in a folder given as path.
        poster_column: heading of the poster column; found by itself when it has a usual name.
        id_column: heading of the id column, likewise.
        genre_column: heading of the genre column, likewise.
        genre_map: names to rename or (to "") to drop: a dict or a CSV, TSV, JSON or TOML file.
        min_films: genres with fewer films are left out (`Catalogue.drop_rare`).

    Returns:
        The catalogue; its findings name every row, poster and genre left out or changed.

    Raises:
        CatalogueError: no such path, no genre column, no poster, one genre only, unknown column and the like.
        MissingExtra: Parquet without pyarrow, HDF5 without h5py, "hf-dataset:" without datasets.
    """
    if not paths:
        raise CatalogueError("no catalogue given; give a table or a folder")
    if min_films < 1:
        raise CatalogueError(f"the 'min_films' option must be 1 or more; got {min_films}")
    mapping = {} if genre_map is None else read_genre_map(genre_map)
    told = {"poster_column": poster_column, "id_column": id_column, "genre_column": genre_column}
    sources, parts = _parts(paths, posters, told)
    films, findings = _films(sources, parts, mapping)
    merged, merge_findings = merge(films)
    names = {genre for film in merged for genre in film.genres}
    catalogue = Catalogue(tuple(merged), GenreSet(sorted(names)), Findings([*findings, *merge_findings]))
    _check_genres(catalogue, paths, "", cure="see --genre-column")
    if min_films > 1:
        catalogue = catalogue.drop_rare(min_films)
        _check_genres(catalogue, paths, f" that {min_films} films or more have", cure="lower --min-films")
    return catalogue


@dataclass(frozen=True)
class TableRows:
    """A table's rows, of which `read_catalogue` makes films, each one's film id ("" = none); `table.rows` is empty."""

    table: Table
    columns: Columns
    rows: list[Row]
    film_ids: list[str]


def read_table_rows(
    *paths: str | Path,
    posters: str | Path | Sequence[str | Path] | None = None,
    poster_column: str | None = None,
    id_column: str | None = None,
    genre_column: str | None = None,
) -> list[TableRows]:
    """Which row is which film, of every table that `read_catalogue` with the same options reads.

    Raises:
        CatalogueError: as `read_catalogue` does.
    """
    told = {"poster_column": poster_column, "id_column": id_column, "genre_column": genre_column}
    _, parts = _parts(paths, posters, told)
    found = [(part, [_find_poster(row, part, parts) for row in part.rows]) for part in parts]
    return [TableRows(part.table, part.columns, part.rows, _ids(part.rows, at)) for part, at in found]


def _parts(
    paths: Sequence[str | Path], posters: str | Path | Sequence[str | Path] | None, told: Mapping[str, str | None]
) -> tuple[list[Source], list[_Part]]:
    """The sources, and their tables."""
    disk = Disk()
    folders = _told_folders(posters, disk)
    sources = [read_source(Path(path), disk, folders) for path in paths]
    check_columns([table for source in sources for table in source.tables], tuple(told.values()))
    return sources, [_part(source, table, disk, folders, told) for source in sources for table in source.tables]


def _told_folders(posters: str | Path | Sequence[str | Path] | None, disk: Disk) -> list[str] | None:
    if posters is None:
        return None
    told = [Path(p) for p in ([posters] if isinstance(posters, (str, Path)) else posters)]
    for folder in told:
        if not folder.is_dir():
            raise CatalogueError(f"no such folder of posters: {str(folder)!r}; check --posters")
    return [below for folder in told for below in disk.walk(str(folder))]


def _part(source: Source, table: Table, disk: Disk, folders: list[str] | None, told: Mapping[str, str | None]) -> _Part:
    columns = find_columns(table, **told)
    beside = table.path if table.path.is_dir() else table.path.parent
    guessed = ""
    if folders is None:
        folders = list(folders_beside(disk, beside))
        if source.folder:
            folders += disk.walk(str(source.folder))
        else:
            guessed = str(beside)
    places = PosterFolders(disk, beside, folders)
    rows = list(read_rows(table, columns))
    table.rows.clear()  # a large table need not be in memory twice
    return _Part(source, table, rows, places, columns, guessed)


def _films(
    sources: Sequence[Source], parts: Sequence[_Part], mapping: Mapping[str, str]
) -> tuple[list[list[Film]], list[Finding]]:
    """Films of each source that have a poster and a genre, and findings about all else."""
    settled, findings = settle_genres([row.genres for part in parts for row in part.rows], mapping)
    genres = iter(settled)
    films: dict[int, list[Film]] = {id(source): [] for source in sources}
    used: set[str] = set()
    any_poster = False
    for part in parts:
        findings += [_bad_row(f"{part.table.path.name}, {problem}") for problem in part.table.bad]
        found = [_find_poster(row, part, parts) for row in part.rows]
        any_poster = any_poster or any(found)
        used.update(filter(None, found))
        ids = _ids(part.rows, found)
        for row, poster, film_id in zip(part.rows, found, ids, strict=True):
            names = next(genres)
            wrong = _wrong(row, film_id, poster, names)
            findings += wrong
            if not wrong and poster:
                source = row.source or part.source.name
                films[id(part.source)].append(Film(film_id, poster, names, row.title, row.year, source, row.group))
    if not any_poster:
        raise CatalogueError(_no_poster(parts))
    joined = []
    for read in sources:
        one_a_film, repeats = join_rows(films[id(read)], say=read.one_row_a_film)
        joined.append(one_a_film)
        findings += repeats
    return joined, findings + _no_row(parts, used)


def _no_row(parts: Sequence[_Part], used: set[str]) -> list[Finding]:
    """Posters that no row names; pictures beside a table whose posters lie elsewhere are none."""
    real: dict[str, str] = {}

    def place(poster: str) -> tuple[str, str]:
        """The same for one file, whichever way its folder was written."""
        folder, name = os.path.split(poster)
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        return real[folder], name

    left = [(part, image) for part in parts for image in part.places.images if image not in used]
    names = {os.path.basename(image) for _, image in left}  # noqa: PTH119 - speed
    known, used_folders = set(), set()
    for poster in used:
        there = place(poster)
        used_folders.add(there[0])
        if there[1] in names:  # the same file may be listed by another way to its folder
            known.add(there)
    unnamed = {
        place(image): image
        for part, image in left
        if place(image) not in known and (str(Path(image).parent) != part.guessed or place(image)[0] in used_folders)
    }
    action = "left out; add a row with its genres"
    return [Finding("no-row", 1.0, poster=image, action=action) for image in unnamed.values()]


def _find_poster(row: Row, part: _Part, parts: Sequence[_Part]) -> str | None:
    found = part.places.by_path(row.poster)
    if found:
        return found
    imdb = imdb_id(row.film_id)
    numbers = (str(int(imdb[2:])), imdb[2:]) if imdb else ()
    names = (row.poster, *row.ids, imdb, *(numbers if part.source.imdb_numbers else ()))
    found = part.places.by_id(filter(None, names))
    if found or not imdb:
        return found
    others = (other for other in parts if other is not part)
    found_there = (other.places.by_id((imdb, *numbers) if any(other.columns.imdb) else (imdb,)) for other in others)
    return next(filter(None, found_there), None)


def _ids(rows: Sequence[Row], found: Sequence[str | None]) -> list[str]:
    """Film ids; rows without one are known by their poster's name, or by its path where names repeat."""
    bare: dict[str, set[str]] = {}
    for row, poster in zip(rows, found, strict=True):
        if not row.film_id and poster:
            bare.setdefault(text(Path(poster).stem), set()).add(poster)
    ids = []
    for row, poster in zip(rows, found, strict=True):
        stem = text(Path(poster).stem) if poster else ""
        known = imdb_id(stem) or stem
        if len(bare.get(stem, ())) > 1:
            known = text(row.poster)
        ids.append(row.film_id or known)
    return ids


def _wrong(row: Row, film_id: str, poster: str | None, genres: Iterable[str]) -> list[Finding]:
    """Why a row gives no film; empty when it gives one."""
    if row.problem or not (film_id or row.poster):
        return [replace(_bad_row(f"{row.where}: {row.problem or 'no id and no poster'}"), film_id=film_id)]
    wrong = []
    if not poster:
        named = row.poster or (row.ids[0] if row.ids else "")
        wrong.append(
            Finding(
                flag="no-poster",
                score=1.0,
                film_id=film_id,
                detail=f"{row.where}: no poster {named!r}",
                action="left out; add the poster or say where it lies with --posters",
            )
        )
    if not genres:
        wrong.append(
            Finding(
                flag="no-genre",
                score=1.0,
                film_id=film_id,
                poster=poster or "",
                detail=f"{row.where}: genres {'|'.join(row.genres)!r}",
                action="left out; add its genres to the table",
            )
        )
    return wrong


def _bad_row(detail: str) -> Finding:
    return Finding("bad-row", 1.0, detail=detail, action="left out; repair the row")


def _no_poster(parts: Sequence[_Part]) -> str:
    looked = list(dict.fromkeys(folder for part in parts for folder in part.places.folders))
    shown = ", ".join(repr(folder) for folder in looked[:5]) + (" and below" if len(looked) > 5 else "")
    return f"no poster found for any row; looked in {shown}; say where they lie with --posters"


def _check_genres(catalogue: Catalogue, paths: Sequence[str | Path], rule: str, *, cure: str) -> None:
    names = ", ".join(repr(str(path)) for path in paths)
    if not len(catalogue):
        counts = ", ".join(f"{count} {flag}" for flag, count in catalogue.findings.counts.items())
        raise CatalogueError(f"no film in {names} has a poster and a genre{rule} ({counts}); {cure}")
    if len(catalogue.genres) < 2:
        only = catalogue.genres.names[0]
        raise CatalogueError(f"one genre only{rule} in {names}: {only!r}; bring films of other genres, or {cure}")
