"""OMDb: https://www.omdbapi.com."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onesheet.apps.fetch.film_queries import FilmQuery, plain_title, with_article
from onesheet.apps.fetch.found import FoundFilm, GetJson, no_such_film
from onesheet.data.cells import imdb_id, title_and_year
from onesheet.data.genre_map import NOT_GENRES
from onesheet.errors import NotFetched
from onesheet.files import parse_json

URL = "https://www.omdbapi.com"
KEY = "OMDB_API_KEY"
NOTICE = """Films and genres come from the OMDb API (https://www.omdbapi.com), licensed CC BY-NC 4.0
(https://creativecommons.org/licenses/by-nc/4.0/). Posters belong to their rights holders."""


def sign(key: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The headers and query parameters with the key; OMDb accepts it only in the query."""
    return {}, {"apikey": key}


def rejection(status: int, data: bytes) -> str:
    """Why OMDb rejects all requests; "" if it does not. A used-up quota also has the status 401."""
    if "limit reached" in _error(data).lower():
        return "the day's requests to OMDb are used up; run the same command again tomorrow to resume"
    return f"OMDb rejects the key; check {KEY}" if status in (401, 403) else ""


def look_up(film_query: FilmQuery, get_json: GetJson, posters: str) -> FoundFilm:
    """Find a film by IMDb id, or by title and year; `posters` is not used, as answers have complete addresses.

    Raises:
        NotFetched: OMDb has no such film, or does not answer.
    """
    title = with_article(film_query.title)
    query = {"i": film_query.imdb} if film_query.imdb else {"t": title, "y": str(film_query.year), "type": "movie"}
    film = get_json("/", query)
    if film["Response"] != "True" and not film_query.imdb and "not found" in str(film.get("Error")):
        film = _searched(film_query, title, get_json)
    if film["Response"] != "True":
        missing = any(word in str(film.get("Error")) for word in ("not found", "Incorrect IMDb ID"))
        raise NotFetched("OMDb has no such film" if missing else "OMDb could not get the film", final=missing)
    genres = (name.strip() for name in str(film["Genre"]).split(","))
    poster = str(film.get("Poster", ""))
    return FoundFilm(
        film_id=imdb_id(str(film["imdbID"])) or film_query.imdb,
        title=str(film["Title"]),
        year=title_and_year("", str(film.get("Year", "")))[1],
        genres=tuple(name for name in genres if name.lower() not in NOT_GENRES),
        poster=poster if poster.startswith(("https://", "http://")) else "",
    )


def _searched(film_query: FilmQuery, title: str, get_json: GetJson) -> Any:
    """The film with the same title but for accents and punctuation, and a year at most one off.

    Raises:
        NotFetched: there is none, or there are several; the message lists candidates.
    """
    answer = get_json("/", {"s": title, "type": "movie"})
    films = answer.get("Search", ()) if answer["Response"] == "True" else ()
    candidates = {str(film["imdbID"]): f"{film['Title']} ({film['Year']})" for film in films}
    same = [
        str(film["imdbID"])
        for film in films
        if plain_title(str(film["Title"])) == plain_title(title)
        and abs((title_and_year("", str(film["Year"]))[1] or 0) - (film_query.year or 0)) <= 1
    ]
    if len(same) != 1:
        raise NotFetched(no_such_film("OMDb", candidates), final=True)
    return get_json("/", {"i": same[0]})


def _error(data: bytes) -> str:
    """The error that an answer reports; "" if it reports none."""
    try:
        found = parse_json(data)
    except ValueError:
        return ""
    return str(found.get("Error", "")) if isinstance(found, dict) else ""
