"""A film in a library: what its files say of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.nfo import Nfo

_TITLE_YEAR = re.compile(r"(.+?)[\s._]*[(\[]((?:18|19|20)\d\d)[)\]]")
_TAG = re.compile(r"\s*[{\[][^}\]]*[}\]]")  # [imdbid-tt0083658], {tmdb-78}, {edition-Final Cut}


@dataclass(frozen=True)
class LibraryFilm:
    """One film of a library.

    Attributes:
        name: its path in the library: the film's own folder, or its file without suffix among others'.
        title: as its NFO has it, else as its folder or file is named.
        year: likewise; None where neither says one.
        poster: path of the poster, None where there is none.
        nfo: path of the NFO file, None where there is none.
        new_nfo: where an NFO would be made.
        fault: why the NFO cannot be used for genres, "" where it can or there is none.
        address_only: whether the NFO holds no more than a web address.
        genres: as the NFO has them.
        lock: what Jellyfin protects them with, "" where they are not locked.
        twins: its other NFO files, which name the same genres: players do not agree on which they read.
    """

    name: str
    title: str
    year: int | None
    poster: Path | None
    nfo: Path | None
    new_nfo: Path
    fault: str = ""
    address_only: bool = False
    genres: tuple[str, ...] = ()
    lock: str = ""
    twins: tuple[Path, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not there: of "poster", "nfo" and "genres"; of a faulty NFO nobody knows its genres."""
        absent = {"poster": self.poster is None, "nfo": self.nfo is None, "genres": not self.genres and not self.fault}
        return tuple(name for name, is_absent in absent.items() if is_absent)

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "film": self.name,
            "title": self.title,
            "year": self.year,
            "poster": self.poster and str(self.poster),
            "nfo": self.nfo and str(self.nfo),
            "genres": list(self.genres),
            "missing": list(self.missing),
            "locked_by": self.lock or None,
            "address_only": self.address_only,
            "fault": self.fault or None,
        }


def named_film(nfo: Nfo | None, *names: str) -> tuple[str, int | None]:
    """Title and year: from the NFO, else from the first name of the form "Title (1999)", else the first name.

    Example:
        >>> named_film(None, "Films", "Blade Runner (1982) [imdbid-tt0083658]")
        ('Blade Runner', 1982)
    """
    names = tuple("".join(letter for letter in name if letter.isprintable()) for name in names)
    found = next(filter(None, map(_TITLE_YEAR.match, names)), None)
    title, year = (found[1], int(found[2])) if found else (_TAG.sub("", names[0]).strip() or names[0], None)
    if nfo is None:
        return title, year
    return nfo.title or title, nfo.year or year


def key(name: str) -> str:
    """A file name as players compare it: without regard to case and to how accents are spelt."""
    return unicodedata.normalize("NFC", name).casefold()
