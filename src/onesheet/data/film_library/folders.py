"""What the files of one folder are to each other: films, their NFO files and posters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onesheet.data.film_library.films import key
from onesheet.data.poster_folders import is_image

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3gp", ".asf", ".avi", ".disc", ".divx", ".flv", ".img", ".iso", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".ogm", ".ogv", ".rm", ".rmvb", ".strm", ".ts", ".vob", ".webm", ".wmv",
))
DISCS = {"video_ts": "video_ts.nfo", "bdmv": "index.nfo"}  # a disc's folder -> its NFO in there
EXTRAS = frozenset((
    "backdrops", "behind the scenes", "clips", "deleted scenes", "extrafanart", "extras", "extrathumbs",
    "featurettes", "interviews", "other", "samples", "scenes", "shorts", "subs", "subtitles", "theme-music",
    "trailers",
))
# fmt: on
POSTER_NAMES = ("poster", "folder", "cover", "default", "movie")
_EXTRA = re.compile(
    r"(?:^|[-._])(?:trailer|sample)$|-(?:behindthescenes|clip|deleted|deletedscene|extra|featurette|interview|other|scene|short)$"
)
_PART = re.compile(r"[ ._-]+(?:cd|dvd|part|pt|disc|disk)[ ._-]*[0-9a-d]$", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where one film's files lie.

    Attributes:
        folder: the folder.
        stem: the name its files begin with; of a film with a folder of its own and no video, the folder's.
        poster: path of its poster, None where there is none.
        nfos: its NFO files, the one whose title counts in front.
        new_nfo: where one would be made.
        own_folder: whether the folder is this film's alone.
    """

    folder: Path
    stem: str
    poster: Path | None
    nfos: tuple[Path, ...]
    new_nfo: Path
    own_folder: bool


class FilmFolder:
    """One folder's files and what they belong to.

    Attributes:
        places: one for each film.
        below: names of the sub-folders in which more films may lie.
        extras: names of those with the extras of the folder's film.
        strays: NFO files that belong to no film here.
    """

    def __init__(self, folder: str, folders: Sequence[str], files: Sequence[str], *, root: bool) -> None:
        """`files` are by their paths in the folder, with those of discs' NFO files; no film has the `root` alone."""
        self._folder = Path(folder)
        self._files = sorted(files)
        self._discs = any(key(name) in DISCS for name in folders)
        self._nfos = {key(Path(name).stem): name for name in self._files if key(name).endswith(".nfo")}
        self._images: dict[str, str] = {}
        for name in sorted(self._files, key=_image_rank):
            if is_image(name) or key(name).endswith(".tbn"):
                self._images.setdefault(key(Path(name).stem), name)
        stems = self._stems()
        own = len(stems) == 1 and not root
        self.extras = [name for name in folders if own and key(name) in EXTRAS]
        self.below = [name for name in folders if key(name) not in DISCS and name not in self.extras]
        if not stems and not root and ("movie" in self._nfos or (not self.below and any(self._posters((), own=True)))):
            stems, own = [[self._folder.name]], True
        self.places = [self._place(stem, own) for stem in stems]
        used = {path for place in self.places for path in place.nfos}
        self.strays = [path for name in self._nfos.values() if (path := self._folder / name) not in used]

    def _stems(self) -> list[list[str]]:
        """The names of each film's videos without suffix, parts and versions of one film together."""
        if self._discs:
            return [[self._folder.name]]
        videos = [Path(name).stem for name in self._files if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        videos = [stem for stem in videos if not stem.startswith(".") and not _EXTRA.search(key(stem))]
        if not videos:
            nfos = [Path(name).stem for stem, name in self._nfos.items() if stem != "movie"]
            posters = [Path(name).stem for stem, name in self._images.items() if stem.endswith("-poster")]
            return [[stem] for stem in nfos] or [[stem[: -len("-poster")]] for stem in posters if not self._nfos]
        version = re.compile(re.escape(key(self._folder.name)) + r"($| - |\s*\[)")
        if all(version.match(key(stem)) for stem in videos) and self._one_film(videos):
            return [videos]
        films: dict[str, list[str]] = {}
        for stem in videos:
            films.setdefault(key(_PART.sub("", stem)), []).append(stem)
        return [named for stems in films.values() for named in self._of_parts(stems)]

    def _of_parts(self, stems: list[str]) -> list[list[str]]:
        """Videos that differ by a number: one film, whose files may be named after the whole; or films of their own."""
        if len(stems) == 1 or not self._one_film(stems):
            return [[stem] for stem in stems]
        return [[_PART.sub("", stems[0]), *stems]]

    def _one_film(self, stems: list[str]) -> bool:
        """Whether videos may be one film's: not where several have an NFO."""
        return sum(key(stem) in self._nfos for stem in stems) <= 1

    def _place(self, stems: list[str], own: bool) -> Place:
        discs = ["video_ts", "index"] if self._discs else []
        names = discs + (["movie"] if own else []) + [key(stem) for stem in stems]
        nfos = [self._folder / self._nfos[name] for name in dict.fromkeys(names) if name in self._nfos]
        new = "movie" if own and self._discs else stems[0]
        poster = next(self._posters(stems, own=own), None)
        return Place(self._folder, stems[0], poster, tuple(nfos), self._folder / f"{new}.nfo", own)

    def _posters(self, stems: Iterable[str], *, own: bool) -> Iterator[Path]:
        """A film's posters, in Jellyfin's order."""
        begins = [key(stem) for stem in stems]
        names = [*begins, *(f"{begin}-{name}" for begin in begins for name in POSTER_NAMES)]
        for name in (*names, *(POSTER_NAMES if own else ())):
            if name in self._images:
                yield self._folder / self._images[name]


def _image_rank(name: str) -> tuple[bool, str]:
    """Of images with one name, JPEG and PNG come before the rest, and .tbn last, as its name says nothing."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - speed
    return suffix == ".tbn", suffix
