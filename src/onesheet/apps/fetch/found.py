"""A film as a service describes it, and how a service is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FoundFilm:
    """A film as a service describes it.

    Attributes:
        film_id: the IMDb id if the service has it, else the service's own.
        title: the title.
        year: year of release; None if unknown.
        genres: genre names, in English.
        poster: the poster's web address; "" if there is none.
    """

    film_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    poster: str


CANDIDATES = 5


def no_such_film(service: str, candidates: Mapping[str, str]) -> str:
    """The message if no film has the title and year, with the nearest candidates: id -> title and year.

    Example:
        >>> no_such_film("TMDB", {"603": "The Matrix (1999)"})
        'TMDB has no film of this title and year; candidates: 603 The Matrix (1999)'
    """
    listed = ", ".join(f"{number} {name}" for number, name in list(candidates.items())[:CANDIDATES])
    return f"{service} has no film of this title and year{f'; candidates: {listed}' if listed else ''}"


class GetJson(Protocol):
    """Calls a service: `get_json("/movie/949", {})` returns the decoded JSON."""

    def __call__(self, path: str, params: Mapping[str, str], *, rejected: str = ...) -> Any:
        """Send a request; `rejected` is the message for any status but 200.

        Raises:
            NotFetched: there is no such film, or no answer.
        """
