"""Plan how NFO files change; nothing is written."""

from __future__ import annotations

import difflib
import html
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from onesheet.apps.library.nfo_editing import with_genres, with_lock
from onesheet.apps.library.suggesting import GenreMap, Suggestion, settle_names
from onesheet.data.film_library.films import LibraryFilm, meanings
from onesheet.data.film_library.nfo import parse_nfo, read_nfo
from onesheet.errors import LibraryError

Policy = Literal["only-missing", "add", "replace"]
"""Which films get genres: those without genres; also those that lack some; all, in place of their own."""


@dataclass(frozen=True)
class Change:
    """A change of one NFO file.

    Attributes:
        film: the film.
        path: the NFO.
        before: its bytes; None for a new file.
        after: its new bytes.
        encoding: Python's name of the bytes' encoding.
    """

    film: LibraryFilm
    path: Path
    before: bytes | None
    after: bytes
    encoding: str

    def diff(self) -> Iterator[str]:
        """The change as lines of a unified diff."""
        old, new = ((data or b"").decode(self.encoding, "replace").splitlines() for data in (self.before, self.after))
        names = str(self.path) if self.before is not None else "/dev/null", str(self.path)
        return difflib.unified_diff(old, new, *names, n=1, lineterm="")


@dataclass(frozen=True)
class Skipped:
    """A film whose genres should change, but cannot or must not be written.

    Attributes:
        film: the film.
        why: the reason, in words.
    """

    film: LibraryFilm
    why: str


def resulting_genres(suggestion: Suggestion, policy: Policy) -> tuple[str, ...]:
    """The genres that a film should have; () if nothing should change.

    "replace" keeps the genres that the model does not know, and changes nothing if none is predicted.
    """
    if not suggestion.predicted or (policy == "only-missing" and suggestion.existing):
        return ()
    kept = [name for name, value in suggestion.existing.items() if value is None or policy == "add"]
    genres = (*kept, *(name for name in suggestion.predicted if name not in kept))
    return () if set(genres) == set(suggestion.existing) else genres


def plan_changes(
    suggestions: Iterable[Suggestion],
    *,
    policy: Policy = "only-missing",
    locked: bool = False,
    create: bool = False,
    lock: bool = False,
) -> Iterator[Change | Skipped]:
    """Plan the changes that give films their genres: one for each NFO of a film whose genres change.

    Args:
        suggestions: the predicted genres.
        policy: which films get genres.
        locked: also change genres that are locked in Jellyfin.
        create: make an NFO for a film without one.
        lock: lock the written genres in Jellyfin.
    """
    for suggestion in suggestions:
        if genres := resulting_genres(suggestion, policy):
            film = suggestion.film
            try:
                changes = _changes(suggestion, genres, policy, locked, create)
            except LibraryError as error:
                yield Skipped(film, str(error))
                continue
            for change in changes:
                yield replace(change, after=with_lock(parse_nfo(change.after))) if lock else change


def plan_clean(
    films: Iterable[LibraryFilm], *, genre_map: GenreMap = None, locked: bool = False
) -> Iterator[Change | Skipped]:
    """Plan the changes that unify the spellings of genres and apply a mapping; nothing is predicted.

    Args:
        films: of a library.
        genre_map: as in `suggest_genres`.
        locked: also change genres that are locked in Jellyfin.

    Raises:
        CatalogueError: the mapping cannot be read.
    """
    films = [film for film in films if film.nfo and not film.fault]
    names = settle_names(films, genre_map)
    meant = {meanings([old]): new for old, new in names.items()}
    for film in films:
        for path in (film.nfo, *film.twins):
            try:
                assert path is not None
                nfo = read_nfo(path)
                news = [names.get(old, meant.get(meanings([old]), (old,))) for old in nfo.genres]
                if (genres := tuple(dict.fromkeys(new for one in news for new in one))) != nfo.genres:
                    yield _change_of(film, path, genres, locked)
            except LibraryError as error:
                yield Skipped(film, str(error))


def _changes(
    suggestion: Suggestion, genres: tuple[str, ...], policy: Policy, locked: bool, create: bool
) -> list[Change]:
    """The changes of one film's NFO files.

    Raises:
        LibraryError: the film must be skipped; the message is the reason.
    """
    film = suggestion.film
    if film.nfo:
        return [_change(suggestion, path, genres, policy, locked) for path in (film.nfo, *film.twins)]
    if not create:
        raise LibraryError("has no NFO; pass --create-nfo to make one")
    if not film.is_named:
        raise LibraryError("has no NFO, and its name has no title and year; rename it to 'Title (1999)'")
    if os.path.lexists(film.new_nfo):
        raise LibraryError(f"{str(film.new_nfo)!r} exists and is no NFO; move it, so that an NFO can be made")
    return [Change(film, film.new_nfo, None, _new_nfo(film, genres), "utf-8")]


def _change(suggestion: Suggestion, path: Path, genres: tuple[str, ...], policy: Policy, locked: bool) -> Change:
    """The change of one NFO; raises like `_changes`."""
    nfo = read_nfo(path)
    new = (
        genres if policy == "replace" else (*nfo.genres, *(name for name in genres if name not in suggestion.existing))
    )
    return _change_of(suggestion.film, path, new, locked)


def _change_of(film: LibraryFilm, path: Path, genres: Sequence[str], locked: bool) -> Change:
    writable_file(path)
    nfo = read_nfo(path)
    if nfo.address and not nfo.genres:
        what = "has a web address and no genre" if nfo.root else "is only a web address"
        raise LibraryError(f"its NFO {what}, so that players fetch the genres")
    if nfo.lock and not locked:
        raise LibraryError(f"its genres are locked by {nfo.lock}; pass --even-locked to change them")
    if meanings(nfo.genres) != meanings(film.genres):
        raise LibraryError("its NFO has changed meanwhile")
    return Change(film, path, nfo.data, with_genres(nfo, genres), nfo.encoding)


def _new_nfo(film: LibraryFilm, genres: Iterable[str]) -> bytes:
    """A new NFO with title, year and genres."""
    fields = [
        ("title", film.title),
        *([("year", str(film.year))] if film.year else []),
        *(("genre", g) for g in genres),
    ]
    lines = [f"  <{name}>{html.escape(text, quote=False)}</{name}>\n" for name, text in fields]
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    return f"{head}<movie>\n{''.join(lines)}</movie>\n".encode()


def writable_file(path: Path) -> os.stat_result:
    """The state of an NFO that may be replaced.

    Raises:
        LibraryError: it is a link, has hard links, is read-only, or is gone.
    """
    try:
        state = path.lstat()
    except OSError as error:
        raise LibraryError(f"its NFO cannot be read: {error.strerror}") from error
    if stat.S_ISLNK(state.st_mode):
        raise LibraryError(f"its NFO is a link to {str(path.readlink())!r}; pass the library that contains the file")
    if state.st_nlink > 1:
        raise LibraryError("its NFO has hard links, which would keep the old genres; replace it by a copy")
    if not state.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise LibraryError("its NFO is read-only; make it writable")
    return state
