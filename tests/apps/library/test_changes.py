from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onesheet.apps.library import (
    Change,
    Skipped,
    Suggestion,
    draft_genre_map,
    kometa_metadata,
    plan_changes,
    plan_clean,
    suggest_genres,
)
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
        (("Drama", "Sci-Fi", "War"), "", {"Drama": 0.9, "Sci-Fi": 0.8, "War": 0.1}, {}),
    ):
        one = suggestion(film("A", *genres))
        assert (one.reason, one.existing, one.added, one.probabilities) == (reason, held, added, SAID)


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
    assert list(first.predicted) == ["Drama", "SCI-FI"]


def test_the_mapping_names_genres_as_the_library_does(tmp_path: Path) -> None:
    mapping = tmp_path / "genres.toml"
    mapping.write_text('"Sci-Fi" = "Science Fiction|Fantasy"\n"SF" = "Science Fiction"\n"Drama" = ""\n')
    one = suggestion(film("A", "SF", "Drama"), genre_map=mapping)
    assert one.existing == {"Science Fiction": 0.8} and one.added == {"Fantasy": 0.8}
    assert one.probabilities == {"Science Fiction": 0.8, "Fantasy": 0.8, "War": 0.1}
    slashed = suggestion(film("A"), genre_map={"Sci-Fi": "Science Fiction/Fantasy", "War": "Fantasy"})
    assert slashed.predicted == {"Drama": 0.9, "Science Fiction/Fantasy": 0.8}
    with pytest.raises(LibraryError, match="cannot be written to an NFO"):
        suggestion(film("A"), genre_map={"War": "W\x01"})


def test_the_librarys_commonest_spelling_is_taken() -> None:
    one, _ = suggested([film("A"), film("B", "SCI-FI")])
    other, *_ = suggested([film("A"), film("B", "SCI-FI"), film("C", "SCI-FI")])
    assert list(one.predicted) == ["Drama", "SCI-FI"] and list(other.predicted) == ["Drama", "SCI-FI"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    nfos = {
        "bare": "<movie>\n  <title>Bare</title>\n</movie>\n",
        "has": "<movie>\n  <genre>War / Anime</genre>\n</movie>\n",
        "right": "<movie><genre>Drama</genre><genre>Sci-Fi</genre></movie>",
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
    """Film -> new text; film -> why it is skipped."""
    steps = list(plan_changes(suggested(list(scan_library(library).films)), **options))
    return (
        {step.film.name: step.after.decode() for step in steps if isinstance(step, Change)},
        {step.film.name: step.why for step in steps if isinstance(step, Skipped)},
    )


NEW = "<genre>Drama</genre>\n  <genre>Sci-Fi</genre>"


def test_only_films_without_genres_unless_asked(library: Path) -> None:
    changed, left = planned(library)
    assert changed == {"bare": f"<movie>\n  <title>Bare</title>\n  {NEW}\n</movie>\n"}
    assert left == {
        "address": "its NFO is only a web address, so that players fetch the genres",
        "locked": "its genres are locked by <lockdata>; pass --even-locked to change them",
        "none": "has no NFO; pass --create-nfo to make one",
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
    left = {step.film.name: step.why for step in plan_changes(answers) if isinstance(step, Skipped)}
    assert left["bare"] == "its NFO is read-only; make it writable"
    assert [step for step in plan_changes(answers) if isinstance(step, Change)] == []


def test_no_nfo_is_made_where_something_else_has_its_name(library: Path) -> None:
    (library / "none" / "film (1999).nfo").mkdir()
    _, left = planned(library, create=True)
    assert left["none"].endswith("film (1999).nfo' exists and is no NFO; move it, so that an NFO can be made")


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
    left = {step.film.name: step.why for step in plan_changes(answers, policy="add") if isinstance(step, Skipped)}
    assert left["bare"] == "its NFO is read-only; make it writable"
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


def laid(root: Path, nfos: dict[str, str]) -> list[LibraryFilm]:
    """Films with folders of their own."""
    for name, text in nfos.items():
        (root / name).mkdir(parents=True)
        (root / name / "film (1999).mkv").touch()
        (root / name / "poster.jpg").touch()
        (root / name / "movie.nfo").write_text(text, encoding="utf-8")
    return list(scan_library(root).films)


def test_the_librarys_own_names_win_in_every_spelling_and_language(tmp_path: Path) -> None:
    english = laid(tmp_path / "en", {"a": "<movie><genre>Science Fiction</genre></movie>", "b": "<movie></movie>"})
    first, second = suggested(english)
    assert first.added == {"Drama": 0.9} and second.predicted == {"Drama": 0.9, "Science Fiction": 0.8}
    german = laid(tmp_path / "de", {"a": "<movie><genre>kriegsfilm / drama</genre></movie>", "b": "<movie></movie>"})
    first, second = suggested(german)
    assert first.existing == {"drama": 0.9, "kriegsfilm": 0.1} and second.predicted == {"drama": 0.9, "Sci-Fi": 0.8}


def test_cleaning_unifies_spellings_and_applies_a_map_without_a_model(tmp_path: Path) -> None:
    nfos = {
        "a": "<movie><genre>Sci-Fi</genre><genre>Drama</genre></movie>",
        "b": "<movie><genre>Science Fiction</genre></movie>",
        "c": "<movie><genre>Science Fiction</genre><genre>Science fiction</genre></movie>",
        "d": '<movie><genre clear="true">Films</genre></movie>',
        "e": "<movie><lockdata>true</lockdata><genre>SF</genre></movie>",
        "f": "<movie></movie>",
    }
    films = laid(tmp_path, nfos)
    (tmp_path / "a" / "film (1999).nfo").write_text("<movie><genre>drama</genre><genre>scifi</genre></movie>")
    films = list(scan_library(tmp_path).films)
    steps = list(plan_clean(films, genre_map={"Films": "Short"}))
    changed = {
        step.path.relative_to(tmp_path).as_posix(): step.after.decode() for step in steps if isinstance(step, Change)
    }
    assert changed == {
        "a/movie.nfo": "<movie><genre>Science Fiction</genre><genre>Drama</genre></movie>",
        "a/film (1999).nfo": "<movie><genre>Drama</genre><genre>Science Fiction</genre></movie>",
        "c/movie.nfo": "<movie><genre>Science Fiction</genre></movie>",
        "d/movie.nfo": '<movie><genre clear="true">Short</genre></movie>',
    }
    assert [step.film.name for step in steps if isinstance(step, Skipped)] == ["e"]


def test_a_map_is_drafted_where_the_model_knows_few_genres(tmp_path: Path) -> None:
    known, strange = film("A", "Science Fiction"), film("B", "Kinder-/Familienfilm", 'Q"')
    assert draft_genre_map([known] * 4 + [strange], list(SAID)) is None
    draft = draft_genre_map([known, strange], list(SAID))
    assert draft is not None and tomllib.loads(draft) == {"Kinder-/Familienfilm": "Kinder-/Familienfilm", 'Q"': 'Q"'}


def test_fewer_genres_and_surer_ones() -> None:
    assert suggestion(film("A"), most=1).predicted == {"Drama": 0.9}
    assert suggestion(film("A"), at_least=0.85).predicted == {"Drama": 0.9}


def test_the_next_poster_is_read_where_the_first_cannot_be() -> None:
    one = suggestion(film("A", poster="broken.jpg", more_posters=(Path("broken.jpg"), Path("folder.jpg"))))
    assert one.predicted == {"Drama": 0.9, "Sci-Fi": 0.8}


def test_an_nfo_is_made_only_for_a_name_with_title_and_year(tmp_path: Path) -> None:
    for name in ("Good (2001)/Good (2001) - 1080p.mkv", "Good (2001)/Good (2001) - 2160p.mkv", "Bad/bad.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("The.Quiet.Quay.2019.1080p-GRP.mkv", "The.Quiet.Quay.2019.1080p-GRP-poster.jpg"):
        (tmp_path / name).touch()
    for name in ("Good (2001)", "Bad"):
        (tmp_path / name / "poster.jpg").touch()
    (tmp_path / "Y" / "Season 01").mkdir(parents=True)
    for name in ("Y S01E01.mkv", "Y S01E01-poster.jpg"):
        (tmp_path / "Y" / "Season 01" / name).touch()
    changed, left = planned(tmp_path, create=True)
    assert set(changed) == {"Good (2001)", "The.Quiet.Quay.2019.1080p-GRP"}
    paths = [
        step.path.name
        for step in plan_changes(suggested(list(scan_library(tmp_path).films)), create=True)
        if isinstance(step, Change)
    ]
    assert sorted(paths) == ["The.Quiet.Quay.2019.1080p-GRP.nfo", "movie.nfo"]
    assert left == {"Bad": "has no NFO, and its name has no title and year; rename it to 'Title (1999)'"}


def test_kometa_matches_by_id(tmp_path: Path) -> None:
    one = suggestion(film("A", ids={"imdb": "tt0000001"}))
    other = suggestion(film("B", ids={"imdb": "tt0000002", "tmdb": "7"}))
    found = yaml.safe_load(kometa_metadata([one, other]))["metadata"]
    assert found["A"]["match"] == {"mapping_id": "tt0000001"} and found["B"]["match"] == {"mapping_id": 7}
