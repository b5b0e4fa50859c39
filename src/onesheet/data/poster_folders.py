"""Find posters: by path or by id, from one listing of each folder."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from onesheet.errors import CatalogueError
from onesheet.zipped import names_in, zip_of

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"}
)
UNSUPPORTED = frozenset({".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".pdf", ".ico"})
USUAL_FOLDERS = frozenset({"images", "image", "posters", "poster", "img", "imgs", "covers", "dataset"})

_IMDB_FIRST = re.compile(r"tt(\d{5,})(?![^\W_])", re.IGNORECASE)
_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
}


def image_suffix(data: bytes) -> str:
    """The suffix for an image's bytes, by how they begin; "" where they are no image.

    Example:
        >>> image_suffix(b"\\x89PNG and more"), image_suffix(b"posters/1.jpg")
        ('.png', '')
    """
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return ".avif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for start, suffix in _SIGNATURES.items() if data.startswith(start)), "")


def is_image(name: str) -> bool:
    """Whether a file name ends as an image does; hidden files are none.

    Example:
        >>> is_image("tt0086425.JPG"), is_image("._tt0086425.jpg")
        (True, False)
    """
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")  # noqa: PTH122 - speed


def reason_left_out(name: str) -> str:
    """Why a file of a folder is no poster there, as a count of such files reads.

    Example:
        >>> reason_left_out("a.heic"), reason_left_out("poster"), reason_left_out(".a.jpg")
        ('of the unsupported format .heic', 'without a suffix', 'hidden')
    """
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - speed
    if name.startswith("."):
        return "hidden"
    if suffix in UNSUPPORTED:
        return f"of the unsupported format {suffix}"
    return f"with the suffix {suffix[:20]}, which is no image's" if suffix else "without a suffix"


class Disk:
    """Folder listings, each read once."""

    def __init__(self) -> None:
        self._listings: dict[str, tuple[dict[str, str], list[str]]] = {}
        self._zips: dict[Path, dict[str, tuple[dict[str, str], list[str]]]] = {}

    def files(self, folder: str) -> dict[str, str]:
        """Files of one folder: composed name -> path; empty where there is no such folder."""
        return self._list(folder)[0]

    def folders(self, folder: str) -> list[str]:
        """Sub-folders of one folder, sorted; hidden ones left out."""
        return self._list(folder)[1]

    def walk(self, folder: str) -> Iterator[str]:
        """The folder and all below it, parents first; links to folders are not followed."""
        yield folder
        for below in self.folders(folder):
            if not os.path.islink(below):  # noqa: PTH114 - speed
                yield from self.walk(below)

    def in_zips(self, folder: str) -> Iterator[str]:
        """The zip files of one folder, as folders, and all folders in them."""
        for name, path in self.files(folder).items():
            if name.lower().endswith(".zip") and not name.startswith("."):
                yield from self.walk(path)

    def images(self, folder: str) -> list[str]:
        """Paths of the images of one folder, sorted."""
        return [path for name, path in self.files(folder).items() if is_image(name)]

    def _list(self, folder: str) -> tuple[dict[str, str], list[str]]:
        if folder not in self._listings:
            files, folders = {}, []
            try:
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if not entry.is_dir():
                            files[_composed(entry.name)] = entry.path
                        elif not entry.name.startswith("."):
                            folders.append(entry.path)
            except (FileNotFoundError, NotADirectoryError):
                if archive := zip_of(folder):
                    files, folders = self._in_zip(archive).get(str(Path(folder)), ({}, []))
            except ValueError:  # NUL in a written path
                pass
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:  # a name too long is only a name that is not there
                    raise CatalogueError(
                        f"cannot list the folder {folder!r}: {error.strerror}; check its permissions"
                    ) from error
            self._listings[folder] = files, folders
        return self._listings[folder]

    def _in_zip(self, archive: Path) -> dict[str, tuple[dict[str, str], list[str]]]:
        """Each folder of a zip file -> its files and sub-folders; what macOS adds is left out."""
        if archive not in self._zips:
            found: dict[str, tuple[dict[str, str], list[str]]] = {}
            self._zips[archive] = found
            for name in sorted(names_in(archive)):
                parts = name.split("/")
                if "\x00" in name or "\\" in name or {"", ".", "..", "__MACOSX"} & {*parts}:
                    continue
                place = str(archive)
                for part in parts[:-1]:
                    below = f"{place}{os.sep}{part}"
                    folders = found.setdefault(place, ({}, []))[1]
                    if below not in folders[-1:]:
                        folders.append(below)
                    place = below
                found.setdefault(place, ({}, []))[0][_composed(parts[-1])] = f"{place}{os.sep}{parts[-1]}"
        return self._zips[archive]


class PosterFolders:
    """The folders in which one table's posters are looked for."""

    def __init__(self, disk: Disk, base: Path, folders: Iterable[str]) -> None:
        """Where to look.

        Args:
            disk: the shared listings.
            base: written relative paths start here, or in one of `folders`.
            folders: posters named by id are in one of these (sub-folders are not implied).
        """
        self._disk = disk
        self.folders = tuple(dict.fromkeys(folders))
        self._bases = tuple(dict.fromkeys((str(base), *self.folders)))
        self.images: list[str] = [path for folder in self.folders for path in disk.images(folder)]
        self._joined: dict[tuple[str, str], str] = {}

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Name without suffix -> such posters; made only where a poster is not named by its path."""
        return _grouped(self.images, _stem)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self.images, lambda path: _composed(os.path.basename(path)))  # noqa: PTH119 - speed

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        return _grouped(self.images, lambda path: _stem(path).casefold())

    @cached_property
    def _by_film(self) -> dict[str, list[str]]:
        """IMDb id at the beginning of a name, or as the name of a film's folder -> such posters."""
        found: dict[str, list[str]] = {}
        for path in self.images:
            stem, folder = _stem(path), os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120 - speed
            if named := _IMDB_FIRST.match(stem) or _IMDB_FIRST.fullmatch(folder):
                found.setdefault(f"tt{int(named[1]):07d}", []).append(path)
        return found

    def by_film(self, imdb: str) -> list[str]:
        """The posters in a film's folder, or named after its IMDb id and more; of several, those called a poster."""
        found = self._by_film.get(imdb, [])
        return [path for path in found if re.search("poster|cover", os.path.basename(path), re.I)] or found  # noqa: PTH119

    def by_path(self, written: str) -> list[str]:
        """The poster that a cell names, absolute or relative to a base; two where a bare name is in several folders."""
        if not written or "\x00" in written:
            return []
        plain = written.isascii() and "\\" not in written
        names = (written,) if plain else (written, _as_windows(written), written.replace("\\", "/"))
        for name in dict.fromkeys(names) if "://" not in written else ():
            folder, last = os.path.split(name)
            found: list[str] = []
            for base in self._bases:
                if path := self._disk.files(self._join(base, folder)).get(_composed(last)):
                    found.append(path)
                    if folder or base == self._bases[0] or len(found) > 1:
                        break
            if found:
                return found
        return []

    def has(self, written: str) -> bool:
        """Whether any poster fits what a cell names."""
        return bool(self.by_path(written) or self.by_end(written) or self.by_id([written]))

    def by_end(self, written: str) -> list[str]:
        """The posters whose paths end as a written path or web address does, the longest common end alone.

        By name, or else by name without suffix, or else regardless of case.
        """
        written = written.strip("[]'\" ")
        parts = [
            _composed(part) for part in re.split(r"[/\\]+", written.split("?")[0] if "://" in written else written)
        ]
        if not parts[-1] or "\x00" in written:
            return []
        found = self._by_name.get(parts[-1])
        if not found and "://" not in written:
            stem = (
                parts[-1][: -len(suffix)] if is_image(parts[-1]) and (suffix := Path(parts[-1]).suffix) else parts[-1]
            )
            found = self._by_stem.get(stem) or self._by_folded_stem.get(stem.casefold())
        if not found or len(found) == 1:
            return found or []
        common = [_common_end(parts[:-1], Path(path).parts[:-1]) for path in found]
        return [path for path, length in zip(found, common, strict=True) if length == max(common)]

    def _join(self, base: str, folder: str) -> str:
        if (base, folder) not in self._joined:
            self._joined[base, folder] = str(Path(base, folder))  # an absolute folder wins
        return self._joined[base, folder]

    def by_id(self, ids: Iterable[str]) -> list[str]:
        """The posters whose name without suffix is one of the ids, the first id that has any."""
        return next((self._by_stem[i] for i in map(_composed, ids) if i in self._by_stem), [])


def _stem(path: str) -> str:
    return _composed(os.path.splitext(os.path.basename(path))[0])  # noqa: PTH119, PTH122 - speed


def _grouped(paths: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(key(path), []).append(path)
    return found


def _common_end(first: Sequence[str], other: Sequence[str]) -> int:
    """How many folders two paths share, from their ends."""
    pairs = zip(reversed(first), reversed(other), strict=False)
    return next(
        (length for length, (a, b) in enumerate(pairs) if a.casefold() != b.casefold()), min(len(first), len(other))
    )


def folders_beside(disk: Disk, folder: Path) -> Iterator[str]:
    """The default places for a table in `folder`: beside it, in sub-folders of the usual names, and in zip files."""
    yield str(folder)
    for below in disk.folders(str(folder)):
        if Path(below).name.lower() in USUAL_FOLDERS:
            yield from disk.walk(below)
    yield from disk.in_zips(str(folder))


def _as_windows(written: str) -> str:
    """Bytes that are no UTF-8, read as Windows-1252: the table may be so encoded while file names are not."""
    try:
        return written.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        return written.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _composed(name: str) -> str:
    """One spelling for é and e + accent, which file systems and tables write differently."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
