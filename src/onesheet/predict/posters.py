"""Which posters are meant: files, folders and patterns to paths."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from onesheet.data.posters import IMAGE_SUFFIXES
from onesheet.errors import CatalogueError


def find_posters(sources: Iterable[str | Path]) -> list[str]:
    """Files, folders (searched to any depth, sorted) and glob patterns -> poster paths.

    A named file is taken whatever its suffix, and also when it is missing: predicting it then gives a Failure,
    so that nothing asked for is lost.

    Raises:
        CatalogueError: a folder without posters, or a pattern that matches nothing.
    """
    return [path for source in sources for path in _expand(str(source))]


def _expand(source: str) -> Iterator[str]:
    path = Path(source)
    if path.is_dir() and path.suffix.lower() not in IMAGE_SUFFIXES:
        found = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        if not found:
            raise CatalogueError(
                f"no poster found in folder {source!r}; looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        yield from found
    elif not path.exists() and glob.has_magic(source):
        found = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not found:
            raise CatalogueError(f"no file matches {source!r}; check the pattern or quote the file's name")
        yield from found
    else:
        yield source
