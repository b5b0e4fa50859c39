"""Catalogue and findings: counting, leaving out, fingerprint, and files that read back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from onesheet.data.catalogue import Catalogue, Film
from onesheet.data.catalogue_writer import write_catalogue
from onesheet.data.findings import FLAGS, MANY, Finding, Findings
from onesheet.data.reading import read_catalogue
from onesheet.errors import CatalogueError, OnesheetError
from onesheet.genres import GenreSet

FILMS = (
    Film("tt0000001", "p/1.jpg", ("Drama", "War"), "One", 1950, "a"),
    Film("tt0000002", "p/2.jpg", ("Drama",), "Two", None, "a"),
    Film("x", "p/3.jpg", ("News",), "", 2001, "b"),
)
CATALOGUE = Catalogue(FILMS, GenreSet(["Drama", "News", "War"]))


def test_labels():
    assert CATALOGUE.labels.tolist() == [[True, False, True], [True, False, False], [False, True, False]]
    assert len(CATALOGUE) == 3


def test_fingerprint_knows_films_names_and_genres_but_not_the_place():
    def of(*films: Film) -> str:
        return Catalogue(films, CATALOGUE.genres).fingerprint

    moved = [replace(film, poster="/elsewhere/" + film.poster, title="?", group="g") for film in FILMS]
    assert of(*moved) == CATALOGUE.fingerprint
    assert of(*FILMS[::-1]) != CATALOGUE.fingerprint
    assert of(replace(FILMS[0], genres=("Drama",)), *FILMS[1:]) != CATALOGUE.fingerprint
    assert of(replace(FILMS[0], poster="p/9.jpg"), *FILMS[1:]) != CATALOGUE.fingerprint
    assert len(of(replace(FILMS[0], poster=os.fsdecode(b"\xe9.jpg")))) == 64


def test_without_drops_keeps_and_groups():
    findings = Findings(
        [
            Finding("blank", 1.0, film_id="tt0000001", drops=True),
            Finding("odd-shape", 0.5, film_id="tt0000002", group="g"),
            Finding("near-duplicate", 0.9, film_id="x", group="g"),
        ]
    )
    left = CATALOGUE.without(findings)
    assert [(film.film_id, film.group) for film in left.films] == [("tt0000002", "g"), ("x", "g")]
    assert left.findings == findings and CATALOGUE.films == FILMS
    assert len(CATALOGUE.without(findings, keep=["blank"])) == 3


def test_rare_genres_are_dropped_and_said():
    left = CATALOGUE.drop_rare(2)
    assert [(film.film_id, film.genres) for film in left.films] == [
        ("tt0000001", ("Drama",)),
        ("tt0000002", ("Drama",)),
    ]
    assert left.genres.names == ("Drama",)
    assert left.findings.counts == {"no-genre": 1, "rare-genre": 2}
    assert [finding.score for finding in left.findings.of("rare-genre")] == [0.5, 0.5]


def test_findings_count_join_and_refuse():
    one, two = Findings([Finding("leak", 1.0)]), Findings([Finding("blank", 0.0), Finding("leak", 1.0)])
    assert (one + two).counts == {"blank": 1, "leak": 2}  # in the order of FLAGS
    assert len((one + two).of("blank", "leak")) == 3
    with pytest.raises(ValueError, match="unknown flag"):
        Finding("odd", 1.0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Finding("leak", 1.1)


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\0"), max_size=12)


SCORE = st.integers(0, 10_000).map(lambda n: n / 10_000)
FOUND = st.builds(Finding, st.sampled_from(sorted(FLAGS)), SCORE, TEXT, TEXT, TEXT, TEXT, st.booleans(), TEXT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(FOUND, max_size=8))
def test_findings_read_back(tmp_path, items):
    Findings(items).write_csv(tmp_path / "findings.csv")
    assert Findings.read_csv(tmp_path / "findings.csv") == Findings(items)


def test_a_long_list_is_one_row_and_a_file(tmp_path):
    few = [Finding("no-poster", 1.0, f"tt{n}") for n in range(MANY)]
    many = Findings(Finding("no-row", 1.0, poster=f"{n}.jpg") for n in range(MANY + 1))
    (Findings(few) + many).write_csv(tmp_path / "findings.csv")
    again = Findings.read_csv(tmp_path / "findings.csv")
    assert again.of("no-poster") == Findings(few)
    (row,) = again.of("no-row")
    assert row.detail == "101 of these, such as 0.jpg" and row.action == "see findings-no-row.csv"
    assert again.counts == {"no-poster": MANY, "no-row": MANY + 1}
    assert Findings.read_csv(tmp_path / "findings-no-row.csv") == many


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "flag,score\nnone,1\n"])
def test_no_findings_file(tmp_path, text):
    path = tmp_path / "findings.csv"
    path.write_text(text, encoding="utf-8")
    if text:
        with pytest.raises(CatalogueError, match="not a findings file"):
            Findings.read_csv(path)
    with pytest.raises(CatalogueError, match="cannot read"):
        Findings.read_csv(tmp_path / "none.csv")


def on_disk(folder: Path, names: list[str], genres: tuple[str, ...] = ("Drama", "News")) -> Catalogue:
    films = []
    for number, name in enumerate(names):
        path = folder / "posters" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (8, 12), (number, 0, 0)).save(path)
        year = 1990 + number if number else None
        own = genres[: 1 + number % 2]
        films.append(
            Film(f"id {number}", str(path), own, f'Title "{number}", é', year, f"s{number}", "g" * (number % 2))
        )
    return Catalogue(tuple(films), GenreSet(sorted(genres)))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("place", [".", "run", "posters"])
def test_written_catalogues_read_back(tmp_path, suffix, place):
    names = ["a b.png", 'c"d.png', "e\nf.png", "g,h|i.png", "数é.png", os.fsdecode(b"\xe9\xff.png")]
    catalogue = on_disk(tmp_path, names)
    path = tmp_path / place / f"catalogue.{suffix}"
    write_catalogue(catalogue, path)
    again = read_catalogue(path)
    assert again.films == catalogue.films and again.genres == catalogue.genres
    assert again.fingerprint == catalogue.fingerprint
    assert not again.findings


@pytest.mark.parametrize("odd", ["Action, Adventure", "Mind | Body [new]", "Action/Drama", "'Quoted'"])
def test_genres_with_delimiters_read_back(tmp_path, odd):
    catalogue = on_disk(tmp_path, ["a.png", "b.png"], tuple(sorted(("Drama", odd))))
    write_catalogue(catalogue, tmp_path / "catalogue.csv")
    assert read_catalogue(tmp_path / "catalogue.csv").films == catalogue.films


def test_table_and_posters_move_together(tmp_path):
    write_catalogue(on_disk(tmp_path / "old", ["a.png", "b.png"]), tmp_path / "old" / "catalogue.parquet")
    (tmp_path / "old").rename(tmp_path / "new")
    catalogue = read_catalogue(tmp_path / "new" / "catalogue.parquet")
    assert [Path(film.poster).parent for film in catalogue.films] == [tmp_path / "new" / "posters"] * 2
    assert pq.read_table(tmp_path / "new" / "catalogue.parquet")["poster"].to_pylist()[0] == "posters/a.png"


def test_an_unknown_suffix_and_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(CatalogueError, match=r"written as \.parquet or \.csv"):
        write_catalogue(CATALOGUE, tmp_path / "catalogue.xlsx")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OnesheetError, match="cannot write"):
        write_catalogue(CATALOGUE, tmp_path / "file" / "catalogue.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
