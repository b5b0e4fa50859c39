"""Which posters are meant: files, folders and patterns to paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from onesheet.data.posters import IMAGE_SUFFIXES, is_image
from onesheet.errors import CatalogueError


def find_posters(sources: Iterable[str | Path]) -> list[str]:
    """Files, folders (searched to any depth, sorted) and glob patterns -> poster paths.

    A named file is taken whatever its suffix, and also when it is missing: predicting it then gives a Failure,
    so that nothing asked for is lost.

    Raises:
        CatalogueError: a folder without posters, a pattern that matches nothing, or nothing that was named is there.
    """
    found = [path for source in sources for path in _expand(str(source))]
    if not any(map(os.path.lexists, found)):
        raise CatalogueError(f"no such file or folder: {', '.join(map(repr, found[:3]))}; check the name")
    return found


def _expand(source: str) -> Iterator[str]:
    path = Path(source)
    if path.is_dir() and not is_image(path.name):
        found = sorted(_below(source))
        if not found:
            raise CatalogueError(
                f"no poster found in folder {source!r}; looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        yield from found
    elif not path.exists() and glob.has_magic(source):
        matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not matches:
            raise CatalogueError(f"no file matches {source!r}; check the pattern or quote the file's name")
        for match in matches:
            yield from [match] if not Path(match).is_dir() or is_image(match) else sorted(_below(match))
    else:
        yield source


def _below(folder: str) -> Iterator[str]:
    """Image files at any depth, broken links too: predicting those gives a Failure."""

    def refuse(error: OSError) -> None:
        raise CatalogueError(f"cannot read folder {error.filename!r}: {error.strerror}; check its permissions")

    for where, _, names in os.walk(folder, onerror=refuse):
        yield from (os.path.normpath(os.path.join(where, name)) for name in names if is_image(name))  # noqa: PTH118
