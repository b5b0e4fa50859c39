"""Which NFO files are to change, and how; nothing is written."""

from __future__ import annotations

import difflib
import html
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onesheet.errors import LibraryError
from onesheet.library.editing import with_genres
from onesheet.library.films import LibraryFilm
from onesheet.library.nfo import read_nfo
from onesheet.library.suggesting import Suggestion

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
    suggestions: Iterable[Suggestion], *, policy: Policy = "only-missing", locked: bool = False, create: bool = False
) -> Iterator[Change | Left]:
    """What giving films their genres would change, one for each film that is to have other genres.

    Args:
        suggestions: what the model says.
        policy: which films get genres.
        locked: change genres that Jellyfin is told to leave alone, too.
        create: make an NFO where there is none.
    """
    for suggestion in suggestions:
        if wanted := wanted_genres(suggestion, policy):
            film = suggestion.film
            try:
                yield _change(suggestion, wanted, policy, locked, create)
            except LibraryError as error:
                yield Left(film, str(error))


def _change(suggestion: Suggestion, wanted: tuple[str, ...], policy: Policy, locked: bool, create: bool) -> Change:
    """The change of one film's NFO.

    Raises:
        LibraryError: it is to be left alone; the message says why.
    """
    film = suggestion.film
    if film.nfo is None:
        if not create:
            raise LibraryError("has no NFO; --create-nfo makes one")
        return Change(film, film.new_nfo, None, _new_nfo(film, wanted), "utf-8")
    writable_file(film.nfo)
    nfo = read_nfo(film.nfo)
    if not nfo.root:
        raise LibraryError("its NFO is only a web address, from which players fetch the genres")
    if nfo.lock and not locked:
        raise LibraryError(f"its genres are locked by {nfo.lock}; --even-locked changes them")
    if nfo.genres != film.genres:
        raise LibraryError("its NFO has changed meanwhile")
    new = wanted if policy == "replace" else (*nfo.genres, *(name for name in wanted if name not in suggestion.held))
    return Change(film, film.nfo, nfo.data, with_genres(nfo, new), nfo.encoding)


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
        raise LibraryError(f"its NFO is a link to {str(path.readlink())!r}; work on the folder where that lies")
    if state.st_nlink > 1:
        raise LibraryError("its NFO has other names (hard links), which would keep the old genres; make a copy of it")
    if not state.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise LibraryError("its NFO is read-only; give it write permission")
    return state
