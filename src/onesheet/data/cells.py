"""The content of one cell: text, ids and years."""

from __future__ import annotations

import re

_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
_TITLE_YEAR = re.compile(r"\s*\((1[89]\d\d|20\d\d)\)\s*$")
_IMDB = re.compile(r"tt(\d{5,})", re.IGNORECASE)
_IMDB_LINK = re.compile(r"imdb\.com/(?:\w+/)*title/tt(\d+)", re.IGNORECASE)
_WHOLE = re.compile(r"(-?\d+)\.0+")
_POWER = re.compile(r"\d(?:\.\d+)?e\+?\d{1,2}", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_MARKED = re.compile(r"""['"\s]*(?:imdb\s*[:/#]\s*|/?title/)?(tt\d{5,})['"/\s]*""", re.IGNORECASE)


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


def id_text(value: object) -> str:
    """An id as text: a number without decimals, powers or commas, an IMDb id without what is around it.

    Example:
        >>> id_text("12345.0"), id_text("1.2e4"), id_text("12,345"), id_text("imdb:tt0114709")
        ('12345', '12000', '12345', 'tt0114709')
    """
    written = text(value)
    if written.isalnum():  # nearly all are
        return str(int(float(written))) if _POWER.fullmatch(written) else written
    if found := _WHOLE.fullmatch(written) or _MARKED.fullmatch(written):
        return found[1]
    if _POWER.fullmatch(written) and float(written).is_integer():
        return str(int(float(written)))
    return written.replace(",", "") if _THOUSANDS.fullmatch(written) else written


def imdb_id(written: str, *, numbers: bool = False) -> str:
    """The IMDb id "tt" + at least seven digits, or "" where it is none.

    Args:
        written: the id as it is in a table or a file name, or a link to the film's page at IMDb.
        numbers: whether bare numbers are IMDb ids that lost their "tt" and zeros.

    Example:
        >>> imdb_id("114709", numbers=True), imdb_id("https://www.imdb.com/title/tt0114709/"), imdb_id("114709")
        ('tt0114709', 'tt0114709', '')
    """
    match = _IMDB.fullmatch(written) or ("/" in written and _IMDB_LINK.search(written))
    digits = match[1] if match else written if numbers and written.isascii() and written.isdigit() else ""
    return f"tt{int(digits):07d}" if digits and len(digits) < 20 and int(digits) else ""


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
