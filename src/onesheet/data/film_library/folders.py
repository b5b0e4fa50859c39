"""Which files of one folder belong together: films, their NFO files and posters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.films import key, title_and_year, without_tags
from onesheet.data.poster_folders import is_image

# fmt: off
VIDEO_SUFFIXES = frozenset((  # Jellyfin's, and .disc, a stub for a disc on a shelf
    ".001", ".3g2", ".3gp", ".amv", ".asf", ".asx", ".avi", ".bin", ".bivx", ".disc", ".divx", ".dv", ".dvr-ms", ".f4v",
    ".fli", ".flv", ".ifo", ".img", ".iso", ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe",
    ".mpeg", ".mpg", ".mts", ".mxf", ".nrg", ".nsv", ".nuv", ".ogg", ".ogm", ".ogv", ".pva", ".qt", ".rec", ".rm",
    ".rmvb", ".strm", ".svq3", ".tp", ".ts", ".ty", ".viv", ".vob", ".vp3", ".webm", ".wmv", ".wtv", ".wvx", ".xvid",
))
DISCS = {"video_ts": "video_ts.nfo", "bdmv": "index.nfo"}  # disc folder -> its NFO
_DISC_FILES = frozenset(("video_ts.ifo", "video_ts.vob", "video_ts.bup", "index.bdmv"))  # of a disc without that folder
EXTRAS = frozenset((
    "backdrops", "behind the scenes", "bonus", "clips", "deleted scenes", "extrafanart", "extras", "extrathumbs",
    "featurettes", "interviews", "other", "plex versions", "proof", "sample", "samples", "scenes", "shorts", "subs",
    "subtitles", "theme-music", "trailer", "trailers",
))
# fmt: on
POSTER_NAMES = ("poster", "folder", "cover", "default", "movie", "show")
_EXTRA = re.compile(
    r"(?:^|[-._])(?:trailer|sample)s?[-._ ]?\d{0,2}$|^sample[-._]|-(?:behindthescenes|clip|deleted|deletedscene|extra|"
    r"featurette|interview|other|scene|scrapbook|short)[-._ ]?\d{0,2}$"
)
_SPACED_EXTRA = re.compile(r"(.+?)(?: -)? (?:trailer|sample)s?[-._ ]?\d{0,2}$")
_PART = re.compile(r"[ ._-]+(?:cd|dvd|part|pt|disc|disk)[ ._-]*[0-9a-d]$", re.IGNORECASE)
_DISC_FOLDER = re.compile(r"(?:.*[ ._-])?(?:cd|dvd|disc|disk)[ ._-]*\d{1,2}$")
_VERSION = re.compile(
    r"$|\s*- |\s*[\[{(]|[._ -]+(?:\d{3,4}[pi]|[48]k|3d|uhd|hdr|hd|sd|bluray|blu-ray|bdrip|brrip|dvdrip|remux|web|"
    r"webrip|web-dl|hdtv|extended|director|theatrical|unrated|uncut|imax|final cut|remastered|cd|dvd|disc|disk|part|pt)"
)
_EPISODE = re.compile(r"\bs\d{1,4}[ ._-]?e\d{1,4}|(?:^|[ ._\[-])\d{1,2}x\d{2,3}(?:$|[ ._\]-])")
_SEASON = re.compile(r"(?:season|series|staffel|saison|temporada|stagione|seizoen)[ ._-]*\d{1,4}$|s\d{1,2}$|specials$")


@dataclass(frozen=True)
class Place:
    """The files of one film.

    Attributes:
        folder: the folder.
        stem: the name that its files begin with; the folder's name for a film with its own folder and no video.
        posters: paths of candidates for the poster, the likeliest first.
        nfos: its NFO files; the first one's title counts.
        new_nfo: where a new NFO would be made.
        own_folder: whether the folder contains this film only.
        unclear: names of files that belong to this film or to another one in the folder.
    """

    folder: Path
    stem: str
    posters: tuple[Path, ...]
    nfos: tuple[Path, ...]
    new_nfo: Path
    own_folder: bool
    unclear: tuple[str, ...] = ()


class FilmFolder:
    """The files of one folder, grouped by film.

    Attributes:
        places: one for each film.
        below: names of the sub-folders that may contain more films.
        extras: names of the sub-folders with extras of the folder's film.
        other_nfos: NFO files that belong to no film here.
        episodes: names of videos that are episodes of a TV show.
    """

    def __init__(
        self, folder: str, folders: Sequence[str], files: Sequence[str], *, root: bool, show: str = ""
    ) -> None:
        """Group the files; the library's `root` is never a film's own folder.

        Args:
            folder: its path.
            folders: names of its sub-folders.
            files: names of its files, and relative paths of the NFO files in disc folders.
            root: whether this is the library's own folder.
            show: name of the file tvshow.nfo, if the folder is a TV show's.
        """
        self.path = self._folder = Path(folder)
        self._files = sorted(files)
        self._discs = any(key(name) in DISCS for name in folders) or any(key(n) in _DISC_FILES for n in files)
        self._nfos = {key(_stem(name)): name for name in self._files if key(name).endswith(".nfo")}
        self._images: dict[str, str] = {}
        for name in sorted(self._files, key=_image_rank):
            if is_image(name) or key(name).endswith(".tbn"):
                self._images.setdefault(key(_stem(name)), name)
        self.episodes: list[str] = []
        stems = [[self._folder.name]] if show else self._stems(folders, root=root)
        own = len(stems) == 1 and not root
        self.extras = [name for name in folders if (own and key(name) in EXTRAS) or key(name) == "plex versions"]
        inside = {*self.extras, *(name for name in folders if own and self._is_disc(name)), *_discs(folders)}
        self.below = [name for name in folders if name not in inside]
        alone = not stems and not root and not self.episodes
        if alone and ("movie" in self._nfos or (not self.below and any(self._posters((), own=True)))):
            stems, own = [[self._folder.name]], True
        several = (
            ()
            if root or own
            else tuple(n for k, n in (*self._nfos.items(), *self._images.items()) if k in _FOLDER_NAMES)
        )
        self.places = [self._place(stem, own, several) for stem in stems]
        used = {path for place in self.places for path in place.nfos}
        self.other_nfos = [path for name in self._nfos.values() if (path := self._folder / name) not in used]

    @staticmethod
    def _is_disc(name: str) -> bool:
        return _DISC_FOLDER.match(key(name)) is not None

    def _stems(self, folders: Sequence[str], *, root: bool) -> list[list[str]]:
        """The names without suffix of each film's videos; parts and versions of one film are together."""
        if self._discs:
            return [[self._folder.name]]
        videos = self._videos()
        if not videos:
            if not root and any(map(self._is_disc, folders)):  # "CD1", "Disc 2": a film in several folders
                return [[self._folder.name]]
            if self.episodes:
                return []
            nfos = [_stem(name) for stem, name in self._nfos.items() if stem not in ("movie", "tvshow", "season")]
            posters = [_stem(name) for stem, name in self._images.items() if stem.endswith("-poster")]
            return [[stem] for stem in nfos] or [[stem[: -len("-poster")]] for stem in posters if not self._nfos]
        if not root and self._one_film(videos) and self._all_of_the_folder(videos):
            return self._of_parts(videos)
        films: dict[str, list[str]] = {}
        for stem in videos:
            films.setdefault(key(_PART.sub("", without_tags(stem))), []).append(stem)
        return [named for stems in films.values() for named in self._of_parts(stems)]

    def _videos(self) -> list[str]:
        """Names of videos without suffix, but for trailers and samples; episodes go to `episodes`."""
        stems = [_stem(name) for name in self._files if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES]  # noqa: PTH122
        stems = list(dict.fromkeys(stem for stem in stems if not _EXTRA.search(key(stem))))
        all_keys = set(map(key, stems))
        spaced = {stem: found[1] for stem in stems if (found := _SPACED_EXTRA.match(key(stem)))}
        stems = [
            stem for stem in stems if not any(one.startswith(spaced.get(stem, "\0")) for one in all_keys - {key(stem)})
        ]
        season = _SEASON.match(key(self._folder.name)) is not None
        self.episodes = [stem for stem in stems if season or _EPISODE.search(key(stem))]
        return [stem for stem in stems if stem not in self.episodes]

    def _all_of_the_folder(self, stems: Sequence[str]) -> bool:
        """Whether all videos have the folder's name: versions and parts of one film."""
        name = key(without_tags(self._folder.name))
        if all(key(stem).startswith(name) and _VERSION.match(key(stem)[len(name) :]) for stem in stems):
            return True
        named = title_and_year(self._folder.name)
        return named is not None and all(title_and_year(stem) == named for stem in stems)

    def _of_parts(self, stems: list[str]) -> list[list[str]]:
        """Videos that differ by a number or a tag: one film, with the name of the whole first; or several films."""
        if len(stems) == 1 or not self._one_film(stems):
            return [[stem] for stem in stems]
        return [list(dict.fromkeys([_PART.sub("", min(stems, key=len)), *stems]))]

    def _one_film(self, stems: list[str]) -> bool:
        """Whether videos may be one film's: not if several have an NFO."""
        return sum(key(stem) in self._nfos for stem in stems) <= 1

    def _place(self, stems: list[str], own: bool, unclear: tuple[str, ...]) -> Place:
        discs = ["video_ts", "index"] if self._discs else []
        names = discs + (["movie"] if own else []) + [key(stem) for stem in stems]
        names = ["tvshow"] if "tvshow" in self._nfos else names
        nfos = [self._folder / self._nfos[name] for name in dict.fromkeys(names) if name in self._nfos]
        several = self._discs or len(stems) > 1 or key(stems[0]) in self._nfos
        new = self._folder / f"{'movie' if own and several else stems[0]}.nfo"
        return Place(self._folder, stems[0], tuple(self._posters(stems, own=own)), tuple(nfos), new, own, unclear)

    def _posters(self, stems: Iterable[str], *, own: bool) -> Iterator[Path]:
        """A film's posters, in Jellyfin's order; `.tbn` thumbnails come last."""
        begins = [key(stem) for stem in stems]
        names = [*begins, *(f"{begin}-{name}" for begin in begins for name in POSTER_NAMES)]
        found = [self._images[n] for n in (*names, *(POSTER_NAMES if own else ())) if n in self._images]
        for name in sorted(dict.fromkeys(found), key=lambda name: key(name).endswith(".tbn")):
            yield self._folder / name


_FOLDER_NAMES = frozenset((*POSTER_NAMES, "movie"))


def _discs(folders: Iterable[str]) -> list[str]:
    return [name for name in folders if key(name) in DISCS]


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]  # noqa: PTH119, PTH122 - speed


def _image_rank(name: str) -> tuple[bool, str]:
    """Of images with one name, JPEG and PNG come first and .tbn, which may be any format, last."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - speed
    return suffix == ".tbn", suffix
