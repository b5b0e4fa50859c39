"""scan_library: a folder of films to a `Library`; nothing is changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from onesheet.data.film_library.films import LibraryFilm, ids_in, key, meanings, named_film, title_and_year
from onesheet.data.film_library.folders import DISCS, VIDEO_SUFFIXES, FilmFolder, Place
from onesheet.data.film_library.nfo import Nfo, NotAnNfo, read_nfo
from onesheet.errors import LibraryError, UnreadablePoster
from onesheet.images import poster_size
from onesheet.progress import Progress, shown

Kind = Literal["movies", "shows"]
ROOTS: dict[Kind, str] = {"movies": "movie", "shows": "tvshow"}
IGNORED = frozenset(("#recycle", "$recycle.bin", "@eadir", "@recycle", "lost+found", "system volume information"))
SMALL = 100
"""Pixels of the longer side below which a picture is a thumbnail."""


@dataclass(frozen=True)
class Remark:
    """A file or folder that could not be read or was left out.

    Attributes:
        path: the file or folder.
        why: the reason, in words.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Library:
    """A film library.

    Attributes:
        root: its folder.
        films: sorted by name.
        unread: what could not be read, or leaves open which genres a film has.
        left_out: what belongs to no film, is skipped as players skip it, or is not used.
    """

    root: Path
    films: tuple[LibraryFilm, ...]
    unread: tuple[Remark, ...]
    left_out: tuple[Remark, ...]

    @property
    def left_out_counts(self) -> Counter[str]:
        """Reason -> number of files and folders left out, the most frequent first."""
        return Counter(dict(Counter(remark.why for remark in self.left_out).most_common()))


def scan_library(
    folder: str | Path, *, kind: Kind = "movies", exclude: Sequence[str] = (), progress: Progress = shown
) -> Library:
    """Find the films below a folder, by the rules of Kodi, Jellyfin and Plex; nothing is changed.

    A film has its own folder, or shares one with others and is identified by the names of its files. In the library's
    own folder the names always count. As in players, hidden folders, system folders, folders with `.ignore` or
    `.nomedia` and folders of extras are not entered. A link to a folder is followed once.

    Args:
        folder: the library.
        kind: "movies", or "shows": the folders with a tvshow.nfo, never their seasons and episodes.
        exclude: patterns of names or paths below the library to leave out, such as "Kids" or "*/Old/*".
        progress: called with the number of films read.

    Raises:
        LibraryError: there is no such folder, or no film in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise LibraryError(f"no such folder: {str(root)!r}; pass the folder of a film library")
    scan = _Scan(root.absolute(), kind, exclude)
    places = [place for one in scan.folders() for place in scan.places(one)]
    films = []
    for number, place in enumerate(places):
        if film := scan.read(place):
            films.append(film)
        progress("scan", number + 1, len(places))
    if not films and not scan.unread and not scan.left_out:
        looked = "<film>.nfo and posters, and below it for movie.nfo" if kind == "movies" else "tvshow.nfo below it"
        what = "film" if kind == "movies" else "show"
        raise LibraryError(
            f"no {what} in {str(root)!r}; looked for {'videos, ' if kind == 'movies' else ''}{looked}; "
            f"for a {what}'s own folder, pass the one above"
        )
    films.sort(key=lambda film: film.name)
    return Library(scan.root, tuple(films), tuple(scan.unread), tuple(scan.left_out))


def unreadable_posters(films: Sequence[LibraryFilm], *, progress: Progress = shown) -> list[Remark]:
    """The posters whose header cannot be read; pixels are not decoded."""
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
    def __init__(self, root: Path, kind: Kind, exclude: Sequence[str]) -> None:
        self.root = root
        self.unread: list[Remark] = []
        self.left_out: list[Remark] = []
        self._kind = kind
        self._exclude = [pattern.casefold() for pattern in exclude]
        self._real_root = os.path.realpath(root)
        self._seen: set[str] = set()
        self._links: list[str] = []

    def folders(self) -> Iterator[FilmFolder]:
        """Every folder that may contain films, once; those behind links come last."""
        yield from self._below(str(self.root))
        while self._links:
            link = self._links.pop(0)
            if os.path.realpath(link) in self._seen:
                self.left_out.append(Remark(Path(link), "link to a folder that is read in its own place"))
            else:
                yield from self._below(link)

    def _below(self, top: str) -> Iterator[FilmFolder]:
        waiting = [top]
        while waiting:
            where = waiting.pop()
            real = os.path.realpath(where)
            if real in self._seen:
                continue
            self._seen.add(real)
            listed = self._listed(where)
            if listed is None:
                continue
            folders, files = listed
            here = Path(where)
            if show := next((name for name in files if key(name) == "tvshow.nfo"), None):
                if self._kind == "shows":
                    yield FilmFolder(where, [], [n for n in files if not _is_video(n)], root=False, show=show)
                else:
                    self.left_out.append(Remark(here, "TV show; --kind shows reads its tvshow.nfo"))
                continue
            one = FilmFolder(where, folders, files + self._disc_nfos(here, folders), root=here == self.root)
            self.left_out += [Remark(here / name, "extras of a film") for name in one.extras]
            inside = [os.path.join(where, name) for name in one.below]  # noqa: PTH118 - speed
            links = {path for path in inside if os.path.islink(path)}  # noqa: PTH114 - speed
            self._links += sorted(links)
            waiting += [path for path in reversed(inside) if path not in links]
            if self._kind == "movies":
                yield one

    def _listed(self, where: str) -> tuple[list[str], list[str]] | None:
        """The folders and files that players read; None if they skip the folder."""
        folders, files, patterns = [], [], []
        try:
            with os.scandir(where) as entries:
                for entry in entries:
                    name = entry.name
                    if name in (".ignore", ".nomedia"):
                        patterns += _patterns(Path(entry.path))
                    elif name.startswith("."):
                        continue
                    elif not entry.is_dir():
                        files.append(name)
                    elif key(name) in IGNORED:
                        self.left_out.append(Remark(Path(entry.path), "system folder, which players skip"))
                    else:
                        folders.append(name)
        except OSError as error:
            self.unread.append(Remark(Path(where), f"cannot be listed: {error.strerror}"))
            return None
        if "*" in patterns:
            self.left_out.append(Remark(Path(where), "folder with .ignore or .nomedia, which players skip"))
            return None
        if patterns or self._exclude:
            folders = self._not_excluded(where, folders, patterns)
            files = self._not_excluded(where, files, patterns)
        return sorted(folders), files

    def _not_excluded(self, where: str, names: list[str], patterns: Sequence[str]) -> list[str]:
        kept = []
        for name in names:
            inside = Path(where, name).relative_to(self.root).as_posix().casefold()
            if any(fnmatchcase(name.casefold(), one.rstrip("/").casefold()) for one in patterns) or any(
                fnmatchcase(name.casefold(), one) or fnmatchcase(inside, one) or fnmatchcase(f"{inside}/", one)
                for one in self._exclude
            ):
                self.left_out.append(Remark(Path(where, name), "excluded by a pattern"))
            else:
                kept.append(name)
        return kept

    def _disc_nfos(self, here: Path, folders: Sequence[str]) -> list[str]:
        """The NFO files inside disc folders, as paths relative to the folder."""
        found = []
        for disc in folders:
            if disc_name := DISCS.get(key(disc)):
                try:
                    found += [f"{disc}/{path.name}" for path in (here / disc).iterdir() if key(path.name) == disc_name]
                except OSError as error:
                    self.unread.append(Remark(here / disc, f"cannot be listed: {error.strerror}"))
        return found

    def places(self, folder: FilmFolder) -> Iterator[Place]:
        """The films of a folder; its other NFO files and its episodes are added to `left_out`."""
        why = "belongs to no film here; if this is one film's folder, pass the one above"
        if len(folder.places) > 1 and folder.places[0].unclear:
            why = "several videos are here, and it is unclear whose it is"
        self.left_out += [Remark(path, why) for path in folder.other_nfos]
        episode = "episode of a TV show; --kind shows reads shows"
        self.left_out += [Remark(folder.path / name, episode) for name in folder.episodes]
        yield from folder.places

    def read(self, place: Place) -> LibraryFilm | None:
        """The film of a place; None if its NFO describes something else."""
        found, fault = self._nfos(place)
        if found is None:
            return None
        path, nfo = next(iter(found), (None, None))
        if fault and not found:
            path, nfo = place.nfos[0], None
        elif nfo and not fault:
            fault = self._difference(found)
        inside = place.folder.relative_to(self.root)
        own = place.own_folder and inside.name
        names = (*([inside.name] if own else []), place.stem)
        title, year = named_film(nfo, *names)
        posters = _by_looks(place.posters)
        return LibraryFilm(
            name=str(inside if own else inside / place.stem),
            title=title,
            year=year,
            poster=posters[0] if posters else None,
            nfo=path,
            new_nfo=place.new_nfo,
            fault=fault,
            web_address=nfo is not None and nfo.address and not nfo.genres,
            genres=nfo.genres if nfo else (),
            lock=nfo.lock if nfo else "",
            twins=() if fault else tuple(other for other, _ in found[1:]),
            more_posters=tuple(posters[1:]),
            ids=ids_in(*names) | (nfo.ids if nfo else {}),
            is_named=any(map(title_and_year, names)),
            is_show=self._kind == "shows",
            outside=not _is_within(place.folder, self.root, self._real_root),
            unclear=place.unclear,
        )

    def _nfos(self, place: Place) -> tuple[list[tuple[Path, Nfo]] | None, str]:
        """A film's usable NFO files, the main one first, and why none is usable; None if they describe something else.

        XML with the right root is usable. A web address alone is used only if there is no such XML.
        """
        root, found, addresses, fault, others = ROOTS[self._kind], [], [], "", 0
        for path in place.nfos:
            try:
                nfo = read_nfo(path)
            except NotAnNfo as error:
                self.left_out.append(Remark(path, str(error)))
            except LibraryError as error:
                fault = fault or str(error)
                self.unread.append(Remark(path, str(error)))
            else:
                if not nfo.root:
                    addresses.append((path, nfo))
                elif nfo.root == root:
                    found.append((path, nfo))
                else:
                    others += 1
                    self.left_out.append(Remark(path, f"describes a <{nfo.root}>, not a <{root}>"))
        if found:
            self.left_out += [Remark(path, "only a web address, beside an NFO with a film") for path, _ in addresses]
            return found, ""
        if addresses:
            return addresses[:1], ""
        return (None if others and not fault else []), fault

    def _difference(self, found: Sequence[tuple[Path, Nfo]]) -> str:
        """Why a film's genres are unknown: another of its NFO files has other genres than the first; else ""."""
        first, nfo = found[0]
        for path, other in found[1:]:
            if meanings(other.genres) != meanings(nfo.genres):
                fault = f"has other genres than {first.name!r}, and players do not agree on which they read"
                self.unread.append(Remark(path, f"{fault}; make them the same or delete one"))
                return fault
        return ""


def _by_looks(posters: Sequence[Path]) -> Sequence[Path]:
    """Portraits first, then landscapes, then thumbnails, then what cannot be read."""
    if len(posters) < 2:
        return posters

    def rank(path: Path) -> int:
        try:
            height, width = poster_size(path)
        except UnreadablePoster:
            return 3
        return 2 if max(height, width) < SMALL else int(width > height)

    return sorted(posters, key=rank)


def _is_within(folder: Path, root: Path, real_root: str) -> bool:
    """Whether a folder is in the library, and not behind a link to elsewhere."""
    inside = folder
    while inside != root:
        if inside.is_symlink():
            return Path(os.path.realpath(folder)).is_relative_to(real_root)
        inside = inside.parent
    return True


def _patterns(path: Path) -> list[str]:
    """The patterns in an `.ignore`; "*" for `.nomedia` and an empty `.ignore`."""
    try:
        lines = path.read_text("utf-8", "replace")[:10_000].splitlines() if path.name == ".ignore" else []
    except OSError:
        lines = []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")] or ["*"]


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - speed
