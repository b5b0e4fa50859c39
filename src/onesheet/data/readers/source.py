"""What a layout makes of a path: tables, and the folders with their posters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from onesheet.data.poster_folders import Disk
from onesheet.data.tables import Table


@dataclass(frozen=True)
class Source:
    """One catalogue as it is on disk.

    Attributes:
        name: the file's or folder's name.
        tables: its tables.
        folder: posters are looked for in all of this folder; None = beside each table.
        one_row_a_film: whether a film in several rows is worth a finding.
        imdb_numbers: whether posters may be named by IMDb ids that lost their "tt".
        unlabelled: tables and folders that were left out as they have no genres, each with the reason.
    """

    name: str
    tables: tuple[Table, ...]
    folder: Path | None = None
    one_row_a_film: bool = True
    imdb_numbers: bool = True
    unlabelled: tuple[str, ...] = ()


class Layout(NamedTuple):
    """A layout: whether a path is one, and how it is read, given the folders of posters (None = none were passed)."""

    recognises: Callable[[Path, Disk], bool]
    read: Callable[[Path, Disk, Sequence[str] | None], Source]


def name_of(path: Path) -> str:
    """The name of a file or folder, of "." too."""
    return path.name or path.absolute().name
