"""Which posters are meant: files, folders and patterns to paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from onesheet.data.poster_folders import IMAGE_SUFFIXES, is_image, reason_left_out
from onesheet.errors import CatalogueError


def find_posters(sources: Iterable[str | Path]) -> list[str]:
    """Files, folders (searched to any depth but for hidden folders, sorted) and glob patterns -> poster paths.

    A named file is taken whatever its suffix. What is missing, a folder without posters and a pattern that matches
    nothing stay in the list as they were named: predicting them then yields a Failure, so that nothing requested is
    lost and nothing stops the others.

    Raises:
        CatalogueError: there is no poster at all.
    """
    named = list(map(str, sources))
    found = [path for source in named for path in _expand(source)]
    if not any(Path(path).is_file() for path in found):
        raise CatalogueError(_none_at(named[0]) if named else "no poster named; name files, folders or patterns")
    return found


def left_out(sources: Iterable[str | Path]) -> dict[str, list[str]]:
    """The files that `find_posters` passes over in folders: why -> their paths, sorted.

    Example:
        >>> left_out([])
        {}
    """
    found: dict[str, list[str]] = {}
    for source in map(str, sources):
        for where, folders, names in os.walk(source):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if not is_image(name):
                    found.setdefault(reason_left_out(name), []).append(os.path.normpath(os.path.join(where, name)))  # noqa: PTH118
    return {why: sorted(found[why]) for why in sorted(found, key=lambda why: (-len(found[why]), why))}


def _none_at(source: str) -> str:
    """Why there is no poster where one was looked for."""
    if "://" in source:
        return f"{source!r} is an address, and nothing is fetched; download the poster and name the file"
    if Path(source).is_dir():
        return f"no poster in the folder {source!r} or below; looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
    if glob.has_magic(source):
        return f"nothing matches {source!r}; check the pattern"
    return f"no such file or folder: {source!r}; check the path"


def _expand(source: str) -> Iterator[str]:
    path = Path(source)
    if path.is_dir() and not is_image(path.name):
        yield from sorted(_below(source)) or [source]
    elif not path.exists() and glob.has_magic(source):
        matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        for match in matches or [source]:
            yield from [match] if not Path(match).is_dir() or is_image(match) else sorted(_below(match)) or [match]
    else:
        yield source


def _below(folder: str) -> Iterator[str]:
    """Image files at any depth, broken links and folders that cannot be read too: predicting those yields a Failure.

    Hidden folders hold what a system or a program keeps for itself: thumbnails, deleted files.
    """
    rejected: list[str] = []
    for where, folders, names in os.walk(folder, onerror=lambda error: rejected.append(error.filename)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.normpath(os.path.join(where, name)) for name in names if is_image(name))  # noqa: PTH118
    yield from rejected
