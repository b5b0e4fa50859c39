"""The services, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onesheet.apps.fetch import omdb, tmdb
from onesheet.apps.fetch.film_queries import FilmQuery
from onesheet.apps.fetch.found import FoundFilm, GetJson


@dataclass(frozen=True)
class Service:
    """How one service is called.

    Attributes:
        name: its name in messages.
        url: its address; "" if there is none.
        posters: address of its posters; "" if its answers have complete addresses.
        key: environment variable with the key; "" if none is needed.
        per_second: requests per second.
        sign: a key -> the headers and the query parameters with it.
        rejection: status and body of an answer -> why all requests are rejected, or "".
        look_up: a film query, `GetJson`, address of the posters -> the film.
        notice: licence and attribution.
    """

    name: str
    url: str
    posters: str
    key: str
    per_second: float
    sign: Callable[[str], tuple[Mapping[str, str], Mapping[str, str]]]
    rejection: Callable[[int, bytes], str]
    look_up: Callable[[FilmQuery, GetJson, str], FoundFilm]
    notice: str


def _as_known(film_query: FilmQuery, get_json: GetJson, posters: str) -> FoundFilm:
    return FoundFilm(film_query.film_id, film_query.title, film_query.year, film_query.genres, film_query.poster)


# TMDB allows about 40 requests per second; OMDb and other hosts publish no limit, so theirs is lower.
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
