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


class Ask(Protocol):
    """Asks a service: `ask("/movie/949", {})` gives the decoded JSON."""

    def __call__(self, path: str, params: Mapping[str, str], *, refused: str = ...) -> Any:
        """Ask; `refused` is what any other status than 200 means.

        Raises:
            NotFetched: no such film, or no answer.
        """
