"""GenreSet: genre names in column order, to and from multi-hot rows, and whether two sets agree."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import BundleError, CatalogueError


@dataclass(frozen=True)
class GenreSet:
    """Genre names in column order.

    Example:
        >>> genres = GenreSet(["Comedy", "Drama"])
        >>> genres.encode([["Drama"], ["Comedy", "Drama"]]).tolist()
        [[False, True], [True, True]]
        >>> genres.decode(genres.encode([["Drama"]]))
        [('Drama',)]
    """

    names: tuple[str, ...]
    _columns: dict[str, int] = field(init=False, repr=False, compare=False)

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        if len(set(names)) != len(names):
            raise CatalogueError(f"genre names must differ; got {', '.join(names)}")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "_columns", {name: column for column, name in enumerate(names)})

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def column(self, name: str) -> int:
        """The column of one genre.

        Raises:
            CatalogueError: the genre is not in the set.
        """
        try:
            return self._columns[name]
        except KeyError:
            near = self.nearest(name)
            cure = f"did you mean {near}?" if near else f"use one of {', '.join(self.names)}"
            raise CatalogueError(f"unknown genre {name!r}; {cure}") from None

    def nearest(self, name: str) -> str | None:
        """The genre that an unknown name may mean, whatever its case; None where none is like it."""
        known = {genre.lower(): genre for genre in self.names}
        near = difflib.get_close_matches(name.lower(), known, n=1)
        return known[near[0]] if near else None

    def encode(self, films: Sequence[Iterable[str]]) -> NDArray[np.bool_]:
        """Names per film -> labels, bool N×G.

        Raises:
            CatalogueError: a film has a genre that is not in the set.
        """
        labels = np.zeros((len(films), len(self)), dtype=bool)
        for row, names in enumerate(films):
            for name in names:
                labels[row, self.column(name)] = True
        return labels

    def decode(self, labels: NDArray[np.generic]) -> list[tuple[str, ...]]:
        """Labels N×G (anything truthy) -> names per film, in column order."""
        return [tuple(self.names[column] for column in np.flatnonzero(row)) for row in labels]


def check_genres(model: GenreSet, catalogue: GenreSet, where: Path, *, model_may_have_more: bool = False) -> None:
    """The catalogue's genres are the model's, or some of them.

    Raises:
        BundleError: they are not.
    """
    if model.names == catalogue.names or (model_may_have_more and set(catalogue.names) <= set(model.names)):
        return
    strange = [name for name in catalogue.names if name not in model]
    absent = [name for name in model.names if name not in catalogue]
    raise BundleError(
        f"the genres of the model and of {str(where)!r} do not match: only the catalogue has "
        f"{', '.join(strange) or 'none'}; only the model has {', '.join(absent) or 'none'}; "
        "rename or drop genres with --genre-map"
    )
