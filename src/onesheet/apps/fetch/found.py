"""What a service says of a film, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """A film as a service knows it.

    Attributes:
        film_id: an IMDb id where the service knows one.
        title: the title.
        year: year of release, None where unknown.
        genres: genre names, in English.
        poster: the poster's web address, "" where there is none.
    """

    film_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    poster: str


CANDIDATES = 5


def no_such_film(service: str, candidates: Mapping[str, str]) -> str:
    """What to report where no film has the title and year: the nearest, id -> title and year, for a person to choose.

    Example:
        >>> no_such_film("TMDB", {"603": "The Matrix (1999)"})
        'TMDB has no film of this title and year; candidates: 603 The Matrix (1999)'
    """
    listed = ", ".join(f"{number} {name}" for number, name in list(candidates.items())[:CANDIDATES])
    return f"{service} has no film of this title and year{f'; candidates: {listed}' if listed else ''}"


class Ask(Protocol):
    """Asks a service: `ask("/movie/949", {})` gives the decoded JSON."""

    def __call__(self, path: str, params: Mapping[str, str], *, rejected: str = ...) -> Any:
        """Ask; `rejected` is what any other status than 200 means.

        Raises:
            NotFetched: no such film, or no answer.
        """
