"""Read NFO files: the fields of a film or show, and where they are in the file's bytes.

An NFO is XML with the root <movie> or <tvshow>, XML followed by a web address, or only an address. Expat finds the
places of elements; no NFO is ever written from parsed XML (see `nfo_editing`). Entity declarations are rejected, so
nothing expands and no other file is read. As in players, an unescaped `&`, HTML entities, a wrong encoding declaration
and legacy encodings are accepted.
"""

from __future__ import annotations

import html.entities
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from xml.parsers import expat

from onesheet.data.genre_map import NOT_GENRES
from onesheet.errors import LibraryError

MAX_BYTES = 5_000_000
ROOTS = ("movie", "tvshow")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']", re.IGNORECASE)
_WIDER = {  # declared encoding -> its superset, which programs write
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **{"big5": "big5hkscs", "euc-kr": "cp949", "ks_c_5601-1987": "cp949"},
}
_GENRES_APART = re.compile(r"\s+/\s+|\s*[,;|]\s*")
# Placeholders that no text contains, of the same length as what they replace, so that places stay the same.
_AMPERSAND, _NOTHING = "\ufdd0", "\ufdd1"
_REFERENCE = re.compile(r"&(?:#\d{1,7};|#x[0-9a-fA-F]{1,6};|(\w{1,32});)?", re.ASCII)
_XML_ENTITIES = frozenset(("amp", "lt", "gt", "quot", "apos"))


class NotAnNfo(LibraryError):
    """The file is another kind of text with the same suffix, such as the notes of a release."""


@dataclass(frozen=True, slots=True)
class Element:
    """A child of the root.

    Attributes:
        name: the tag.
        start: offset of its first byte in the file.
        end: offset behind its last byte.
        text: its own text, stripped, with entities resolved; for a <genre> also the text of a <name> in it.
        clear: whether it has the attribute clear="true", with which Kodi discards earlier values.
        kind: its attribute "type", in lower case; for a <uniqueid> the service of the id.
    """

    name: str
    start: int
    end: int
    text: str
    clear: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Nfo:
    """An NFO file.

    Attributes:
        data: the file's bytes.
        encoding: Python's name of its encoding.
        writing: encoding of inserted text; "ascii", with character references, where players may differ.
        children: of the root; () if the file is only a web address.
        root: the root's tag; "" if the file is only a web address.
        close: offset of the root's end tag; for a root written <movie/>, offset behind it.
        empty_root: whether the root is written <movie/>.
        address: whether the file is, or ends with, a web address.
    """

    data: bytes
    encoding: str
    writing: str = "utf-8"
    children: tuple[Element, ...] = ()
    root: str = ""
    close: int = 0
    empty_root: bool = False
    address: bool = False

    @property
    def genre_elements(self) -> tuple[Element, ...]:
        """The <genre> elements."""
        return tuple(child for child in self.children if child.name == "genre")

    @property
    def genres(self) -> tuple[str, ...]:
        """The film's genres as written, each once; "A / B" and "A, B" are two."""
        return tuple(dict.fromkeys(name for child in self.genre_elements for name in split_genres(child.text)))

    @property
    def title(self) -> str:
        """The film's title; "" if there is none."""
        return self._first("title")

    @property
    def year(self) -> int | None:
        """The film's year; None if there is none."""
        for name in ("year", "premiered", "releasedate"):
            if found := re.match(r"\d{4}", self._first(name)):
                return int(found[0])
        return None

    @property
    def lock(self) -> str:
        """The element that locks the genres in Jellyfin; "" if none does."""
        if self._first("lockdata").lower() == "true":
            return "<lockdata>"
        fields = (child.text for child in self.children if child.name == "lockedfields")
        names = {name.strip().lower() for field in fields for name in field.split("|")}
        return "<lockedfields>" if "genres" in names else ""

    @property
    def ids(self) -> dict[str, str]:
        """Service ("tmdb", "imdb", "tvdb") -> the film's id there."""
        found = {child.kind: child.text for child in self.children if child.name == "uniqueid" and child.text}
        found |= {name: text for name in ("tmdb", "imdb") if (text := self._first(f"{name}id"))}
        forms = {"tmdb": r"[0-9]{1,9}", "imdb": r"tt[0-9]{1,10}", "tvdb": r"[0-9]{1,9}"}
        return {name: text for name, text in found.items() if name in forms and re.fullmatch(forms[name], text)}

    def _first(self, name: str) -> str:
        return next((child.text for child in self.children if child.name == name and child.text), "")


def split_genres(text: str) -> tuple[str, ...]:
    """The names in one <genre>: Kodi separates them by " / ", other programs by commas; "N/A" and the like are none.

    Example:
        >>> split_genres("Kinder-/Familienfilm / Sci-Fi"), split_genres("Action,Thriller"), split_genres("N/A")
        (('Kinder-/Familienfilm', 'Sci-Fi'), ('Action', 'Thriller'), ())
    """
    names = (" ".join(part.split()) for part in _GENRES_APART.split(text.strip()))
    return tuple(name for name in names if name.casefold() not in NOT_GENRES)


def read_nfo(path: Path) -> Nfo:
    """Read an NFO file.

    Raises:
        LibraryError: it cannot be read, or `parse_nfo` rejects it; the message has no path.
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
    """Read an NFO's bytes.

    Raises:
        LibraryError: empty, too large, broken XML, or an entity is declared; the message has no path.
        NotAnNfo: neither XML nor a web address.

    Example:
        >>> parse_nfo(b"<movie><title>Up &amp; Down</title><genre>Drama / War</genre></movie>").genres
        ('Drama', 'War')
    """
    if len(data) > MAX_BYTES:
        raise LibraryError(f"larger than {MAX_BYTES:,} bytes; an NFO is smaller")
    if not data.strip(b"\x00 \t\r\n"):
        raise LibraryError("empty")
    bom, encoding, writing, text = _decoded(data)
    start = len(text) - len(text.lstrip())  # XML may not begin with white space
    parsed = _Parsed(_REFERENCE.sub(_readable, text[start:]))
    if parsed.close is None:
        if not parsed.root and _ADDRESS.search(text):
            return Nfo(data, encoding, writing, address=True)
        if not text.startswith("<", start):
            raise NotAnNfo("neither XML nor a web address")
        raise LibraryError(f"broken XML: {parsed.error}")
    ends = sorted({parsed.close, *(place for child in parsed.children for place in (child.start, child.end))})
    at = dict(zip(ends, _places(parsed.data, ends, bom, text, start, encoding), strict=True))
    children = tuple(replace(child, start=at[child.start], end=at[child.end]) for child in parsed.children)
    address = _ADDRESS.search(text, start + len(parsed.data[: parsed.close].decode())) is not None
    return Nfo(data, encoding, writing, children, parsed.root, at[parsed.close], parsed.empty_root, address)


def _places(data: bytes, places: Sequence[int], bom: int, text: str, start: int, encoding: str) -> Iterator[int]:
    """Convert ascending offsets in the UTF-8 that expat reads to offsets in the file, whose text follows the BOM."""
    place = bom + len(text[:start].encode(encoding))
    for begin, end in pairwise((0, *places)):
        letters = len(data[begin:end].decode())  # as many as the file's text has there
        place += len(text[start : start + letters].encode(encoding))
        start += letters
        yield place


def _decoded(data: bytes) -> tuple[int, str, str, str]:
    """The length of the BOM, the encodings for reading and writing, and the text."""
    for bom, encoding in _BOMS:
        if data.startswith(bom) and (text := _text(data[len(bom) :], encoding)) is not None:
            return len(bom), encoding, encoding, text
    for begins, encoding in ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be")):
        if data.startswith(begins) and (text := _text(data, encoding)) is not None:
            return 0, encoding, encoding, text
    found = _DECLARED.match(data)
    declared = found[1].decode().lower() if found else "utf-8"
    for encoding in (_WIDER.get(declared, declared), "utf-8", "cp1252"):
        if "16" not in encoding and (text := _text(data, encoding)) is not None:
            plain = declared in ("utf-8", "utf8") and encoding in ("utf-8", "utf8")
            return 0, encoding, "utf-8" if plain else "ascii", text
    return 0, "latin-1", "ascii", data.decode("latin-1")


def _text(data: bytes, encoding: str) -> str | None:
    """The text; None if the bytes are not in this encoding or do not survive a round trip."""
    try:
        text = data.decode(encoding)
        return text if text.encode(encoding) == data else None
    except (LookupError, ValueError, TypeError, AssertionError):  # unknown, not this one, or not a text encoding
        return None


def _readable(found: re.Match[str]) -> str:
    """A reference for expat, of the same length: HTML entities become letters, a lone `&` becomes a placeholder."""
    written, name = found[0], found[1]
    if name in _XML_ENTITIES or (not name and written != "&"):
        return written
    meant = html.entities.html5.get(f"{name};", "")
    if not meant or "<" in meant or "&" in meant:
        return _AMPERSAND + written[1:]
    return meant.ljust(len(written), _NOTHING)


class _Parsed:
    """What expat finds; offsets are in `data`, the text as UTF-8."""

    def __init__(self, text: str) -> None:
        self.data = text.encode("utf-8", "replace")
        self.children: list[Element] = []
        self.root = ""
        self.close: int | None = None
        self.empty_root = False
        self.error = ""
        self._depth = 0
        self._quiet = False  # nothing has followed the start tag yet
        self._opened = 0
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._taken = False  # the next text is the child's own
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.EntityDeclHandler = _reject_entity
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._read
        try:
            parser.Parse(self.data, True)
        except expat.ExpatError as error:
            self.error = str(error)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._quiet = True
        if self._depth == 1:
            self.root = name
        elif self._depth == 2:
            self._opened, self._text, self._attributes = self._parser.CurrentByteIndex, [], attributes
            self._genre = name == "genre"
        self._taken = self._depth == 2 or (self._depth == 3 and self._genre and name == "name")
        if self._depth == 3 and self._taken:
            self._text.append(" / ")

    def _read(self, text: str) -> None:
        self._quiet = False
        if self._taken:
            self._text.append(text)

    def _end(self, name: str) -> None:
        place = self._parser.CurrentByteIndex
        empty = self._quiet and self.data.endswith(b"/>", 0, place)
        self._depth -= 1
        self._quiet = False
        self._taken = self._depth == 2
        if self._depth == 1:
            end = place if empty else self.data.index(b">", place) + 1
            text = "".join(self._text).replace(_AMPERSAND, "&").replace(_NOTHING, "").strip().removeprefix("/ ")
            clear = self._attributes.get("clear", "").lower() == "true"
            kind = self._attributes.get("type", "").lower()
            self.children.append(Element(name, self._opened, end, text, clear, kind))
        elif self._depth == 0:
            self.close, self.empty_root = place, empty


def _reject_entity(name: str, *_: object) -> None:
    raise LibraryError(f"declares the entity {name!r}, which could expand without limit; remove the declaration")
