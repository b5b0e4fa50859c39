"""The films to fetch: ids, "Title (1995)", and files of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.cells import imdb_id, text, title_and_year
from onesheet.data.columns import IMDB_IDS, TITLES, YEARS, find_columns, plain, read_rows
from onesheet.data.film_library.films import ids_in, without_tags
from onesheet.data.findings import Finding
from onesheet.data.genre_cells import GenreCells
from onesheet.data.genre_map import settle_genres
from onesheet.data.tables import MAX_DOCUMENT_BYTES, Table, read_table
from onesheet.errors import CatalogueError, ConfigError
from onesheet.files import read_within

_APOSTROPHES = ("'", "’")
_MOVED = re.compile(
    r"(.+), (the|an?|der|die|das|eine?|les?|la|l['’]|une?|el|los|las|il|lo|gli|i|os?|as?|de|het)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FilmQuery:
    """One film to fetch, by id, by title and year, or by its poster's address.

    Attributes:
        imdb: "tt0113277" or "".
        tmdb: TMDB's number or "".
        title: the title or "".
        year: year of release.
        poster: the poster's web address, if known in advance.
        film_id: the film's id in the catalogue, if known in advance.
        genres: its genres, if known in advance.
    """

    imdb: str = ""
    tmdb: str = ""
    title: str = ""
    year: int | None = None
    poster: str = ""
    film_id: str = ""
    genres: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.film_id or self.imdb or self.tmdb or f"{self.title} ({self.year})"

    @property
    def key(self) -> str:
        """Its key in the journal; an address, which may contain secrets, is there only as a digest."""
        if not self.poster:
            return str(self)
        return f"{self.film_id} {hashlib.sha256(self.poster.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


FilmQueries = tuple[list[FilmQuery], list[Finding]]
"""Film queries without repeats, and findings about rows without a film."""


def read_queries(films: Sequence[str | Path], *, tmdb: bool) -> FilmQueries:
    """Ids, "Title (Year)", text files with one of them per line, and tables with columns of ids or titles and years.

    Args:
        films: ids, titles or files.
        tmdb: whether numbers and `tmdbId` columns are TMDB's; otherwise only IMDb ids and titles count.

    Raises:
        ConfigError: an argument or a line is no film.
        CatalogueError: a file cannot be read.
    """
    queries: list[FilmQuery] = []
    findings: list[Finding] = []
    for written in films:
        path = Path(written)
        if not path.is_file():
            queries.append(_query(str(written), tmdb))
        elif path.suffix.lower() == ".txt":
            lines = _text_of(path).splitlines()
            queries += [_query(line.strip(), tmdb) for line in lines if line.strip()]
        else:
            table = read_table(path)
            for where, film_query in _rows(table, tmdb):
                if film_query:
                    queries.append(film_query)
                else:
                    findings.append(_no_film(f"{where}: no id and no title with a year"))
            findings += [_no_film(f"{path.name}, {problem}") for problem in table.bad]
    return list(dict.fromkeys(queries)), findings


def _text_of(path: Path) -> str:
    try:
        return read_within(path, MAX_DOCUMENT_BYTES).decode("utf-8-sig", "replace")
    except (OSError, ValueError) as error:
        raise CatalogueError(f"cannot read {str(path)!r}: {error}; pass a text file with one film per line") from error


def read_addresses(tables: Sequence[str | Path]) -> FilmQueries:
    """Tables with a column of poster addresses and genres.

    Raises:
        CatalogueError: a file cannot be read, or lacks such columns.
    """
    queries: list[FilmQuery] = []
    findings: list[Finding] = []
    for path in tables:
        table = read_table(Path(path))
        columns = find_columns(table, poster_column=None, id_column=None, genre_column=None)
        cells = GenreCells(row[i] for row in table.rows for i in columns.genres)
        rows = list(read_rows(table, columns, cells))
        settled, _ = settle_genres([row.genres for row in rows], {})
        for row, genres in zip(rows, settled, strict=True):
            if row.poster.startswith(("https://", "http://")):
                film_query = FilmQuery("", "", row.title, row.year, row.poster, row.film_id, genres)
                queries.append(film_query if row.film_id else _named_by_address(film_query))
            else:
                findings.append(_no_film(f"{row.where}: {row.poster!r} is not a web address"))
        findings += [_no_film(f"{Path(path).name}, {problem}") for problem in table.bad]
    return list(dict.fromkeys(queries)), findings


def _named_by_address(film_query: FilmQuery) -> FilmQuery:
    return FilmQuery(
        "", "", film_query.title, film_query.year, film_query.poster, f"url-{film_query.key.strip()}", film_query.genres
    )


def plain_title(title: str) -> str:
    """A title for comparison: without accents, case and punctuation, and with its article in front.

    Example:
        >>> plain_title("Matrix, The"), plain_title("WALL·E") == plain_title("Wall-E"), plain_title("Amélie")
        ('thematrix', True, 'amelie')
    """
    letters = unicodedata.normalize("NFKD", with_article(title)).casefold().replace("&", " and ")
    return "".join(letter for letter in letters if letter.isalnum()) or title.casefold()


def with_article(title: str) -> str:
    """A title with its article in front.

    Example:
        >>> with_article("Matrix, The"), with_article("Avventura, L'"), with_article("Good, the Bad")
        ('The Matrix', "L'Avventura", 'Good, the Bad')
    """
    if found := _MOVED.fullmatch(title):
        return f"{found[2]}{'' if found[2].endswith(_APOSTROPHES) else ' '}{found[1]}"
    return title


def _query(written: str, tmdb: bool) -> FilmQuery:
    ids, named = ids_in(written), without_tags(written)
    title, year = title_and_year(named, "")
    if tmdb and "tmdb" in ids:
        return FilmQuery(tmdb=str(int(ids["tmdb"])))
    if imdb := imdb_id(ids.get("imdb", "")):
        return FilmQuery(imdb=imdb)
    if imdb := imdb_id(written):
        return FilmQuery(imdb=imdb)
    if tmdb and written.isascii() and written.isdigit():
        return FilmQuery(tmdb=str(int(written)))
    if title != named and year:
        return FilmQuery(title=title, year=year)
    number = ", a TMDB number" if tmdb else ""
    raise ConfigError(f"{written!r} is no film; pass an IMDb id{number}, 'Title (1995)', or a file of them")


def _rows(table: Table, tmdb: bool) -> Iterator[tuple[str, FilmQuery | None]]:
    known = [plain(name) for name in table.columns]

    def column(names: Sequence[str]) -> int | None:
        return next((known.index(name) for name in names if name in known), None)

    places = [column(names) for names in (("tmdbid",), (*IMDB_IDS, "filmid", "id"), TITLES, YEARS)]
    for number, row in enumerate(table.rows, 1):
        numbered, imdb, title, year = ("" if place is None else text(row[place]) for place in places)
        imdb = imdb_id(imdb, numbers=places[1] is not None and known[places[1]] in IMDB_IDS)
        title, known_year = title_and_year(title, year)
        yield f"{table.path.name}, row {number}", _best(numbered if tmdb else "", imdb, title, known_year)


def _best(tmdb: str, imdb: str, title: str, year: int | None) -> FilmQuery | None:
    if imdb:
        return FilmQuery(imdb=imdb)
    if tmdb.isascii() and tmdb.isdigit():
        return FilmQuery(tmdb=str(int(tmdb)))
    return FilmQuery(title=title, year=year) if title and year else None


def _no_film(detail: str) -> Finding:
    return Finding("bad-row", 1.0, detail=detail, action="not fetched; repair the row")
