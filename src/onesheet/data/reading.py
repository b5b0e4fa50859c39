"""read_catalogue: any poster collection with genres to one Catalogue, with findings for what is left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.cells import imdb_id, text
from onesheet.data.columns import Columns, Row, check_columns, find_columns, read_rows
from onesheet.data.findings import Finding, Findings
from onesheet.data.genre_cells import GenreCells
from onesheet.data.genre_map import read_genre_map, settle_genres
from onesheet.data.headless_tables import read_genre_names, with_headings
from onesheet.data.merging import absent_genres, join_rows, merge
from onesheet.data.odd_genres import odd_genres
from onesheet.data.poster_folders import Disk, PosterFolders, folders_beside
from onesheet.data.readers.layouts import read_source
from onesheet.data.readers.source import Source
from onesheet.data.source_summary import SourceSummary
from onesheet.data.tables import Table
from onesheet.errors import CatalogueError
from onesheet.genres import GenreSet
from onesheet.zipped import zip_of


@dataclass(frozen=True)
class _Part:
    """One table, in the terms of a catalogue."""

    source: Source
    table: Table
    rows: list[Row]
    places: PosterFolders
    columns: Columns
    cells: GenreCells
    guessed: str  # the folder that was tried only because the table is there


def read_catalogue(
    *paths: str | Path,
    posters: str | Path | Sequence[str | Path] | None = None,
    poster_column: str | None = None,
    id_column: str | None = None,
    genre_column: str | None = None,
    genre_delimiter: str | None = None,
    genre_map: str | Path | Mapping[str, str] | None = None,
    genres: str | Path | None = None,
    min_films: int = 1,
) -> Catalogue:
    """Read one or several poster collections into one catalogue.

    Recognised: any CSV, TSV, JSON, Parquet or Excel table with a column of poster paths or ids and genres as
    delimited text, as a list or as one-hot columns; a folder that holds one; the layout of Chu & Guo 2017;
    Kaggle's MovieGenre.csv; MovieLens; IMDb's title.basics.tsv.gz; MM-IMDb, folder or HDF5; Parquet and WebDataset
    shards with the posters inside; "hf-dataset:" and a name or folder; a folder per genre. The files are only read;
    posters that are not files are unpacked once (`unpacking.py`).

    Rows of the same film are made one (first poster and title kept, genres united); several catalogues are
    merged by IMDb id, then by identical poster file, and find IMDb-named posters in each other's folders.

    Args:
        paths: tables or folders.
        posters: folders or zip files with the posters; by default beside the table, in images/, posters/ and the like
            there and in zip files there, or anywhere in a folder given as path.
        poster_column: heading of the poster column; found by itself when it has a usual name.
        id_column: heading of the id column, likewise.
        genre_column: heading of the genre column, likewise; several, separated by commas, are united.
        genre_delimiter: what separates genres in a cell; found out for each cell by default.
        genre_map: names to rename or (to "") to drop: a dict or a CSV, TSV, JSON or TOML file.
        genres: file of the genres' names, for tables of 0 and 1 without headings.
        min_films: genres with fewer films are left out (`Catalogue.drop_rare`).

    Returns:
        The catalogue; its findings name every row, poster and genre left out or changed, its sources say how each
        table was understood.

    Raises:
        CatalogueError: no such path, no genre column, no poster, one genre only, unknown column and the like.
        MissingExtra: Parquet without pyarrow, Excel without python-calamine, HDF5 without h5py,
            "hf-dataset:" without datasets.
    """
    if not paths:
        raise CatalogueError("no catalogue given; give a table or a folder")
    if min_films < 1:
        raise CatalogueError(f"the 'min_films' option must be 1 or more; got {min_films}")
    mapping = {} if genre_map is None else read_genre_map(genre_map)
    names = None if genres is None else read_genre_names(genres)
    chosen = {"poster_column": poster_column, "id_column": id_column, "genre_column": genre_column}
    sources, parts = _parts(paths, posters, chosen, genre_delimiter, names)
    films, findings = _films(sources, parts, mapping, chosen["poster_column"])
    absent = absent_genres(films)
    films = [
        [replace(film, unknown=film.unknown | lacking) for film in source] if lacking else source
        for source, lacking in zip(films, absent, strict=True)
    ]
    merged, merge_findings = merge(films)
    found = GenreSet(sorted({genre for film in merged for genre in film.genres}))
    merged = [replace(film, unknown=film.unknown & {*found.names}) if film.unknown else film for film in merged]
    lacking_in = {id(source): sorted(lacking) for source, lacking in zip(sources, absent, strict=True)}
    summaries = tuple(_summary(part, lacking_in[id(part.source)]) for part in parts)
    catalogue = Catalogue(tuple(merged), found, Findings([*findings, *merge_findings]), summaries)
    _check_genres(catalogue, paths, "", cure="see --genre-column")
    catalogue = replace(catalogue, findings=catalogue.findings + Findings(odd_genres(catalogue)))
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
    genre_delimiter: str | None = None,
    genres: str | Path | None = None,
) -> list[TableRows]:
    """Which row is which film, of every table that `read_catalogue` with the same options reads.

    Raises:
        CatalogueError: as `read_catalogue` does.
    """
    chosen = {"poster_column": poster_column, "id_column": id_column, "genre_column": genre_column}
    names = None if genres is None else read_genre_names(genres)
    _, parts = _parts(paths, posters, chosen, genre_delimiter, names)
    found = [(part, [_one(_find_posters(row, part, parts)) for row in part.rows]) for part in parts]
    return [TableRows(part.table, part.columns, part.rows, _ids(part.rows, at)) for part, at in found]


def _parts(
    paths: Sequence[str | Path],
    posters: str | Path | Sequence[str | Path] | None,
    chosen: Mapping[str, str | None],
    delimiter: str | None,
    genres: Sequence[str] | None,
) -> tuple[list[Source], list[_Part]]:
    """The sources, and their tables."""
    disk = Disk()
    folders = _listed_folders(posters, disk)
    sources = [read_source(Path(path), disk, folders) for path in paths]
    if genres is not None:
        sources = [replace(each, tables=tuple(with_headings(t, genres) for t in each.tables)) for each in sources]
    tables = [table for source in sources for table in source.tables]
    check_columns(tables, tuple(chosen.values()))
    return sources, [
        _part(source, table, disk, folders, chosen, delimiter) for source in sources for table in source.tables
    ]


def _listed_folders(posters: str | Path | Sequence[str | Path] | None, disk: Disk) -> list[str] | None:
    if posters is None:
        return None
    chosen = [Path(p) for p in ([posters] if isinstance(posters, (str, Path)) else posters)]
    for folder in chosen:
        if not folder.is_dir() and zip_of(folder) != folder:
            raise CatalogueError(f"no such folder or zip file of posters: {str(folder)!r}; check --posters")
    return [below for folder in chosen for below in disk.walk(str(folder))]


def _part(
    source: Source,
    table: Table,
    disk: Disk,
    folders: list[str] | None,
    chosen: Mapping[str, str | None],
    delimiter: str | None,
) -> _Part:
    columns = find_columns(table, **chosen)
    cells = GenreCells((row[i] for row in table.rows for i in columns.genres), delimiter=delimiter)
    beside = table.path if table.path.is_dir() else table.path.parent
    guessed = ""
    if folders is None:
        folders = list(folders_beside(disk, beside))
        if source.folder:
            below = list(disk.walk(str(source.folder)))
            folders += [*below, *(inside for place in below for inside in disk.in_zips(place))]
        else:
            guessed = str(beside)
    places = PosterFolders(disk, beside, folders)
    rows = list(read_rows(table, columns, cells))
    table.rows.clear()  # a large table need not be in memory twice
    return _Part(source, table, rows, places, columns, cells, guessed)


def _films(
    sources: Sequence[Source], parts: Sequence[_Part], mapping: Mapping[str, str], poster_column: str | None
) -> tuple[list[list[Film]], list[Finding]]:
    """Films of each source that have a poster and a genre, and findings about all else."""
    rows = [row for part in parts for row in part.rows]
    settled, findings = settle_genres([*(row.genres for row in rows), *(row.unknown for row in rows)], mapping)
    genres, unknown = iter(settled[: len(rows)]), iter(settled[len(rows) :])
    films: dict[int, list[Film]] = {id(source): [] for source in sources}
    used: set[str] = set()
    any_poster = False
    for part in parts:
        findings += _about_table(part)
        found = [_find_posters(row, part, parts) for row in part.rows]
        any_poster = any_poster or any(found)
        used.update(path for paths in found for path in paths)
        ids = _ids(part.rows, list(map(_one, found)))
        for row, paths, film_id in zip(part.rows, found, ids, strict=True):
            names, blank = next(genres), next(unknown)
            wrong = _wrong(row, film_id, paths, names)
            findings += wrong
            if row.odd:
                findings.append(_odd_cell(row, film_id))
            if not wrong:
                film = Film(film_id, paths[0], names, row.title, row.year, row.source or part.source.name, row.group)
                if row.split or blank:
                    film = replace(film, split=row.split, unknown=frozenset(blank).difference(names))
                films[id(part.source)].append(film)
        if poster_column and part.columns.poster is not None and not any(map(part.places.has, _posters(part))):
            raise CatalogueError(_no_poster_in_column(part, poster_column))
    if not any_poster:
        raise CatalogueError(_no_poster(parts))
    joined = []
    for read in sources:
        action = "left out; what is predicted for it cannot be measured"
        findings += [Finding("unlabelled", 1.0, detail=why, action=action) for why in read.unlabelled]
        one_a_film, repeats = join_rows(films[id(read)], say=read.one_row_a_film)
        joined.append(one_a_film)
        findings += repeats
    return joined, findings + _no_row(parts, used)


def _no_row(parts: Sequence[_Part], used: set[str]) -> list[Finding]:
    """Posters that no row names; pictures beside a table whose posters are elsewhere do not count."""
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


def _find_posters(row: Row, part: _Part, parts: Sequence[_Part]) -> list[str]:
    """The posters that a row may mean: none, the one, or several that fit as well."""
    if found := part.places.by_path(row.poster):
        return found
    imdb = imdb_id(row.film_id)
    numbers = [str(int(imdb[2:])), imdb[2:]] if imdb else []
    own = [*numbers, f"tt{numbers[0]}"] if imdb and part.source.imdb_numbers else []
    if several := part.places.by_end(row.poster) if row.poster else []:
        return several
    several = part.places.by_id(filter(None, (row.poster, *row.ids, imdb, *own)))
    if several or not imdb:
        return several[:1]
    if named := part.places.by_film(imdb):
        return named
    others = (other for other in parts if other is not part)
    found_there = (other.places.by_id([imdb, *numbers] if any(other.columns.imdb) else [imdb]) for other in others)
    return next((posters for posters in found_there if posters), [])[:1]


def _one(posters: Sequence[str]) -> str | None:
    return posters[0] if len(posters) == 1 else None


def _ids(rows: Sequence[Row], found: Sequence[str | None]) -> list[str]:
    """Film ids; rows without one are known by their poster's name, or by its path where names repeat."""
    stems = [
        text(os.path.splitext(os.path.basename(poster))[0]) if poster and not row.film_id else ""  # noqa: PTH119, PTH122 - speed
        for row, poster in zip(rows, found, strict=True)
    ]
    bare: dict[str, set[str]] = {}
    for stem, poster in zip(stems, found, strict=True):
        if stem and poster:
            bare.setdefault(stem, set()).add(poster)
    repeated = {stem for stem, posters in bare.items() if len(posters) > 1}
    return [
        row.film_id or (text(row.poster) if stem in repeated else imdb_id(stem) or stem)
        for row, stem in zip(rows, stems, strict=True)
    ]


def _wrong(row: Row, film_id: str, posters: Sequence[str], genres: Iterable[str]) -> list[Finding]:
    """Why a row gives no film; empty when it gives one."""
    if row.problem or not (film_id or row.poster):
        return [replace(_bad_row(f"{row.where}: {row.problem or 'no id and no poster'}"), film_id=film_id)]
    wrong = []
    named = row.poster or (row.ids[0] if row.ids else "")
    if not posters:
        wrong.append(
            Finding(
                flag="no-poster",
                score=1.0,
                film_id=film_id,
                detail=f"{row.where}: no poster {named!r}",
                action="left out; add the poster or pass its folder with --posters",
            )
        )
    if len(posters) > 1:
        wrong.append(
            Finding(
                flag="ambiguous-poster",
                score=1.0,
                film_id=film_id,
                poster=posters[0],
                detail=f"{row.where}: {named!r} may be any of {len(posters)} files, {posters[0]!r} and {posters[1]!r}",
                action="left out; write its path in the table",
            )
        )
    if not genres:
        wrong.append(
            Finding(
                flag="no-genre",
                score=1.0,
                film_id=film_id,
                poster=_one(posters) or "",
                detail=f"{row.where}: genres {'|'.join(row.genres)!r}",
                action="left out; add its genres to the table",
            )
        )
    return wrong


def _odd_cell(row: Row, film_id: str) -> Finding:
    detail = f"{row.where}: {row.odd}"
    return Finding("odd-cell", 1.0, film_id, detail=detail, action="a number but 0 is on, anything else is unknown")


def _about_table(part: _Part) -> list[Finding]:
    """Rows that could not be read, and columns that were not taken.

    Raises:
        CatalogueError: most rows cannot be read.
    """
    bad = [f"{part.table.path.name}, {problem}" for problem in part.table.bad]
    problems = [*bad, *(f"{row.where}: {row.problem}" for row in part.rows if row.problem)]
    total = len(part.rows) + len(bad)
    if len(problems) * 2 > total and len(problems) > 2:
        raise CatalogueError(
            f"{len(problems):,} of {total:,} rows of {str(part.table.path)!r} cannot be read; the first is "
            f"{problems[0]}; repair the file, or name the right column with --genre-column"
        )
    action = "left out; --genre-column A,B,C takes columns for genres"
    unused = [Finding("unused-column", 0.5, detail=name, action=action) for name in part.columns.unused]
    return [*map(_bad_row, bad), *unused]


def _summary(part: _Part, absent: Sequence[str]) -> SourceSummary:
    """How a table was understood; `absent` are the genres that its catalogue does not have."""
    table, columns = part.table, part.columns

    def headings(*found: int | None) -> tuple[str, ...]:
        return tuple(table.columns[i] for i in found if i is not None)

    meant = {
        "ids": headings(*columns.ids),
        "posters": headings(columns.poster),
        "titles": headings(columns.title),
        "years": headings(columns.year),
        "splits": headings(columns.split) or ((f"the file's name ({table.split})",) if table.split else ()),
        "genres": headings(*columns.genres),
    }
    unknown = [f"has no films of {', '.join(absent)}, which are taken as unknown, not as false"] if absent else []
    reasons = Counter(row.problem.partition(":")[0] for row in part.rows if row.problem)
    reasons.update(re.sub(r"\d+", "N", problem.partition(": ")[2] or problem) for problem in table.bad)
    return SourceSummary(
        name=table.path.name,
        rows=len(part.rows),
        columns={meaning: found for meaning, found in meant.items() if found},
        separators=tuple(form for form, count in part.cells.forms.most_common() if form and count),
        one_hot=len(columns.one_hot),
        unused=columns.unused,
        unread=dict(reasons),
        notes=(*table.notes, *unknown),
    )


def _bad_row(detail: str) -> Finding:
    return Finding("bad-row", 1.0, detail=detail, action="left out; repair the row")


def _posters(part: _Part) -> Iterable[str]:
    return (row.poster for row in part.rows if row.poster)


def _no_poster_in_column(part: _Part, column: str) -> str:
    written = next(iter(_posters(part)), "")
    seen = f"; a file there is {part.places.images[0]!r}" if part.places.images else ""
    return (
        f"no cell of the column {column!r} names a poster, as {written[:100]!r}{seen}; choose another --poster-column"
    )


def _no_poster(parts: Sequence[_Part]) -> str:
    looked = list(dict.fromkeys(folder for part in parts for folder in part.places.folders))
    shown = ", ".join(repr(folder) for folder in looked[:5]) + (" and below" if len(looked) > 5 else "")
    rows = (row for part in parts for row in part.rows)
    written = next((named for row in rows if (named := row.poster or next(iter(row.ids), ""))), "")
    image = next((image for part in parts for image in part.places.images), None)
    where = f"no poster found for any row; looked in {shown}; the table names {written[:100]!r}"
    if image is None:
        return f"{where}, and no image is there; pass the folder of posters with --posters"
    return f"{where}, and a file there is {image!r}; rename the files, or pass another folder with --posters"


def _check_genres(catalogue: Catalogue, paths: Sequence[str | Path], rule: str, *, cure: str) -> None:
    names = ", ".join(repr(str(path)) for path in paths)
    if not len(catalogue):
        counts = ", ".join(f"{count} {flag}" for flag, count in catalogue.findings.counts.items())
        raise CatalogueError(f"no film in {names} has a poster and a genre{rule} ({counts}); {cure}")
    if len(catalogue.genres) < 2:
        only = catalogue.genres.names[0]
        raise CatalogueError(f"one genre only{rule} in {names}: {only!r}; bring films of other genres, or {cure}")
