from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn_review import HELD_OUT, SUSPECTS, UNSURE, answers_of, doubted, write_run
from onesheet.__main__ import main
from onesheet.apps.review import Review, decisions_path, open_review, read_source, review_queue
from onesheet.data import Catalogue, Film, read_catalogue, write_catalogue
from onesheet.errors import CatalogueError, ConfigError, StaleDecision
from onesheet.genres import GenreSet
from onesheet.packed import Split
from onesheet.predict import load

Open = Callable[..., Review]


@pytest.fixture
def open_it(model_path: Path) -> Iterator[Open]:
    """Opens reviews as `serve` does; they are closed with the test."""
    opened: list[Review] = []

    def make(**named: Path) -> Review:
        source, predictor = read_source(**named), load(model_path, threads=1)
        opened.append(open_review(source, predictor, decisions=decisions_path(**named), notify=print))
        return opened[-1]

    yield make
    for review in opened:
        review.store.close()


@pytest.fixture
def run_folder(catalogue: Catalogue, tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", catalogue)


def ids(catalogue: Catalogue, *rows: int) -> list[str]:
    return [catalogue.films[row].film_id for row in rows]


def test_suspects_come_first_then_what_the_model_is_unsure_of(
    open_it: Open, run_folder: Path, catalogue: Catalogue
) -> None:
    review = open_it(run=run_folder)
    cases = list(review.cases.values())
    suspects = [case for case in cases if case.reason == "suspect"]
    assert {case.film.film_id for case in suspects} >= set(ids(catalogue, *SUSPECTS))
    for row in SUSPECTS:
        column = doubted(catalogue.labels[row])
        case = review.case(catalogue.films[row].film_id)
        assert case.doubted[0] == catalogue.genres.names[column]
        assert case.film == replace(catalogue.films[row], source="catalogue.parquet")
        assert (
            case.film.genres
            != case.predicted
            == answers_of(catalogue).genres.decode(answers_of(catalogue).predicted["balanced"][[row]])[0]
        )
    unsure = [case.film.film_id for case in cases if case.reason == "unsure"]
    assert unsure == ids(catalogue, *reversed(UNSURE))
    assert [case.reason for case in cases] == ["suspect"] * len(suspects) + ["unsure"] * len(unsure)
    assert review.counts() == {"suspect": len(suspects), "unsure": 2, "no-genres": 0, "decided": 0, "skipped": 0}


def test_the_validation_part_is_held_out_too(
    open_it: Open, run_folder: Path, catalogue: Catalogue, model_path: Path
) -> None:
    held_out = {film.film_id: film for film in catalogue.films[HELD_OUT : HELD_OUT + 40]}
    split = (run_folder / "split.csv").read_text().splitlines()
    split = [line.replace(",train,", ",validation,") if line.split(",")[0] in held_out else line for line in split]
    (run_folder / "split.csv").write_text("\n".join(split))
    assert not set(open_it(run=write_run(run_folder.parent / "other", catalogue)).cases) & set(held_out)
    review = open_it(run=run_folder)
    queued = set(review.cases) & set(held_out)
    assert queued and set(review.cases) <= {*ids(catalogue, *range(HELD_OUT)), *held_out}
    predictor = load(model_path, threads=1)
    for film in queued:
        probabilities = predictor.predict(held_out[film].poster).probabilities
        assert review.case(film).probabilities == pytest.approx(probabilities, abs=1e-4)


def test_films_the_model_has_learnt_from_are_not_suspect(open_it: Open, tmp_path: Path, catalogue: Catalogue) -> None:
    review = open_it(run=write_run(tmp_path / "run", catalogue, split="train"))
    assert {case.reason for case in review.cases.values()} == {"unsure"}


def test_films_without_genres_come_last_the_surest_first() -> None:
    films = [Film(str(number), "", ("Drama",) if number < 2 else ()) for number in range(5)]
    probabilities = np.array([[0.9, 0.9], [0.3, 0.4], [0.1, 0.2], [0.9, 0.1], [0.2, 0.6]], np.float32)
    cases = review_queue(films, GenreSet(["Comedy", "Drama"]), probabilities, probabilities > 0.5)
    assert [(case.film.film_id, case.reason) for case in cases] == [
        ("1", "unsure"), ("3", "no-genres"), ("4", "no-genres"), ("2", "no-genres"),
    ]  # fmt: skip
    assert cases[1].predicted == ("Comedy",) and cases[1].probabilities == {"Comedy": 0.9, "Drama": 0.1}


def test_decide_undo_and_what_waits(open_it: Open, run_folder: Path) -> None:
    review = open_it(run=run_folder)
    first, second, third = list(review.cases)[:3]
    right = review.case(first).film.genres
    accepted = review.decide(first, "accept", version=0)
    assert accepted.decision and accepted.decision.genres == right
    corrected = review.decide(second, "correct", genres=["Horror", "Comedy"], version=0)
    assert corrected.decision and corrected.decision.genres == ("Comedy", "Horror")
    assert review.waiting(limit=1)[0].case.film.film_id == third
    assert review.waiting(after=third, limit=50)[0].case.film.film_id == list(review.cases)[3]
    review.undo(corrected.decision.id)
    assert [one.case.film.film_id for one in review.waiting(limit=2)] == [second, third]
    assert review.waiting(limit=1)[0].version == 3 and review.counts()["decided"] == 1
    with pytest.raises(StaleDecision):
        review.decide(second, "skip", version=0)
    again = open_it(run=run_folder)
    assert again.standing(first).decision == accepted.decision


@pytest.mark.parametrize(
    ("film", "action", "genres", "error"),
    [
        ("nobody", "accept", [], "no film 'nobody' in the review queue"),
        (None, "burn", [], "unknown decision 'burn'; use accept, correct, skip"),
        (None, "correct", ["Horor"], "unknown genre 'Horor'; did you mean Horror?"),
        (None, "correct", [], "at least one genre"),
    ],
)
def test_decisions_that_make_no_sense(
    film: str | None, action: str, genres: list[str], error: str, open_it: Open, run_folder: Path
) -> None:
    review = open_it(run=run_folder)
    with pytest.raises(CatalogueError, match=error.replace("?", r"\?")):
        review.decide(film or next(iter(review.cases)), action, genres=genres, version=0)
    assert review.store.history(last=9) == []


def test_the_export_is_a_catalogue_in_which_only_decided_films_changed(
    open_it: Open, run_folder: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review = open_it(run=run_folder)
    accepted, corrected, skipped, undone = list(review.cases)[:4]
    new = ("Horror",) if review.case(corrected).film.genres != ("Horror",) else ("Drama",)
    review.decide(accepted, "accept", version=0)
    review.decide(corrected, "correct", genres=new, version=0)
    review.decide(skipped, "skip", version=0)
    decision = review.decide(undone, "correct", genres=["Comedy", "Drama", "Horror"], version=0).decision
    assert decision
    review.undo(decision.id)
    out = tmp_path / "corrected.csv"
    assert main(["review", "export", "--run", str(run_folder), "--out", str(out)]) == 0
    wrote, about = capsys.readouterr().out.splitlines()[:2]
    assert wrote == f"wrote {out}: decided 2, skipped 1"
    assert about.startswith(f"The corrected catalogue is a new table of the {len(catalogue):,} films read.")
    assert review.counts()["decided"] == 2 and review.counts()["skipped"] == 1
    (tmp_path / "page.csv").write_bytes(review.export())
    before = read_catalogue(run_folder / "catalogue.parquet")
    for path in (out, tmp_path / "page.csv"):
        after = read_catalogue(path)
        changed = {old.film_id: new for old, new in zip(before.films, after.films, strict=True) if old != new}
        assert {film: one.genres for film, one in changed.items()} == {corrected: new}
        assert changed[corrected] == replace(review.case(corrected).film, genres=new)


def test_films_without_genres_join_the_catalogue(open_it: Open, catalogue: Catalogue, tmp_path: Path) -> None:
    table = tmp_path / "films.csv"
    write_catalogue(Catalogue(catalogue.films[:40], catalogue.genres), table)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:3]:
        row["genres"] = ""
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    review = open_it(catalogue=table)
    bare = [case.film.film_id for case in review.cases.values() if case.reason == "no-genres"]
    assert sorted(bare) == ids(catalogue, 0, 1, 2)
    assert {case.film.title for case in review.cases.values() if case.reason == "no-genres"} == {
        film.title for film in catalogue.films[:3]
    }
    review.decide(bare[0], "correct", genres=["Drama"], version=0)
    predicted = review.case(bare[1]).predicted
    review.decide(bare[1], "accept", version=0)
    out = tmp_path / "corrected.csv"
    assert main(["review", "export", "--catalogue", str(table), "--out", str(out)]) == 0
    films = {film.film_id: film.genres for film in read_catalogue(out).films}
    assert len(films) == 39 and films[bare[0]] == ("Drama",) and films[bare[1]] == predicted
    assert (tmp_path / "films.decisions.sqlite").exists() and not (tmp_path / "films.csv.part").exists()


def own_table(catalogue: Catalogue, path: Path) -> list[str]:
    """A person's table of the catalogue's first films, and one whose poster is gone; its lines."""
    films = catalogue.films[:HELD_OUT]
    lines = [f"{f.film_id};{f.title};{f.poster};{', '.join(f.genres)};=shelf {n}" for n, f in enumerate(films)]
    lines = ["id;title;poster;genres;shelf", *lines, "gone;Nowhere;posters/gone.png;Drama;=shelf 99"]
    path.write_text("\r\n".join(lines), newline="")
    return lines


def test_the_export_of_a_table_is_that_table(
    open_it: Open, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "films.csv", tmp_path / "elsewhere" / "corrected.csv"
    lines = own_table(catalogue, table)
    lines[3] = lines[3].replace(f";{', '.join(catalogue.films[2].genres)};", ";;")
    table.write_text("\r\n".join(lines), newline="")
    review = open_it(catalogue=table)
    assert review.export() == table.read_bytes()
    (bare,) = (case.film for case in review.cases.values() if case.reason == "no-genres")
    assert (bare.film_id, bare.title) == (catalogue.films[2].film_id, catalogue.films[2].title)
    review.decide(bare.film_id, "correct", genres=["Comedy", "Horror"], version=0)
    assert main(["review", "export", "--catalogue", str(table), "--out", str(out)]) == 0
    lines[3] = lines[3].replace(";;", ";Comedy, Horror;")
    assert out.read_bytes() == review.export() == "\r\n".join(lines).encode()
    said = capsys.readouterr().out
    assert "decided 1, skipped 0" in said and "every other letter as it is" in said
    assert f"train on it: onesheet train {out} --posters {tmp_path} --out better" in said


def test_the_export_of_a_run_is_the_table_it_was_made_from(
    open_it: Open, run_folder: Path, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "films.csv", tmp_path / "corrected.csv"
    lines = own_table(catalogue, table)
    (run_folder / "config.toml").write_text(f"catalogue = [{json.dumps(str(table))}]\n")
    review = open_it(run=run_folder)
    first = ids(catalogue, SUSPECTS[0])[0]
    review.decide(first, "correct", genres=["Horror"], version=0)
    assert main(["review", "export", "--run", str(run_folder), "--out", str(out)]) == 0
    after = out.read_bytes().decode().split("\r\n")
    (row,) = (row for row, line in enumerate(lines) if after[row] != line)
    assert len(after) == len(lines) and row == SUSPECTS[0] + 1
    assert after[row].split(";") == [*lines[row].split(";")[:3], "Horror", f"=shelf {SUSPECTS[0]}"]
    run = f"--config {run_folder}/config.toml --split {run_folder}/split.csv --out better"
    assert f"train on it: onesheet train {out} {run}" in capsys.readouterr().out
    table.unlink()
    main(["review", "export", "--run", str(run_folder), "--out", str(out)])
    assert "a new table of" in capsys.readouterr().out
    assert [film.film_id for film in read_catalogue(out).films] == [film.film_id for film in catalogue.films]


def test_what_is_not_in_a_new_table_is_counted(
    open_it: Open, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "films.jsonl", tmp_path / "corrected.csv"
    rows = [{"id": f.film_id, "poster": f.poster, "genres": f.genres, "title": f.title} for f in catalogue.films[:20]]
    rows += [{**rows[0], "id": "bare", "genres": [], "title": "Bare"}, {"id": "gone", "genres": ["Drama"]}]
    table.write_text("\n".join(map(json.dumps, rows)))
    review = open_it(catalogue=table)
    assert review.case("bare").film.title == "Bare"
    review.decide("bare", "skip", version=0)
    main(["review", "export", "--catalogue", str(table), "--out", str(out)])
    said = capsys.readouterr().out
    assert "a new table of the 20 films read. Not in it: 1 no-poster, 1 no-genre (until they are given genres)." in said


def test_what_cannot_be_reviewed_is_said(tmp_path: Path, run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"no run in .*; name a folder that onesheet train has finished"):
        read_source(run=tmp_path)
    assert main(["review", "export", "--run", str(run_folder), "--out", str(tmp_path / "out.csv")]) == 2
    assert "decisions.sqlite'; make some with: onesheet serve" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_run_from_a_model_file_has_its_test_films_reviewed_alone(
    open_it: Open, run_folder: Path, catalogue: Catalogue
) -> None:
    (run_folder / "catalogue.parquet").unlink()
    write_catalogue(catalogue, run_folder / "catalogue.csv")
    splits = [
        "test" if row < HELD_OUT else "validation" if row < HELD_OUT + 40 else "train" for row in range(len(catalogue))
    ]
    Split(catalogue, np.array(splits)).write_csv(run_folder / "split.csv")
    review = open_it(run=run_folder)
    assert "the run's test set." in review.source.about
    learnt_from = {catalogue.films[row].film_id for row in range(HELD_OUT, len(catalogue))}
    assert not learnt_from & review.cases.keys()
