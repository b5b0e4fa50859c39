"""scan_library: a folder of films to a `Library`; nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.films import LibraryFilm, key, named_film
from onesheet.data.film_library.folders import DISCS, FilmFolder, Place
from onesheet.data.film_library.nfo import Nfo, read_nfo
from onesheet.errors import LibraryError, UnreadablePoster
from onesheet.images import poster_size
from onesheet.progress import Progress, silent


@dataclass(frozen=True)
class Remark:
    """What is to be said of a file or folder.

    Attributes:
        path: the file or folder.
        why: it could not be read, or was left out; in words.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Library:
    """A film library as it lies on the disk.

    Attributes:
        root: its folder.
        films: sorted by name.
        unread: what could not be read, or leaves open which genres a film has.
        left_out: what was read, but is no film's or not the one that counts.
    """

    root: Path
    films: tuple[LibraryFilm, ...]
    unread: tuple[Remark, ...]
    left_out: tuple[Remark, ...]


def scan_library(folder: str | Path, *, progress: Progress = silent) -> Library:
    """Find the films below a folder, as Kodi, Jellyfin and Plex lay them out; nothing is changed.

    A film has a folder of its own, or shares one with others and is known by the names of its files; in the library's
    folder itself it is known by them even where it is alone. Hidden folders, links to folders, series (a folder with
    tvshow.nfo) and folders of extras are not entered.

    Args:
        folder: the library.
        progress: called with the films read so far.

    Raises:
        LibraryError: no such folder, or no film in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise LibraryError(f"no such folder: {str(root)!r}; name the folder of a film library")
    scan = _Scan(root.absolute())
    places = [place for one in scan.folders() for place in scan.places(one)]
    films = []
    for number, place in enumerate(places):
        if film := scan.read(place):
            films.append(film)
        progress("scan", number + 1, len(places))
    if not films and not scan.unread:
        raise LibraryError(
            f"no film in {str(root)!r}; looked for videos, <film>.nfo and posters, and below it for movie.nfo; "
            "of a film's own folder, name the one above"
        )
    films.sort(key=lambda film: film.name)
    return Library(scan.root, tuple(films), tuple(scan.unread), tuple(scan.left_out))


def unreadable_posters(films: Sequence[LibraryFilm], *, progress: Progress = silent) -> list[Remark]:
    """The posters whose header cannot be read; their pixels are not looked at."""
    unread = []
    for number, film in enumerate(films):
        try:
            if film.poster:
                poster_size(film.poster)
        except UnreadablePoster as error:
            unread.append(Remark(film.poster or Path(), str(error)))
        progress("posters", number + 1, len(films))
    return unread


class _Scan:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: list[Remark] = []
        self.left_out: list[Remark] = []

    def folders(self) -> Iterator[FilmFolder]:
        """Every folder that may hold films."""

        def refused(error: OSError) -> None:
            self.unread.append(Remark(Path(error.filename), f"cannot be listed: {error.strerror}"))

        for where, folders, files in os.walk(self.root, onerror=refused):
            here, shown = Path(where), sorted(name for name in folders if not name.startswith("."))
            if any(key(name) == "tvshow.nfo" for name in files):
                self.left_out.append(Remark(here, "a series"))
                folders.clear()
                continue
            files = [name for name in files if not name.startswith(".")] + self._disc_nfos(here, shown)
            one = FilmFolder(where, shown, files, root=here == self.root)
            self.left_out += [Remark(here / name, "a film's extras, which are not looked at") for name in one.extras]
            self.left_out += [
                Remark(here / name, "a link to a folder, which is not followed")
                for name in one.below
                if (here / name).is_symlink()
            ]
            folders[:] = one.below
            yield one

    def _disc_nfos(self, here: Path, folders: Sequence[str]) -> list[str]:
        """The NFO files within discs, by their paths in the folder."""
        found = []
        for disc in folders:
            if wanted := DISCS.get(key(disc)):
                try:
                    found += [f"{disc}/{path.name}" for path in (here / disc).iterdir() if key(path.name) == wanted]
                except OSError as error:
                    self.unread.append(Remark(here / disc, f"cannot be listed: {error.strerror}"))
        return found

    def places(self, folder: FilmFolder) -> Iterator[Place]:
        """A folder's films; what else lies there is noted."""
        self.left_out += [
            Remark(path, "belongs to no film here; is this one film's folder, name the one above")
            for path in folder.strays
        ]
        yield from folder.places

    def read(self, place: Place) -> LibraryFilm | None:
        """The film of a place; None where its NFO is of something else."""
        path, nfo, fault = next(iter(place.nfos), None), None, ""
        try:
            nfo = read_nfo(path) if path else None
        except LibraryError as error:
            fault = str(error)
            self.unread.append(Remark(place.nfos[0], fault))
        if nfo and nfo.root not in ("", "movie"):
            self.left_out.append(Remark(place.nfos[0], f"describes a <{nfo.root}>, no film"))
            return None
        twins: tuple[Path, ...] = ()
        if nfo:
            twins, fault = self._twins(place, nfo)
        inside = place.folder.relative_to(self.root)
        own = place.own_folder and inside.name
        title, year = named_film(nfo, *([inside.name] if own else []), place.stem)
        return LibraryFilm(
            name=str(inside if own else inside / place.stem),
            title=title,
            year=year,
            poster=place.poster,
            nfo=path,
            new_nfo=place.new_nfo,
            fault=fault,
            address_only=nfo is not None and not nfo.root,
            genres=nfo.genres if nfo else (),
            lock=nfo.lock if nfo else "",
            twins=twins,
        )

    def _twins(self, place: Place, nfo: Nfo) -> tuple[tuple[Path, ...], str]:
        """A film's other NFO files; why nobody knows its genres, where one names others than the first."""
        twins = []
        for path in place.nfos[1:]:
            try:
                other = read_nfo(path)
            except LibraryError as error:
                self.unread.append(Remark(path, str(error)))
                continue
            if set(other.genres) != set(nfo.genres):
                fault = f"names other genres than {place.nfos[0].name!r}, and players do not agree on which they read"
                self.unread.append(Remark(path, f"{fault}; make them the same or delete one"))
                return (), fault
            twins.append(path)
        return tuple(twins), ""
