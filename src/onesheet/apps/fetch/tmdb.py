"""TMDB, version 3: https://developer.themoviedb.org/reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from onesheet.apps.fetch.film_queries import FilmQuery, plain_title, with_article
from onesheet.apps.fetch.found import FoundFilm, GetJson, no_such_film
from onesheet.data.cells import imdb_id
from onesheet.errors import ConfigError, FetchError, NotFetched

URL = "https://api.themoviedb.org/3"
POSTERS = "https://image.tmdb.org/t/p"
KEY = "TMDB_API_KEY"
SIZES = ("w92", "w154", "w185", "w342", "w500", "w780", "original")
NOTICE = """This product uses the TMDB API but is not endorsed or certified by TMDB.

Films, genres and posters come from TMDB (https://www.themoviedb.org). Its terms of use
(https://www.themoviedb.org/api-terms-of-use) apply: the notice above is shown with what is made of them, commercial use
needs an agreement, and nothing is kept for longer than six months. Posters belong to their rights holders."""
# By number, as names depend on the requested language.
GENRES = {
    **{28: "Action", 12: "Adventure", 16: "Animation", 35: "Comedy", 80: "Crime", 99: "Documentary", 18: "Drama"},
    **{10751: "Family", 14: "Fantasy", 36: "History", 27: "Horror", 10402: "Music", 9648: "Mystery"},
    **{10749: "Romance", 878: "Science Fiction", 10770: "TV Movie", 53: "Thriller", 10752: "War", 37: "Western"},
}
_LAST_PAGE = 500
_QUERIES = "see https://developer.themoviedb.org/reference/discover-movie"


def sign(key: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The headers and query parameters with the key: a read access token (with dots) or an API key."""
    return ({"Authorization": f"Bearer {key}"}, {}) if "." in key else ({}, {"api_key": key})


def rejection(status: int, data: bytes) -> str:
    """Why TMDB rejects all requests; "" if it does not."""
    return f"TMDB rejects the key; check {KEY}" if status in (401, 403) else ""


def look_up(film_query: FilmQuery, get_json: GetJson, posters: str) -> FoundFilm:
    """Find a film by number, by IMDb id, or by title and year (at most one off).

    Args:
        film_query: the film.
        get_json: calls TMDB.
        posters: address of the posters, with the size.

    Raises:
        NotFetched: TMDB has no such film, or does not answer.
    """
    if film_query.tmdb:
        return _found(get_json(f"/movie/{film_query.tmdb}", {}), posters)
    if film_query.imdb:
        films = get_json(f"/find/{film_query.imdb}", {"external_source": "imdb_id"})["movie_results"]
        if not films:
            raise NotFetched("TMDB has no film of this id", final=True)
        return _found(films[0] | {"imdb_id": film_query.imdb}, posters)
    query = {"query": with_article(film_query.title), "include_adult": "false"}
    candidates: dict[int, str] = {}
    for more in ({"year": str(film_query.year)}, {}):  # with a year, TMDB lists only films of that year
        films = get_json("/search/movie", query | more)["results"]
        titled = [film for film in films if _is_titled(film, film_query.title)]
        near = [(abs((_year(film) or 0) - (film_query.year or 0)), film["id"]) for film in titled]
        distance, number = min(near, default=(2, 0), key=lambda pair: pair[0])  # of several, the most popular
        if distance <= 1:
            return _found(get_json(f"/movie/{number}", {}), posters)
        candidates |= {int(film["id"]): f"{film['title']} ({_year(film)})" for film in films}
    raise NotFetched(no_such_film("TMDB", {str(number): name for number, name in candidates.items()}), final=True)


def discover(query: str, limit: int, get_json: GetJson) -> list[FilmQuery]:
    """The films that a query of TMDB's "discover" finds, in order.

    Args:
        query: such as "with_genres=27&primary_release_year=1999".
        limit: at most this number of films.
        get_json: calls TMDB.

    Raises:
        ConfigError: the query is malformed, or contains a key or a page.
        FetchError: TMDB does not answer.
    """
    pairs = dict(parse_qsl(query.lstrip("?")))
    if not pairs or {"api_key", "page"} & pairs.keys():
        raise ConfigError(
            f"a discovery query is NAME=VALUE&…, without page and api_key, such as with_genres=27; {_QUERIES}"
        )
    queries: dict[FilmQuery, None] = {}
    for page in range(1, _LAST_PAGE + 1):
        answer = get_json("/discover/movie", {**pairs, "page": str(page)}, rejected=f"rejects the query; {_QUERIES}")
        try:
            queries |= dict.fromkeys(FilmQuery(tmdb=str(int(film["id"]))) for film in answer["results"])
            last = int(answer["total_pages"])
        except (KeyError, TypeError, ValueError):
            raise FetchError("TMDB sent an unexpected answer; run the same command again later") from None
        if page >= last or len(queries) >= limit:
            break
    return list(queries)[:limit]


def _is_titled(film: Mapping[str, Any], title: str) -> bool:
    return plain_title(title) in (plain_title(str(film.get(name, ""))) for name in ("title", "original_title"))


def _year(film: Mapping[str, Any]) -> int | None:
    year = str(film.get("release_date") or "")[:4]
    return int(year) if year.isdigit() else None


def _found(film: Mapping[str, Any], posters: str) -> FoundFilm:
    """A film of any TMDB answer; genres are numbers, or numbers with names."""
    names = {int(genre["id"]): str(genre["name"]) for genre in film.get("genres") or ()}
    numbers = film.get("genre_ids") or list(names)
    return FoundFilm(
        film_id=imdb_id(str(film.get("imdb_id") or "")) or f"tmdb-{int(film['id'])}",
        title=str(film["title"]),
        year=_year(film),
        genres=tuple(name for number in numbers if (name := GENRES.get(number) or names.get(number))),
        poster=f"{posters}{film['poster_path']}" if film.get("poster_path") else "",
    )
