"""Genres in the cells of a table: lists of any make, and text with delimiters, judged cell by cell."""

from __future__ import annotations

import ast
import csv
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from onesheet.data.cells import text
from onesheet.data.genre_map import is_no_genre
from onesheet.data.genre_synonyms import TMDB_GENRES, genre_key, is_known
from onesheet.files import encodable, parse_json

# In this order: "Action, Adventure|Drama" is two genres, not three.
GENRE_DELIMITERS = ("|", ";", ",", " / ")
WEAK_DELIMITERS = ("/", " - ", " ")  # only between known genres
MAX_LIST_CHARACTERS = 100_000  # a list becomes hundreds of times its size while it is read
_OPENS = re.compile(r"(?:[\w.]+\(\s*)?[\[{(]|(?:frozen)?set\(\)")
_CALL = re.compile(r"[A-Za-z_][\w.]*\((.*?)(?:,\s*dtype\s*=[^()]*)?\)", re.DOTALL)  # array([…], dtype=object)
_NO_COMMA = re.compile(r"""(['"\]})])\s+(?=['"\[{(])""")  # numpy prints ['Comedy' 'Drama']
_QUOTED = re.compile(r"""(['"])[^'"]+\1(?:\s*,\s*(['"])[^'"]+\2)+""")  # 'Comedy', 'Drama'
_NUMPY_TEXT = re.compile(r"""\b(?:np|numpy)\.str_\(('[^']*'|"[^"]*")\)""")  # as numpy 2 prints its text in a list
_BETWEEN = re.compile(r"(?i)\s*(?:[^\w\s'()\-]+|[\n\t]+|\s(?:and|und|et|y)\s)\s*")  # only between known genres
_UNDERSCORE, _HYPHEN = re.compile("_"), re.compile("-")
_LABEL = re.compile(r"(?i)genres?\s*[:=]\s*")
_BARE_NAN = re.compile(r"(?<=[\[(,:\s])nan(?=[\]),\s}])")
_NAMES = ("name", "genre", "genres", "genre_name", "title", "label", "description")  # of an object that is a genre


class GenreCells:
    """How the genre cells of a table are read, judged by all of them.

    Attributes:
        delimiter: what separates genres in the column, "" where nothing does; single cells may have others.
        forms: "list", or the delimiter -> the number of different cells written so.
    """

    def __init__(self, values: Iterable[object], *, delimiter: str | None = None) -> None:
        """Judge the cells.

        Args:
            values: every cell of the column, or columns.
            delimiter: what separates genres; None = found out for each cell.
        """
        cells = dict.fromkeys(map(_hashable, values))
        self.forms: Counter[str] = Counter()
        self._told = delimiter
        texts = [written for cell in cells if isinstance(cell, str) and not is_list(written := text(cell))]
        self._delimiters = _delimiters(texts)
        self.delimiter = next(iter(self._delimiters), "")
        strong = self._delimiters[:1]
        self._own = {
            genre_key(piece)
            for written in texts
            for piece in (written.split(strong[0]) if strong else [written])
            if (strong and strong[0] in written)
            or not (any(d in written for d in (*GENRE_DELIMITERS, *WEAK_DELIMITERS)) or _parted(written))
        }
        self._read: dict[object, tuple[str, ...] | ValueError] = {cell: self._parse(cell) for cell in cells}
        self._name_tmdb()

    def read(self, value: object) -> tuple[str, ...] | ValueError:
        """The genre names in one of the cells, or why it cannot be read: it opens like a list and is none."""
        return self._read[_hashable(value)]

    def _name_tmdb(self) -> None:
        """TMDB's numbers become its names where there is nothing else."""
        names = {name for found in self._read.values() if isinstance(found, tuple) for name in found}
        names = {name for name in names if not is_no_genre(name)}
        numbers = {str(number): name for number, name in TMDB_GENRES.items()}
        if names and names <= numbers.keys():
            for cell, found in self._read.items():
                if isinstance(found, tuple):
                    self._read[cell] = tuple(numbers.get(name, name) for name in found)

    def _parse(self, cell: object) -> tuple[str, ...] | ValueError:
        if not isinstance(cell, str):
            self.forms["list"] += isinstance(cell, tuple)
            return tuple(_flat(cell))
        written = text(cell)
        if written.startswith('"[') and written.endswith(']"'):  # a list as JSON, as JSON again
            written = written[1:-1].replace('\\"', '"')
        if len(written) > 2 and written[0] == written[-1] in "\"'" and written[0] not in written[1:-1]:
            written = written[1:-1].strip()
        if label := _LABEL.match(written):
            written = written[label.end() :]
        if not written or is_no_genre(written):
            return ()
        if is_list(written):
            self.forms["list"] += 1
            try:
                return tuple(_flat(_listed(written)))
            except ValueError as error:
                return error
        delimiter, pieces = self._split(written)
        self.forms[delimiter] += len(pieces) > 1
        return tuple(piece.strip() for piece in pieces if piece.strip())

    def _split(self, written: str) -> tuple[str, Sequence[str]]:
        if self._told is not None:
            return self._told, written.split(self._told.strip() or None)
        for delimiter in self._delimiters:
            if delimiter in written:
                return delimiter, _without_and(written.split(delimiter))
        if parted := _parted(written):
            return parted
        if self._is_genre(written):
            return "", [written]
        for delimiter in WEAK_DELIMITERS[:-1]:
            pieces = written.split(delimiter)
            if len(pieces) > 1 and all(map(self._is_genre, pieces)):
                return delimiter, pieces
        pieces = self._words(written.split())
        return (" ", pieces) if any(map(is_known, pieces)) else ("", [written])

    def _is_genre(self, name: str) -> bool:
        return is_known(name) or genre_key(name) in self._own

    def _words(self, words: Sequence[str]) -> list[str]:
        """Words as genres of one to three words each; [] where some are none."""
        if not words or len(words) > 12:
            return []
        for length in (3, 2, 1):
            first = " ".join(words[:length])
            if length <= len(words) and self._is_genre(first):
                if length == len(words):
                    return [first]
                if rest := self._words(words[length:]):
                    return [first, *rest]
        return []


def _parted(written: str) -> tuple[str, list[str]] | None:
    """What parts a text of known genres alone, and these; None where it is one genre, or another has a part in it."""
    for between in (_BETWEEN, _UNDERSCORE, _HYPHEN):
        found = between.search(written)
        pieces = [piece for piece in between.split(written) if piece.strip()] if found else []
        if found and pieces and not is_known(written) and all(map(is_known, pieces)):
            return found[0].strip() or found[0], pieces
    return None


def _without_and(pieces: Sequence[str]) -> Sequence[str]:
    """The pieces of a list in words, whose last two an "and" may join: "Action, Drama and Crime"."""
    last = _parted(pieces[-1].strip())
    return [*pieces[:-1], *last[1]] if last and last[0] in ("and", "&") else pieces


def is_list(written: str) -> bool:
    """Whether a cell's text opens like a list, a set, an object or an array of them.

    Example:
        >>> is_list("['Drama']"), is_list("array(['Drama'], dtype=object)"), is_list("Drama (1999)")
        (True, True, False)
    """
    return bool(_OPENS.match(written) or _QUOTED.fullmatch(written))


def _delimiters(texts: Sequence[str]) -> list[str]:
    """The delimiters of a column, strongest first; others than the first only if they part known genres."""
    found: list[str] = []
    for delimiter in GENRE_DELIMITERS:
        with_it = [written for written in texts if delimiter in written and not any(d in written for d in found)]
        pieces = [piece for written in with_it for piece in written.split(delimiter) if piece.strip()]
        if with_it and (not found or sum(map(is_known, pieces)) >= len(pieces) / 2):
            found.append(delimiter)
    return found


def _hashable(value: object) -> object:
    """A cell as a key: lists become tuples."""
    if isinstance(value, str):  # nearly every cell
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(_hashable, value), key=str))
    if isinstance(value, dict):
        return _Object(tuple((str(key), _hashable(item)) for key, item in value.items()))
    return value if isinstance(value, Hashable) else text(value)


class _Object(tuple[tuple[str, object], ...]):
    """An object's items."""


def _flat(value: object) -> list[str]:
    """Every name in nested lists and objects."""
    if isinstance(value, dict):
        value = _Object(value.items())
    if isinstance(value, _Object):
        items = {str(key).lower(): item for key, item in value}
        named = next((items[key] for key in _NAMES if key in items), None)
        if named is not None:
            return _flat(named)
        if items and all(not isinstance(item, list | tuple | dict) and item in (0, 1) for item in items.values()):
            return [str(key) for key, item in value if item == 1]
        return _flat(items["id"]) if "id" in items else [name for item in items.values() for name in _flat(item)]
    if isinstance(value, list | tuple | set | frozenset):
        return [name for item in value for name in _flat(item)]
    return [name] if (name := text(value)) else []


def _listed(written: str) -> object:
    """The value that a cell's text is: JSON, Python, NumPy, Postgres or a list without quotes.

    Raises:
        ValueError: it is none.
    """
    if len(written) > MAX_LIST_CHARACTERS:
        raise ValueError(f"no list of genres: {len(written):,} characters")
    try:
        found = parse_json(written)
    except ValueError:
        pass
    else:
        return _listed(found) if isinstance(found, str) and is_list(found) else found
    written = _NUMPY_TEXT.sub(r"\1", written)
    if written[0] in "\"'":
        written = f"[{written}]"
    inner = written
    while call := _CALL.fullmatch(inner):
        inner = call[1].strip() or "[]"
    for form in (_NO_COMMA.sub(r"\1, ", _BARE_NAN.sub("None", inner)), inner):
        try:
            found = encodable(ast.literal_eval(form))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found
    return _bare(inner, written)


def _bare(inner: str, written: str) -> list[str]:
    """`[Action, Drama]` of Java, and `{Action,"Science Fiction"}` of Postgres."""
    if inner[:1] + inner[-1:] in ("[]", "{}", "()") and not re.search(r"[\[\]{}()=]", inner[1:-1]):
        try:
            names = next(csv.reader([inner[1:-1]], skipinitialspace=True, escapechar="\\"), [])
        except csv.Error as error:
            raise ValueError(f"no list of genres: {written[:80]!r}") from error
        if not any(name.startswith(("'", '"')) or name.endswith(("'", '"')) for name in names):
            return names
    raise ValueError(f"no list of genres: {written[:80]!r}")
