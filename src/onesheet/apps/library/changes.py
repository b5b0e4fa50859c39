"""Which NFO files are to change, and how; nothing is written."""

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
"""Films that get genres: those without; those too that lack some; those too that have others than the model gives."""


@dataclass(frozen=True)
class Change:
    """One NFO file, before and after.

    Attributes:
        film: the film.
        path: the NFO.
        before: its bytes, None where the file is to be made.
        after: its bytes to be.
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
class Left:
    """A film that should have been given genres and is left alone.

    Attributes:
        film: the film.
        why: in words.
    """

    film: LibraryFilm
    why: str


def wanted_genres(suggestion: Suggestion, policy: Policy) -> tuple[str, ...]:
    """The genres a film is to have; () where it is to stay as it is.

    Replacing keeps the genres that the model does not know, and leaves a film alone where it gives none.
    """
    if not suggestion.given or (policy == "only-missing" and suggestion.held):
        return ()
    kept = [name for name, value in suggestion.held.items() if value is None or policy == "add"]
    wanted = (*kept, *(name for name in suggestion.given if name not in kept))
    return () if set(wanted) == set(suggestion.held) else wanted


def plan_changes(
    suggestions: Iterable[Suggestion],
    *,
    policy: Policy = "only-missing",
    locked: bool = False,
    create: bool = False,
    lock: bool = False,
) -> Iterator[Change | Left]:
    """What giving films their genres would change, one for each NFO of a film that is to have other genres.

    Args:
        suggestions: what the model says.
        policy: which films get genres.
        locked: change genres that are locked in Jellyfin, too.
        create: make an NFO where there is none.
        lock: tell Jellyfin to leave the genres alone from then on.
    """
    for suggestion in suggestions:
        if wanted := wanted_genres(suggestion, policy):
            film = suggestion.film
            try:
                changes = _changes(suggestion, wanted, policy, locked, create)
            except LibraryError as error:
                yield Left(film, str(error))
                continue
            for change in changes:
                yield replace(change, after=with_lock(parse_nfo(change.after))) if lock else change


def plan_clean(
    films: Iterable[LibraryFilm], *, genre_map: GenreMap = None, locked: bool = False
) -> Iterator[Change | Left]:
    """What unifying the spellings of genres and applying a mapping would change; nothing is predicted.

    Args:
        films: of a library.
        genre_map: as in `suggest_genres`.
        locked: change genres that are locked in Jellyfin, too.

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
                if (wanted := tuple(dict.fromkeys(new for one in news for new in one))) != nfo.genres:
                    yield _change_of(film, path, wanted, locked)
            except LibraryError as error:
                yield Left(film, str(error))


def _changes(
    suggestion: Suggestion, wanted: tuple[str, ...], policy: Policy, locked: bool, create: bool
) -> list[Change]:
    """The changes of one film's NFO files.

    Raises:
        LibraryError: they are to be left alone; the message says why.
    """
    film = suggestion.film
    if film.nfo:
        return [_change(suggestion, path, wanted, policy, locked) for path in (film.nfo, *film.twins)]
    if not create:
        raise LibraryError("has no NFO; --create-nfo makes one")
    if not film.is_named:
        raise LibraryError("has no NFO, and its name has no title and year; rename it to 'Title (1999)'")
    if os.path.lexists(film.new_nfo):
        raise LibraryError(f"{str(film.new_nfo)!r} is there and no file; move it, so that an NFO can be made")
    return [Change(film, film.new_nfo, None, _new_nfo(film, wanted), "utf-8")]


def _change(suggestion: Suggestion, path: Path, wanted: tuple[str, ...], policy: Policy, locked: bool) -> Change:
    """The change of one NFO; raises as `_changes`."""
    nfo = read_nfo(path)
    new = wanted if policy == "replace" else (*nfo.genres, *(name for name in wanted if name not in suggestion.held))
    return _change_of(suggestion.film, path, new, locked)


def _change_of(film: LibraryFilm, path: Path, genres: Sequence[str], locked: bool) -> Change:
    writable_file(path)
    nfo = read_nfo(path)
    if nfo.address and not nfo.genres:
        what = "has a web address and no genre" if nfo.root else "is only a web address"
        raise LibraryError(f"its NFO {what}, so that players fetch the genres")
    if nfo.lock and not locked:
        raise LibraryError(f"its genres are locked by {nfo.lock}; --even-locked changes them")
    if meanings(nfo.genres) != meanings(film.genres):
        raise LibraryError("its NFO has changed meanwhile")
    return Change(film, path, nfo.data, with_genres(nfo, genres), nfo.encoding)


def _new_nfo(film: LibraryFilm, genres: Iterable[str]) -> bytes:
    """A small NFO: title, year, genres."""
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
        LibraryError: it is a link, has other names, is read-only, or is not there any more.
    """
    try:
        state = path.lstat()
    except OSError as error:
        raise LibraryError(f"its NFO cannot be read: {error.strerror}") from error
    if stat.S_ISLNK(state.st_mode):
        raise LibraryError(f"its NFO is a link to {str(path.readlink())!r}; work on the folder that contains it")
    if state.st_nlink > 1:
        raise LibraryError("its NFO has other names (hard links), which would keep the old genres; make a copy of it")
    if not state.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise LibraryError("its NFO is read-only; make it writable")
    return state
