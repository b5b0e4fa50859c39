"""NFO files: what one says of its film, and where in its bytes.

An NFO is XML with the root <movie>, XML with a web address behind it, or only an address. Expat reads it, and only to
tell places: entity declarations are refused, so that nothing expands and nothing outside the file is read, and no NFO
is ever written from what was parsed (see `editing`).
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from onesheet.data.genre_map import NOT_GENRES
from onesheet.errors import LibraryError

MAX_BYTES = 5_000_000
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_ADDRESS = re.compile(rb"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Element:
    """A child of the root.

    Attributes:
        name: the tag.
        start: of its first byte in the file.
        end: behind its last.
        text: its own text, entities resolved, white space at the ends cut.
    """

    name: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Nfo:
    """An NFO file, read.

    Attributes:
        data: the file's bytes.
        encoding: Python's name of the encoding that text put into it must have.
        children: of the root; () where the file is only a web address.
        root: the root's tag, "" where the file is only a web address.
        close: where the root's end tag begins; of a root written <movie/>, where it ends.
        empty_root: whether the root is written <movie/>.
    """

    data: bytes
    encoding: str
    children: tuple[Element, ...] = ()
    root: str = ""
    close: int = 0
    empty_root: bool = False

    @property
    def genre_elements(self) -> tuple[Element, ...]:
        """The <genre> elements."""
        return tuple(child for child in self.children if child.name == "genre")

    @property
    def genres(self) -> tuple[str, ...]:
        """The film's genres as written, each once; "A / B" is two."""
        return tuple(dict.fromkeys(name for child in self.genre_elements for name in split_genres(child.text)))

    @property
    def title(self) -> str:
        """The film's title, "" where none is written."""
        return self._first("title")

    @property
    def year(self) -> int | None:
        """The film's year, None where none is written."""
        for name in ("year", "premiered", "releasedate"):
            if found := re.match(r"\d{4}", self._first(name)):
                return int(found[0])
        return None

    @property
    def lock(self) -> str:
        """What Jellyfin protects the genres with, "" where they are not locked."""
        if self._first("lockdata").lower() == "true":
            return "<lockdata>"
        fields = (child.text for child in self.children if child.name == "lockedfields")
        names = {name.strip().lower() for field in fields for name in field.split("|")}
        return "<lockedfields>" if "genres" in names else ""

    def _first(self, name: str) -> str:
        return next((child.text for child in self.children if child.name == name and child.text), "")


def split_genres(text: str) -> tuple[str, ...]:
    """The names in one <genre>, which players part at each slash; none where it says "N/A" and the like.

    Example:
        >>> split_genres("Action / Sci-Fi")
        ('Action', 'Sci-Fi')
    """
    if text.casefold() in NOT_GENRES:
        return ()
    return tuple(name for part in text.split("/") if (name := " ".join(part.split())))


def read_nfo(path: Path) -> Nfo:
    """Read an NFO file.

    Raises:
        LibraryError: it cannot be read, or as `parse_nfo`; the message has no path.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise LibraryError("not an ordinary file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LibraryError(f"cannot be read: {error.strerror}") from error
    return parse_nfo(data)


def parse_nfo(data: bytes) -> Nfo:
    """Find what an NFO's bytes say.

    Raises:
        LibraryError: empty, too large, no XML and no web address, broken XML, an entity declared; the message says
            which, without a path.

    Example:
        >>> parse_nfo(b"<movie><title>Up</title><genre>Drama / War</genre></movie> https://example.org/1").genres
        ('Drama', 'War')
    """
    if len(data) > MAX_BYTES:
        raise LibraryError(f"larger than {MAX_BYTES:,} bytes, which no film's NFO is")
    if not data.strip(b"\x00 \t\r\n"):
        raise LibraryError("empty")
    start = 0 if _bom(data) else len(data) - len(data.lstrip(b" \t\r\n"))  # XML may not begin with white space
    return _Places(data, start).nfo()


class _Places:
    """Follows expat through the bytes."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start = data, start
        self._bom, self._encoding = _bom(data) or (b"", _without_bom(data[start:]))
        self._depth = 0
        self._quiet = False  # nothing has happened since an element began
        self._opened = 0
        self._text: list[str] = []
        self._children: list[Element] = []
        self._root = ""
        self._close: int | None = None
        self._empty_root = False
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.EntityDeclHandler = _refuse_entity
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._read

    def nfo(self) -> Nfo:
        """Parse."""
        try:
            self._parser.Parse(self._data[self._start :], True)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: an encoding Python cannot tell
            if not self._root and _ADDRESS.search(self._data.replace(b"\x00", b"")):
                return Nfo(self._data, self._encoding)
            if self._close is None:
                wrong = f"broken XML: {error}" if b"<" in self._data else "neither XML nor a web address"
                raise LibraryError(wrong) from None
        assert self._close is not None
        return Nfo(
            self._data, self._encoding, tuple(self._children), self._root, self._close, empty_root=self._empty_root
        )

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding and not self._encoding.startswith("utf-16") and not self._bom:
            self._encoding = encoding

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._quiet = True
        if self._depth == 1:
            self._root = name
        elif self._depth == 2:
            self._opened, self._text = self._place(), []

    def _read(self, text: str) -> None:
        self._quiet = False
        if self._depth == 2:
            self._text.append(text)

    def _end(self, name: str) -> None:
        place = self._place()
        empty = self._quiet and self._data.endswith("/>".encode(self._wide), 0, place)
        self._depth -= 1
        self._quiet = False
        if self._depth == 1:
            end = place if empty else self._behind_tag(place)
            self._children.append(Element(name, self._opened, end, "".join(self._text).strip()))
        elif self._depth == 0:
            self._close, self._empty_root = place, empty

    def _place(self) -> int:
        return self._start + self._parser.CurrentByteIndex

    @property
    def _wide(self) -> str:
        """The encoding of tags and brackets: every other than UTF-16 writes them as ASCII does."""
        return self._encoding if self._encoding.startswith("utf-16") else "ascii"

    def _behind_tag(self, place: int) -> int:
        """Behind the end tag that begins at `place`; no letter of a tag has 3E for its high byte in UTF-16."""
        bracket = ">".encode(self._wide)
        return self._data.index(bracket, place) + len(bracket)


def _refuse_entity(name: str, *_: object) -> None:
    raise LibraryError(f"declares the entity {name!r}, which may grow without end (billion laughs); not read")


def _bom(data: bytes) -> tuple[bytes, str] | None:
    return next((pair for pair in _BOMS if data.startswith(pair[0])), None)


def _without_bom(data: bytes) -> str:
    """The encoding that the first bytes tell; a declaration may then name another."""
    return {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(data[:2], "utf-8")
