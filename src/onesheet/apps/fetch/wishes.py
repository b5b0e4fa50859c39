"""Which films are wished for: ids, "Title (1995)", and files of them."""

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
class Wish:
    """One film that is wished for, by an id, or by title and year, or by its poster's address.

    Attributes:
        imdb: "tt0113277" or "".
        tmdb: TMDB's number or "".
        title: the title or "".
        year: year of release.
        poster: the poster's web address, where it is known before.
        film_id: the film's id in the catalogue, where it is known before.
        genres: its genres, where they are known before.
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
        """What the journal knows it by; an address, which may hold secrets, only by its digest."""
        if not self.poster:
            return str(self)
        return f"{self.film_id} {hashlib.sha256(self.poster.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


Wishes = tuple[list[Wish], list[Finding]]
"""Wishes, each once, and the rows that are none."""


def read_wishes(films: Sequence[str | Path], *, tmdb: bool) -> Wishes:
    """Ids, "Title (Year)", text files with one of them a line, and tables with columns of ids or titles and years.

    Args:
        films: as written, or files.
        tmdb: whether bare numbers and `tmdbId` columns are TMDB's; otherwise only IMDb ids and titles count.

    Raises:
        ConfigError: a word or a line that is no film.
        CatalogueError: a file that cannot be read.
    """
    wishes: list[Wish] = []
    findings: list[Finding] = []
    for written in films:
        path = Path(written)
        if not path.is_file():
            wishes.append(_wish(str(written), tmdb))
        elif path.suffix.lower() == ".txt":
            lines = _text_of(path).splitlines()
            wishes += [_wish(line.strip(), tmdb) for line in lines if line.strip()]
        else:
            table = read_table(path)
            for where, wish in _rows(table, tmdb):
                if wish:
                    wishes.append(wish)
                else:
                    findings.append(_no_film(f"{where}: no id and no title with a year"))
            findings += [_no_film(f"{path.name}, {problem}") for problem in table.bad]
    return list(dict.fromkeys(wishes)), findings


def _text_of(path: Path) -> str:
    try:
        return read_within(path, MAX_DOCUMENT_BYTES).decode("utf-8-sig", "replace")
    except (OSError, ValueError) as error:
        raise CatalogueError(f"cannot read {str(path)!r}: {error}; pass a text file, a film a line") from error


def read_addresses(tables: Sequence[str | Path]) -> Wishes:
    """Tables with a column of poster addresses and genres.

    Raises:
        CatalogueError: a file that cannot be read, or without such columns.
    """
    wishes: list[Wish] = []
    findings: list[Finding] = []
    for path in tables:
        table = read_table(Path(path))
        columns = find_columns(table, poster_column=None, id_column=None, genre_column=None)
        cells = GenreCells(row[i] for row in table.rows for i in columns.genres)
        rows = list(read_rows(table, columns, cells))
        settled, _ = settle_genres([row.genres for row in rows], {})
        for row, genres in zip(rows, settled, strict=True):
            if row.poster.startswith(("https://", "http://")):
                wish = Wish("", "", row.title, row.year, row.poster, row.film_id, genres)
                wishes.append(wish if row.film_id else _named_by_address(wish))
            else:
                findings.append(_no_film(f"{row.where}: {row.poster!r} is no web address"))
        findings += [_no_film(f"{Path(path).name}, {problem}") for problem in table.bad]
    return list(dict.fromkeys(wishes)), findings


def _named_by_address(wish: Wish) -> Wish:
    return Wish("", "", wish.title, wish.year, wish.poster, f"url-{wish.key.strip()}", wish.genres)


def plain_title(title: str) -> str:
    """A title as titles are compared: without accents, case, punctuation, and with its article in front.

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


def _wish(written: str, tmdb: bool) -> Wish:
    ids, named = ids_in(written), without_tags(written)
    title, year = title_and_year(named, "")
    if tmdb and "tmdb" in ids:
        return Wish(tmdb=str(int(ids["tmdb"])))
    if imdb := imdb_id(ids.get("imdb", "")):
        return Wish(imdb=imdb)
    if imdb := imdb_id(written):
        return Wish(imdb=imdb)
    if tmdb and written.isascii() and written.isdigit():
        return Wish(tmdb=str(int(written)))
    if title != named and year:
        return Wish(title=title, year=year)
    number = ", a TMDB number" if tmdb else ""
    raise ConfigError(f"{written!r} is no film; pass an IMDb id{number}, 'Title (1995)', or a file of them")


def _rows(table: Table, tmdb: bool) -> Iterator[tuple[str, Wish | None]]:
    known = [plain(name) for name in table.columns]

    def column(names: Sequence[str]) -> int | None:
        return next((known.index(name) for name in names if name in known), None)

    places = [column(names) for names in (("tmdbid",), (*IMDB_IDS, "filmid", "id"), TITLES, YEARS)]
    for number, row in enumerate(table.rows, 1):
        numbered, imdb, title, year = ("" if place is None else text(row[place]) for place in places)
        imdb = imdb_id(imdb, numbers=places[1] is not None and known[places[1]] in IMDB_IDS)
        title, known_year = title_and_year(title, year)
        yield f"{table.path.name}, row {number}", _best(numbered if tmdb else "", imdb, title, known_year)


def _best(tmdb: str, imdb: str, title: str, year: int | None) -> Wish | None:
    if imdb:
        return Wish(imdb=imdb)
    if tmdb.isascii() and tmdb.isdigit():
        return Wish(tmdb=str(int(tmdb)))
    return Wish(title=title, year=year) if title and year else None


def _no_film(detail: str) -> Finding:
    return Finding("bad-row", 1.0, detail=detail, action="not asked for; repair the row")
