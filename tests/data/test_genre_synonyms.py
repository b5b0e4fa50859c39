"""One table of synonyms for the genre names of every service."""

from __future__ import annotations

import pytest

from onesheet.data.genre_map import settle_genres
from onesheet.data.genre_synonyms import TMDB_GENRES, canonical, match, suggest

IMDB = (
    *("Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy", "History"),
    *("Horror", "Music", "Mystery", "Romance", "Sci-Fi", "TV Movie", "Thriller", "War", "Western"),
)
TMDB = {
    "en": "Action, Adventure, Animation, Comedy, Crime, Documentary, Drama, Family, Fantasy, History, Horror, Music, "
    "Mystery, Romance, Science Fiction, TV Movie, Thriller, War, Western",
    "de": "Action, Abenteuer, Animation, Komödie, Krimi, Dokumentarfilm, Drama, Familie, Fantasy, Historie, Horror, "
    "Musik, Mystery, Liebesfilm, Science Fiction, TV-Film, Thriller, Kriegsfilm, Western",
    "fr": "Action, Aventure, Animation, Comédie, Crime, Documentaire, Drame, Familial, Fantastique, Histoire, Horreur, "
    "Musique, Mystère, Romance, Science-Fiction, Téléfilm, Thriller, Guerre, Western",
    "es": "Acción, Aventura, Animación, Comedia, Crimen, Documental, Drama, Familia, Fantasía, Historia, Terror, "
    "Música, Misterio, Romance, Ciencia ficción, Película de TV, Suspense, Bélica, Western",
    "it": "Azione, Avventura, Animazione, Commedia, Crime, Documentario, Dramma, Famiglia, Fantasy, Storia, Horror, "
    "Musica, Mistero, Romance, Fantascienza, televisione film, Thriller, Guerra, Western",
    "pt": "Ação, Aventura, Animação, Comédia, Crime, Documentário, Drama, Família, Fantasia, História, Terror, Música, "
    "Mistério, Romance, Ficção científica, Cinema TV, Thriller, Guerra, Faroeste",
}


@pytest.mark.parametrize("language", TMDB)
def test_the_genres_of_tmdb_in_every_language_become_the_names_known(language):
    names = TMDB[language].split(", ")
    assert match(names, IMDB) == dict(zip(names, IMDB, strict=True))
    back = match(IMDB, names)  # the user's spelling is written out
    assert back == dict(zip(IMDB, names, strict=True)) if language != "es" else len(back) == 18


def test_the_numbers_of_tmdb_are_names():
    assert match(["878", "28", "1"], IMDB) == {"878": "Sci-Fi", "28": "Action"}
    assert match(map(str, TMDB_GENRES), TMDB_GENRES.values()) == {str(n): name for n, name in TMDB_GENRES.items()}


def test_case_spaces_accents_and_hyphens_make_no_difference():
    for name in ("Film-Noir", "film noir", "FILMNOIR", "Film_Noir", " film  Noir "):
        assert canonical(name) == "Film-Noir"
    assert canonical("KOMODIE") == canonical("Komo\u0308die") == "Comedy"
    assert canonical("A+") is canonical("A-") is canonical("") is None


def test_names_of_other_services():
    services = {"Children's": "Children", "Kids": "Children", "Reality": "Reality-TV", "Sports": "Sport"}
    assert {name: canonical(name) for name in services} == services
    assert match(["Game Show", "Talk Show"], ["Game-Show", "Talk-Show"]) == {
        "Game Show": "Game-Show",
        "Talk Show": "Talk-Show",
    }
    assert match(["Kinder-/Familienfilm", "Liebe/Romantik"], ["Family", "Romance"]) == {
        "Kinder-/Familienfilm": "Family",
        "Liebe/Romantik": "Romance",
    }  # of OFDb


def test_spelling_goes_before_synonyms():
    both = ["Science Fiction", "Sci-Fi"]
    assert match(["sci fi", "science-fiction"], both) == {"sci fi": "Sci-Fi", "science-fiction": "Science Fiction"}


def test_near_names_are_only_suggested():
    assert match(["Children", "Suspense", "Musical"], IMDB) == {}
    assert suggest("Children", IMDB) == "Family"
    assert suggest("Family", ["Kids", "Drama"]) == "Kids"
    assert suggest("Suspense", IMDB) == "Thriller"
    assert suggest("Musical", IMDB) == "Music"
    assert suggest("Adventrue", IMDB) == "Adventure"
    assert suggest("Christmas", IMDB) is None


def test_synonyms_of_one_catalogue_become_the_commonest_name_and_a_map_wins():
    films = [["Sci-Fi"], ["Science Fiction"], ["Science Fiction", "Krimi"]]
    settled, findings = settle_genres(films, {})
    assert settled == [("Science Fiction",), ("Science Fiction",), ("Krimi", "Science Fiction")]
    assert [finding.detail for finding in findings] == ["Sci-Fi -> Science Fiction: 1 rows"]
    assert settle_genres(films, {"Krimi": "Sci Fi"})[0] == [("Sci Fi",)] * 3
    apart = {"Sci-Fi": "Sci-Fi", "Science Fiction": "Science Fiction"}
    assert settle_genres(films, apart)[0][:2] == [("Sci-Fi",), ("Science Fiction",)]
