"""Put genres and Jellyfin's lock into an NFO's bytes; everything else stays as it is, byte for byte."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from onesheet.data.film_library.nfo import Element, Nfo, split_genres

_CLEAR = ' clear="true"'
MAX_INDENT = 1024  # bytes; even, so that UTF-16 is not cut in a character
_LINE_BREAK = re.compile(r"(?:\r\n|\n|\r)[ \t]*\Z")


def with_genres(nfo: Nfo, genres: Sequence[str]) -> bytes:
    """The file's bytes with exactly these genres.

    An element stays if all its genres are kept. The others are replaced by missing genres, or removed with the line
    break before them. Further genres follow the last genre, or else the root's last child, on lines of their own where
    that has one. The attribute clear="true" of a replaced element moves to the first genre.

    Args:
        nfo: a film's or show's, with a root.
        genres: names, not empty.

    Example:
        >>> from onesheet.data.film_library.nfo import parse_nfo
        >>> with_genres(parse_nfo(b"<movie><genre>War</genre></movie> https://example.org"), ["War", "Drama"])
        b'<movie><genre>War</genre><genre>Drama</genre></movie> https://example.org'
    """
    kept = [one for one in nfo.genre_elements if set(genres) >= set(split_genres(one.text))]
    present = {name for one in kept for name in split_genres(one.text)}
    added = [f"<genre>{html.escape(name, quote=False)}</genre>" for name in genres if name not in present]
    clear = any(one.clear for one in nfo.genre_elements if one not in kept)
    splices = []
    for one in nfo.genre_elements:
        between, count = _break_before(nfo, one), len(split_genres(one.text))
        if one in kept:
            if clear and not one.clear:
                behind = one.start + len(_encoded(nfo, "<genre"))
                splices.append((behind, behind, _encoded(nfo, _CLEAR)))
        elif added:
            here, added = added[:count], added[count:]
            here[0] = here[0].replace("<genre", f"<genre{_CLEAR}", 1) if clear else here[0]
            splices.append((one.start, one.end, between.join(_encoded(nfo, each) for each in here)))
        else:
            splices.append((one.start - len(between), one.end, b""))
            continue
        clear = False
    if added:
        splices.append(_insertion(nfo, added))
    pieces, at = [], 0
    for start, end, new in sorted(splices):
        pieces += [nfo.data[at:start], new]
        at = end
    return b"".join([*pieces, nfo.data[at:]])


def with_lock(nfo: Nfo) -> bytes:
    """The file's bytes with "Genres" among the fields that Jellyfin leaves alone; the same where it leaves them alone.

    Args:
        nfo: a film's, with a root.

    Example:
        >>> from onesheet.data.film_library.nfo import parse_nfo
        >>> with_lock(parse_nfo(b"<movie><genre>War</genre><lockedfields>Name|Cast</lockedfields></movie>"))
        b'<movie><genre>War</genre><lockedfields>Name|Cast|Genres</lockedfields></movie>'
    """
    if nfo.lock:
        return nfo.data
    fields = [child for child in nfo.children if child.name == "lockedfields"]
    locked = "<lockedfields>Genres</lockedfields>"
    if not fields:
        start, end, new = _insertion(nfo, [locked])
    elif not fields[-1].text:
        start, end, new = fields[-1].start, fields[-1].end, _encoded(nfo, locked)
    else:
        start = end = nfo.data.rindex(_encoded(nfo, "</"), fields[-1].start, fields[-1].end)
        new = _encoded(nfo, "|Genres")
    return nfo.data[:start] + new + nfo.data[end:]


def _insertion(nfo: Nfo, added: Sequence[str]) -> tuple[int, int, bytes]:
    if nfo.children:
        anchor = (nfo.genre_elements or nfo.children)[-1]
        between = _break_before(nfo, anchor)
        return anchor.end, anchor.end, b"".join(between + _encoded(nfo, one) for one in added)
    text = "".join(added)
    if nfo.empty_root:
        return nfo.close - len(_encoded(nfo, "/>")), nfo.close, _encoded(nfo, f">{text}</{nfo.root}>")
    return nfo.close, nfo.close, _encoded(nfo, text)


def _break_before(nfo: Nfo, element: Element) -> bytes:
    """The line break and the indent before an element; b"" where it shares its line."""
    before = nfo.data[max(0, element.start - MAX_INDENT) : element.start].decode(nfo.encoding, "replace")
    found = _LINE_BREAK.search(before)
    return _encoded(nfo, found[0]) if found else b""


def _encoded(nfo: Nfo, text: str) -> bytes:
    return text.encode(nfo.writing, "xmlcharrefreplace")
