"""One film of a library, and titles, years and ids in file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onesheet.data.film_library.nfo import Nfo
from onesheet.data.genre_synonyms import canonical, genre_key

_TITLE_YEAR = re.compile(r"(.+?)[\s._]*[(\[]((?:18|19|20)\d\d)[)\]]")
_SCENE = re.compile(r"(.+)[ ._]((?:18|19|20)\d\d)(?:[ ._-]|$)")  # the last year is the film's
_TAG = re.compile(r"\s*[{\[][^}\]]*[}\]]")  # [imdbid-tt0083658], {tmdb-78}, {edition-Final Cut}
_ID = re.compile(r"[{\[](imdb|tmdb|tvdb)(?:id)?[-=](tt\d+|\d+)[}\]]", re.IGNORECASE)


@dataclass(frozen=True)
class LibraryFilm:
    """One film of a library.

    Attributes:
        name: its path in the library: its own folder, or its file without suffix in a shared folder.
        title: from its NFO, else from the name of its folder or file.
        year: likewise; None if unknown.
        poster: path of the poster; None if there is none.
        nfo: path of the NFO file; None if there is none.
        new_nfo: where a new NFO would be made.
        more_posters: candidates if the poster cannot be read, the likeliest first.
        fault: why the NFO's genres cannot be used; "" if they can or there is no NFO.
        web_address: whether its NFO has a web address and no genre, so that players fetch the genres.
        genres: as the NFO lists them.
        lock: the element that locks the genres in Jellyfin; "" if none does.
        twins: its other NFO files, with the same genres; players differ in which they read.
        ids: "imdb", "tmdb", "tvdb" -> its id, from its NFO, else from the names of its folder and file.
        is_named: whether the name of its folder or file has title and year.
        is_show: whether it is a TV show.
        outside: whether it is outside the library's folder, behind a link.
        unclear: names of files beside it that may be another film's.
    """

    name: str
    title: str
    year: int | None
    poster: Path | None
    nfo: Path | None
    new_nfo: Path
    fault: str = ""
    web_address: bool = False
    genres: tuple[str, ...] = ()
    lock: str = ""
    twins: tuple[Path, ...] = ()
    more_posters: tuple[Path, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    is_named: bool = True
    is_show: bool = False
    outside: bool = False
    unclear: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """What the film lacks: "poster", "nfo", "genres"; the genres of a faulty NFO are unknown, not missing."""
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
            "ids": dict(self.ids),
            "outside": self.outside,
            "unclear": list(self.unclear),
            "web_address": self.web_address,
            "fault": self.fault or None,
        }


def title_and_year(name: str) -> tuple[str, int] | None:
    """Title and year in the name of a folder, a file or a release; None if it has none.

    Example:
        >>> title_and_year("Blade Runner (1982) [imdbid-tt0083658]"), title_and_year("Blade.Runner.2049.2017.1080p-GRP")
        (('Blade Runner', 1982), ('Blade Runner 2049', 2017))
    """
    if found := _TITLE_YEAR.match(name):
        title = _TAG.sub("", found[1]).strip() or found[1]
    elif found := _SCENE.match(_TAG.sub("", name)):
        title = found[1]
    else:
        return None
    if " " not in title:
        title = re.sub(r"[._]+", " ", title)
    return title.strip(" -"), int(found[2])


def named_film(nfo: Nfo | None, *names: str) -> tuple[str, int | None]:
    """Title and year: from the NFO, else from the first name that has both, else the first name and no year.

    Example:
        >>> named_film(None, "Films", "Blade Runner (1982) [imdbid-tt0083658]")
        ('Blade Runner', 1982)
    """
    names = tuple("".join(letter for letter in name if letter.isprintable()) for name in names)
    found = next(filter(None, map(title_and_year, names)), None)
    title, year = found or (without_tags(names[0]) or names[0], None)
    if nfo is None:
        return title, year
    return nfo.title or title, nfo.year or year


def without_tags(name: str) -> str:
    """A name without the tags in braces and square brackets.

    Example:
        >>> without_tags("Blade Runner (1982) {edition-Final Cut}")
        'Blade Runner (1982)'
    """
    return _TAG.sub("", name).strip()


def ids_in(*names: str) -> dict[str, str]:
    """The ids in the names of folders and files; the first name wins.

    Example:
        >>> ids_in("Blade Runner (1982) {tmdb-78} [imdbid-tt0083658]")
        {'tmdb': '78', 'imdb': 'tt0083658'}
    """
    found = [(service.lower(), number) for name in reversed(names) for service, number in _ID.findall(name)]
    return {service: number for service, number in found if (service == "imdb") == number.startswith("tt")}


def meanings(genres: Iterable[str]) -> frozenset[str]:
    """What genres mean, whatever their spelling and language.

    Example:
        >>> meanings(["Science Fiction", "krimi"]) == meanings(["Crime", "Sci-Fi"])
        True
    """
    return frozenset(canonical(name) or genre_key(name) for name in genres)


def key(name: str) -> str:
    """A file name for comparison, as players do it: case and the encoding of accents make no difference."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
