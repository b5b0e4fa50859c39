"""The services that are asked, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onesheet.apps.fetch import omdb, tmdb
from onesheet.apps.fetch.found import Ask, Found
from onesheet.apps.fetch.wishes import Wish


@dataclass(frozen=True)
class Service:
    """How one service is asked.

    Attributes:
        name: as people write it.
        url: its address, "" where there is none.
        posters: where its posters are, "" where its answers name the address.
        key: the environment variable that holds the key, "" where none is needed.
        per_second: requests a second.
        sign: a key -> the headers and the query parameters that carry it.
        rejection: status and body of an answer -> why nothing more will be answered, or "".
        look_up: a wish, a way to ask, where posters are -> the film.
        notice: licence and attribution, for those who use what was fetched.
    """

    name: str
    url: str
    posters: str
    key: str
    per_second: float
    sign: Callable[[str], tuple[Mapping[str, str], Mapping[str, str]]]
    rejection: Callable[[int, bytes], str]
    look_up: Callable[[Wish, Ask, str], Found]
    notice: str


def _as_known(wish: Wish, ask: Ask, posters: str) -> Found:
    return Found(wish.film_id, wish.title, wish.year, wish.genres, wish.poster)


# TMDB allows about 40 requests a second; OMDb and strangers' hosts say nothing, so they are asked more slowly.
SERVICES: dict[str, Service] = {
    "tmdb": Service("TMDB", tmdb.URL, tmdb.POSTERS, tmdb.KEY, 20, tmdb.sign, tmdb.rejection, tmdb.look_up, tmdb.NOTICE),
    "omdb": Service("OMDb", omdb.URL, "", omdb.KEY, 5, omdb.sign, omdb.rejection, omdb.look_up, omdb.NOTICE),
    "urls": Service(
        name="the table",
        url="",
        posters="",
        key="",
        per_second=10,
        sign=lambda key: ({}, {}),
        rejection=lambda status, data: "",
        look_up=_as_known,
        notice="Genres come from the tables named above, under their licences. Posters belong to their rights holders.",
    ),
}
