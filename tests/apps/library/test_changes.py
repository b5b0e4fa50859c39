from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onesheet.apps.library import Change, Left, Suggestion, kometa_metadata, plan_changes, suggest_genres
from onesheet.data.film_library import scan_library
from onesheet.data.film_library.films import LibraryFilm
from onesheet.errors import ConfigError, LibraryError
from onesheet.genres import GenreSet
from onesheet.predict import Failure, Prediction

SAID = {"Drama": 0.9, "Sci-Fi": 0.8, "War": 0.1}


class Model:
    """Says the same of every poster but of one called broken.jpg; gives what is likelier than not."""

    genres = GenreSet(SAID)

    def check(self, at: str, top: int | None) -> None:
        if at != "precise":
            raise ConfigError(f"unknown operating point {at!r}")

    def predict_many(self, posters: Iterable[str], *, at: str) -> Iterator[Prediction | Failure]:
        given = {name: value for name, value in SAID.items() if value > 0.5}
        for path in posters:
            yield Failure(path, "broken") if path.endswith("broken.jpg") else Prediction(path, given, dict(SAID), at)


def film(name: str, *genres: str, **more: Any) -> LibraryFilm:
    poster = Path(more.pop("poster", f"{name}.jpg"))
    return LibraryFilm(name, name, 1999, poster, Path(f"{name}.nfo"), Path(f"{name}.nfo"), genres=genres, **more)


def suggested(films: list[LibraryFilm], **options: Any) -> list[Any]:
    return list(suggest_genres(films, Model(), **options))  # type: ignore[arg-type]


def suggestion(one: LibraryFilm, **options: Any) -> Suggestion:
    (answer,) = suggested([one], **options)
    assert isinstance(answer, Suggestion)
    return answer


def test_reasons_and_probabilities() -> None:
    for genres, reason, held, added in (
        ((), "missing", {}, {"Drama": 0.9, "Sci-Fi": 0.8}),
        (("War", "Anime"), "disagree", {"Anime": None, "War": 0.1}, {"Drama": 0.9, "Sci-Fi": 0.8}),
        (("drama",), "disagree", {"Drama": 0.9}, {"Sci-Fi": 0.8}),
        (("Drama", "Sci-Fi", "War"), "", {"Drama": 0.9, "Sci-Fi": 0.8, "War": 0.1}, {}),
    ):
        one = suggestion(film("A", *genres))
        assert (one.reason, one.held, one.added, one.probabilities) == (reason, held, added, SAID)


def test_films_without_poster_or_with_a_faulty_nfo_are_left_out() -> None:
    films = [film("A"), film("B", fault="broken XML"), film("C", poster="broken.jpg"), film("D")]
    films.append(LibraryFilm("E", "E", None, None, None, Path("E.nfo")))
    first, failure, last = suggested(films)
    assert (first.film.name, failure.path, last.film.name) == ("A", "broken.jpg", "D")
    with pytest.raises(ConfigError):
        suggested(films, at="nonsense")


def test_only_films_without_genres_are_asked_of_though_all_settle_the_spelling() -> None:
    films = [film("A"), film("B", "SCI-FI", poster="broken.jpg"), film("C", "-"), film("D", "Drama")]
    first, second = suggested(films, only_missing=True, genre_map={"-": ""})
    assert (first.film.name, second.film.name) == ("A", "C")
    assert list(first.given) == ["Drama", "SCI-FI"]


def test_the_mapping_names_genres_as_the_library_does(tmp_path: Path) -> None:
    mapping = tmp_path / "genres.toml"
    mapping.write_text('"Sci-Fi" = "Science Fiction|Fantasy"\n"SF" = "Science Fiction"\n"Drama" = ""\n')
    one = suggestion(film("A", "SF", "Drama"), genre_map=mapping)
    assert one.held == {"Science Fiction": 0.8} and one.added == {"Fantasy": 0.8}
    assert one.probabilities == {"Science Fiction": 0.8, "Fantasy": 0.8, "War": 0.1}
    slashed = suggestion(film("A"), genre_map={"Sci-Fi": "Science Fiction/Fantasy", "War": "Fantasy"})
    assert slashed.given == {"Drama": 0.9, "Science Fiction": 0.8, "Fantasy": 0.8}
    with pytest.raises(LibraryError, match="cannot stand in an NFO"):
        suggestion(film("A"), genre_map={"War": "W\x01"})


def test_the_librarys_commonest_spelling_is_taken() -> None:
    one, _ = suggested([film("A"), film("B", "SCI-FI")])
    other, *_ = suggested([film("A"), film("B", "SCI-FI"), film("C", "SCI-FI")])
    assert list(one.given) == ["Drama", "SCI-FI"] and list(other.given) == ["Drama", "SCI-FI"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    nfos = {
        "bare": "<movie>\n  <title>Bare</title>\n</movie>\n",
        "has": "<movie>\n  <genre>War / Anime</genre>\n</movie>\n",
        "right": "<movie><genre>Drama</genre><genre>sci-fi</genre></movie>",
        "locked": "<movie><lockdata>true</lockdata></movie>",
        "address": "https://www.imdb.com/title/tt1/",
        "none": None,
    }
    for name, text in nfos.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "poster.jpg").touch()
        (tmp_path / name / "film (1999).mkv").touch()
        if text:
            (tmp_path / name / "movie.nfo").write_text(text)
    return tmp_path


def planned(library: Path, **options: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Film -> new text; film -> why it is left."""
    steps = list(plan_changes(suggested(list(scan_library(library).films)), **options))
    return (
        {step.film.name: step.after.decode() for step in steps if isinstance(step, Change)},
        {step.film.name: step.why for step in steps if isinstance(step, Left)},
    )


NEW = "<genre>Drama</genre>\n  <genre>Sci-Fi</genre>"


def test_only_films_without_genres_unless_asked(library: Path) -> None:
    changed, left = planned(library)
    assert changed == {"bare": f"<movie>\n  <title>Bare</title>\n  {NEW}\n</movie>\n"}
    assert left == {
        "address": "its NFO is only a web address, from which players fetch the genres",
        "locked": "its genres are locked by <lockdata>; --even-locked changes them",
        "none": "has no NFO; --create-nfo makes one",
    }


def test_adding_takes_nothing_away(library: Path) -> None:
    changed, _ = planned(library, policy="add")
    assert set(changed) == {"bare", "has"}
    assert changed["has"] == f"<movie>\n  <genre>War / Anime</genre>\n  {NEW}\n</movie>\n"


def test_replacing_keeps_what_the_model_does_not_know(library: Path) -> None:
    changed, _ = planned(library, policy="replace")
    assert set(changed) == {"bare", "has"}
    assert changed["has"] == f"<movie>\n  <genre>Anime</genre>\n  {NEW}\n</movie>\n"


def test_locked_films_and_films_without_nfo_on_request(library: Path) -> None:
    changed, left = planned(library, locked=True, create=True)
    assert changed["locked"] == "<movie><lockdata>true</lockdata><genre>Drama</genre><genre>Sci-Fi</genre></movie>"
    assert changed["none"] == (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        f"<movie>\n  <title>film</title>\n  <year>1999</year>\n  {NEW}\n</movie>\n"
    )
    assert set(left) == {"address"}


def test_jellyfin_is_told_to_leave_the_genres_alone(library: Path) -> None:
    (library / "has" / "movie.nfo").write_text(
        "<movie>\n  <genre>War</genre>\n  <lockedfields>Cast</lockedfields></movie>"
    )
    changed, _ = planned(library, policy="add", lock=True, create=True, locked=True)
    mark = "<lockedfields>Genres</lockedfields>"
    assert changed["bare"] == f"<movie>\n  <title>Bare</title>\n  {NEW}\n  {mark}\n</movie>\n"
    assert changed["has"].endswith(f"{NEW}\n  <lockedfields>Cast|Genres</lockedfields></movie>")
    assert changed["none"].endswith(f"{NEW}\n  {mark}\n</movie>\n")
    assert changed["locked"] == "<movie><lockdata>true</lockdata><genre>Drama</genre><genre>Sci-Fi</genre></movie>"


def test_every_nfo_of_a_film_is_changed_or_none(library: Path) -> None:
    other = library / "bare" / "film (1999).nfo"
    other.write_text("<movie/>")
    answers = suggested(list(scan_library(library).films))
    steps = [step for step in plan_changes(answers) if isinstance(step, Change)]
    assert [step.path.name for step in steps] == ["movie.nfo", other.name]
    assert steps[1].after == b"<movie><genre>Drama</genre><genre>Sci-Fi</genre></movie>"
    other.chmod(0o444)
    left = {step.film.name: step.why for step in plan_changes(answers) if isinstance(step, Left)}
    assert left["bare"] == "its NFO is read-only; give it write permission"
    assert [step for step in plan_changes(answers) if isinstance(step, Change)] == []


def test_no_nfo_is_made_where_something_else_has_its_name(library: Path) -> None:
    (library / "none" / "film (1999).nfo").mkdir()
    _, left = planned(library, create=True)
    assert left["none"].endswith("film (1999).nfo' is there and no file; move it, so that an NFO can be made")


def test_a_diff_shows_the_change_alone(library: Path) -> None:
    steps = plan_changes(suggested(list(scan_library(library).films)))
    (change,) = (step for step in steps if isinstance(step, Change))
    path = str(library / "bare" / "movie.nfo")
    assert list(change.diff()) == [
        f"--- {path}",
        f"+++ {path}",
        "@@ -2,2 +2,4 @@",
        "   <title>Bare</title>",
        "+  <genre>Drama</genre>",
        "+  <genre>Sci-Fi</genre>",
        " </movie>",
    ]


def test_files_that_must_not_be_replaced_are_said_before_anything_is_written(library: Path) -> None:
    (library / "bare" / "movie.nfo").chmod(0o444)
    answers = suggested(list(scan_library(library).films))
    (library / "has" / "movie.nfo").write_text("<movie/>")
    left = {step.film.name: step.why for step in plan_changes(answers, policy="add") if isinstance(step, Left)}
    assert left["bare"] == "its NFO is read-only; give it write permission"
    assert left["has"] == "its NFO has changed meanwhile"


def test_kometa(library: Path) -> None:
    answers = suggested(list(scan_library(library).films))
    added = yaml.safe_load(kometa_metadata(answers, policy="add"))["metadata"]
    assert added["has"] == {"match": {"title": "film", "year": 1999}, "genre": ["Drama", "Sci-Fi"]}
    assert set(yaml.safe_load(kometa_metadata(answers))["metadata"]) == {"address", "bare", "locked", "none"}
    replaced = yaml.safe_load(kometa_metadata(answers, policy="replace"))["metadata"]
    assert replaced["has"]["genre.sync"] == ["Anime", "Drama", "Sci-Fi"] and "genre" not in replaced["has"]
    assert yaml.safe_load(kometa_metadata([]))["metadata"] == {}


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.none() | st.integers(1870, 2100))
def test_any_title_is_yaml(title: str, year: int | None) -> None:
    one = Suggestion(LibraryFilm(title, title, year, None, None, Path()), {}, {"#A: b, [c]": 0.5}, {})
    ((key, value),) = yaml.safe_load(kometa_metadata([one]))["metadata"].items()
    assert key == value["match"]["title"] == title and value["match"].get("year") == year
    assert value["genre"] == ["#A: b, [c]"]


def test_json_holds_all() -> None:
    one = json.loads(json.dumps(suggestion(film("A", "War")).to_dict()))
    assert one["reason"] == "disagree" and one["genres"] == [{"genre": "War", "probability": 0.1}]
    assert [item["genre"] for item in one["suggested"]] == ["Drama", "Sci-Fi"] and one["probabilities"] == SAID
