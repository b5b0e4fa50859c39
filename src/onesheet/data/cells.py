"""What stands in one cell: text, ids, years and genres."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from onesheet.files import encodable, parse_json

# In this order: "Action, Adventure|Drama" is two genres, not three.
GENRE_DELIMITERS = ("|", ";", ",", " / ")
MAX_LIST_CHARACTERS = 100_000  # a list becomes hundreds of times its size while it is read
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
_TITLE_YEAR = re.compile(r"\s*\((1[89]\d\d|20\d\d)\)\s*$")
_IMDB = re.compile(r"tt(\d{5,})", re.IGNORECASE)
_NO_COMMA = re.compile(r"""(['"])\s+(?=['"])""")  # numpy prints ['Comedy' 'Drama']


def raw_text(value: object) -> str:
    """A cell as text, surrogate-escaped bytes kept: what a path needs."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def text(value: object) -> str:
    r"""A cell as text; bytes that are no UTF-8 are read as Windows-1252.

    Example:
        >>> text("Am\udce9lie")
        'Amélie'
    """
    found = raw_text(value)
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        data = found.encode("utf-8", "surrogateescape")
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return found


def imdb_id(written: str, *, numbers: bool = False) -> str:
    """The IMDb id "tt" + at least seven digits, or "" where it is none.

    Args:
        written: the id as it stands in a table or a file name.
        numbers: whether bare numbers are IMDb ids that lost their "tt" and zeros.

    Example:
        >>> imdb_id("114709", numbers=True), imdb_id("tt0114709"), imdb_id("114709")
        ('tt0114709', 'tt0114709', '')
    """
    match = _IMDB.fullmatch(written)
    digits = match[1] if match else written if numbers and written.isascii() and written.isdigit() else ""
    return f"tt{int(digits):07d}" if digits and int(digits) else ""


def title_and_year(title: str, year: str) -> tuple[str, int | None]:
    """Title without a closing "(1999)", and the year from its own cell or from the title.

    Example:
        >>> title_and_year("Life Is Sweet (1990)", "")
        ('Life Is Sweet', 1990)
    """
    in_title = _TITLE_YEAR.search(title)
    in_cell = _YEAR.search(year)
    found = in_cell or in_title
    if in_title and in_title.start():
        title = title[: in_title.start()]
    return title, int(found[1]) if found else None


def genre_delimiter(values: Iterable[object]) -> str:
    """The one delimiter of a genre column: the first of `GENRE_DELIMITERS` that occurs; "" = none does.

    Example:
        >>> genre_delimiter(["Drama", "Action, Crime|Drama"])
        '|'
    """
    delimiters: set[str] = set()
    for value in values:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            delimiters.update(d for d in GENRE_DELIMITERS if d in value)
    return next((d for d in GENRE_DELIMITERS if d in delimiters), "")


def genre_names(value: object, delimiter: str) -> tuple[str, ...]:
    """The genre names in one cell: a list, a JSON list, a Python list literal, or delimited text.

    Raises:
        ValueError: the cell looks like a list and is none.

    Example:
        >>> genre_names("['Comedy', 'Drama']", ""), genre_names("Comedy|Drama", "|")
        (('Comedy', 'Drama'), ('Comedy', 'Drama'))
    """
    if isinstance(value, (list, tuple, set)):
        names = [item.get("name") if isinstance(item, dict) else item for item in value]
        return tuple(name for name in map(text, names) if name)
    written = text(value)
    if written.startswith("["):
        return genre_names(_listed(written), delimiter)
    return tuple(name.strip() for name in (written.split(delimiter) if delimiter else [written]) if name.strip())


def _listed(written: str) -> list[object]:
    if len(written) > MAX_LIST_CHARACTERS:
        raise ValueError(f"no list of genres: {len(written):,} characters")
    try:
        found = parse_json(written)
    except ValueError:
        try:
            found = encodable(ast.literal_eval(_NO_COMMA.sub(r"\1, ", written)))
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(f"no list of genres: {written[:80]!r}") from error
    if not isinstance(found, list):
        raise ValueError(f"no list of genres: {written[:80]!r}")
    return found
