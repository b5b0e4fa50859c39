from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from onesheet.apps.fetch import omdb, tmdb
from onesheet.apps.fetch.film_queries import FilmQuery, plain_title, read_queries
from onesheet.errors import NotFetched

FILMS = {
    603: ("The Matrix", "The Matrix", 1999, "tt0133093"),
    194: ("Amélie", "Le Fabuleux Destin d'Amélie Poulain", 2001, "tt0211915"),
    10681: ("WALL·E", "WALL·E", 2008, "tt0910970"),
    634649: ("Spider-Man: No Way Home", "Spider-Man: No Way Home", 2021, "tt10872600"),
    604: ("The Matrix Reloaded", "The Matrix Reloaded", 2003, "tt0234215"),
}


def ask_tmdb(path: str, params: Mapping[str, str], *, rejected: str = "") -> Any:
    films = [
        {"id": number, "title": title, "original_title": original, "release_date": f"{year}-05-01", "imdb_id": imdb}
        for number, (title, original, year, imdb) in FILMS.items()
    ]
    if path == "/search/movie":
        found = [film for film in films if plain_title(params["query"]) in plain_title(film["title"])]
        return {
            "results": [film for film in found if params.get("year", film["release_date"][:4]) in film["release_date"]]
        }
    return next(film | {"genres": []} for film in films if path == f"/movie/{film['id']}")


def ask_omdb(path: str, params: Mapping[str, str], *, rejected: str = "") -> Any:
    rows = [{"Title": title, "Year": str(year), "imdbID": imdb} for title, _, year, imdb in FILMS.values()]
    if "s" in params:
        found = [row for row in rows if plain_title(params["s"]) in plain_title(row["Title"])]
        return {"Response": "True", "Search": found} if found else {"Response": "False", "Error": "Movie not found!"}
    for row in rows:
        if params.get("i") == row["imdbID"] or (params.get("t"), params.get("y")) == (row["Title"], row["Year"]):
            return row | {"Response": "True", "Genre": "Drama", "Poster": "N/A"}
    return {"Response": "False", "Error": "Movie not found!"}


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Matrix, The (1999)", "The Matrix"),
        ("the matrix (2000)", "The Matrix"),
        ("Amelie (2001)", "Amélie"),
        ("Fabuleux Destin d'Amelie Poulain, Le (2001)", "Amélie"),
        ("WALL-E (2008)", "WALL·E"),
        ("Spider-Man - No Way Home (2021)", "Spider-Man: No Way Home"),
    ],
)
def test_titles_are_compared_without_accents_punctuation_and_moved_articles(written: str, title: str) -> None:
    ((film_query,), _) = read_queries([written], tmdb=True)
    if not written.startswith("Fabuleux"):
        assert tmdb.look_up(film_query, ask_tmdb, "").title == title
        assert omdb.look_up(film_query, ask_omdb, "").title == title
    assert plain_title(film_query.title) in (plain_title(one) for row in FILMS.values() for one in row[:2])


@pytest.mark.parametrize(
    ("written", "film_query"),
    [
        ("Anything (1950) {tmdb-194}", FilmQuery(tmdb="194")),
        ("Anything (1950) [imdbid-tt0133093]", FilmQuery(imdb="tt0133093")),
        ("Amelie (2001) [1080p]", FilmQuery(title="Amelie", year=2001)),
    ],
)
def test_ids_in_a_name_win(written: str, film_query: FilmQuery) -> None:
    assert read_queries([written], tmdb=True)[0] == [film_query]


def test_near_misses_are_listed_as_candidates() -> None:
    film_query = FilmQuery(title="Matrix", year=1999)
    with pytest.raises(NotFetched, match=r"candidates: 603 The Matrix \(1999\), 604 The Matrix Reloaded \(2003\)"):
        tmdb.look_up(film_query, ask_tmdb, "")
    with pytest.raises(NotFetched, match=r"candidates: tt0133093 The Matrix \(1999\), tt0234215"):
        omdb.look_up(film_query, ask_omdb, "")
    with pytest.raises(NotFetched, match=r"of this title and year$"):
        tmdb.look_up(FilmQuery(title="Nothing", year=1999), ask_tmdb, "")
