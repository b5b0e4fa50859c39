"""Where posters lie: by path or by id, from one listing of each folder."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from onesheet.errors import CatalogueError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"}
)
UNSUPPORTED = frozenset({".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".pdf", ".ico"})
USUAL_FOLDERS = frozenset({"images", "image", "posters", "poster", "img", "imgs", "covers", "dataset"})

_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
}


def image_suffix(data: bytes) -> str:
    """The suffix for an image's bytes, told from how they begin; "" where they are no image.

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
            except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in a written path
                pass
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:  # a name too long is only a name that is not there
                    raise CatalogueError(
                        f"cannot list the folder {folder!r}: {error.strerror}; check its permissions"
                    ) from error
            self._listings[folder] = files, folders
        return self._listings[folder]


class PosterFolders:
    """The folders in which one table's posters are looked for."""

    def __init__(self, disk: Disk, base: Path, folders: Iterable[str]) -> None:
        """Where to look.

        Args:
            disk: the shared listings.
            base: written relative paths start here, or in one of `folders`.
            folders: posters named by id lie in one of these (sub-folders are not implied).
        """
        self._disk = disk
        self.folders = tuple(dict.fromkeys(folders))
        self._bases = tuple(dict.fromkeys((str(base), *self.folders)))
        self.images: list[str] = [path for folder in self.folders for path in disk.images(folder)]
        self._joined: dict[tuple[str, str], str] = {}

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        """Name without suffix -> the first such poster; made only where a poster is not named by its path."""
        return {_composed(Path(path).stem): path for path in reversed(self.images)}

    def by_path(self, written: str) -> str | None:
        """The poster that a cell names: absolute, relative to a base, or ("/x.jpg", a web address) by end."""
        if not written or "\x00" in written:
            return None
        names = (written, _as_windows(written), written.replace("\\", "/"))
        for name in dict.fromkeys(names) if "://" not in written else ():
            folder, last = os.path.split(name)
            for base in self._bases:
                if found := self._disk.files(self._join(base, folder)).get(_composed(last)):
                    return found
        last = written.rsplit("/", 1)[-1]
        if "://" in written or written == f"/{last}":
            for folder in self.folders:
                if found := self._disk.files(folder).get(_composed(last)):
                    return found
        return None

    def _join(self, base: str, folder: str) -> str:
        if (base, folder) not in self._joined:
            self._joined[base, folder] = str(Path(base, folder))  # an absolute folder wins
        return self._joined[base, folder]

    def by_id(self, ids: Iterable[str]) -> str | None:
        """The poster whose name without suffix is one of the ids."""
        return next((self._by_stem[i] for i in map(_composed, ids) if i in self._by_stem), None)


def folders_beside(disk: Disk, folder: Path) -> Iterator[str]:
    """The default places for a table in `folder`: beside it, and in sub-folders of the usual names."""
    yield str(folder)
    for below in disk.folders(str(folder)):
        if Path(below).name.lower() in USUAL_FOLDERS:
            yield from disk.walk(below)


def _as_windows(written: str) -> str:
    """Bytes that are no UTF-8, read as Windows-1252: the table may be so encoded while file names are not."""
    try:
        return written.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        return written.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _composed(name: str) -> str:
    """One spelling for é and e + accent, which file systems and tables write differently."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
