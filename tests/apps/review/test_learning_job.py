"""Learning from the corrections: a new file, measured on films held out, and the queue sorted by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn_review import SUSPECTS, write_run
from onesheet.apps.review import LearningJob, Review, decisions_path, open_review, read_source
from onesheet.apps.review.learning_job import learn
from onesheet.data import Catalogue, write_catalogue
from onesheet.errors import ReviewError
from onesheet.packed.splitting import read_split_rows
from onesheet.predict import load


def opened(run: Path, model_path: Path) -> Review:
    return open_review(
        read_source(run=run), load(model_path, threads=1), decisions=decisions_path(run=run), notify=print
    )


@pytest.fixture
def review(catalogue: Catalogue, model_path: Path, tmp_path: Path) -> Iterator[Review]:
    made = opened(write_run(tmp_path / "run", catalogue), model_path)
    yield made
    made.store.close()


def accept(review: Review, count: int) -> list[str]:
    films = [standing.case.film.film_id for standing in review.waiting(limit=count)]
    for film in films:
        review.decide(film, "accept", version=0)
    return films


def test_it_learns_from_what_is_decided_and_measures_on_the_rest(
    review: Review, catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    decided = accept(review, 3)
    queue = set(review.cases)
    found = learn(review, load(model_path, threads=1), tmp_path / "learned")
    parts = dict(read_split_rows(tmp_path / "run" / "split.csv"))
    test = [film.film_id for film in catalogue.films if parts[film.film_id] == "test"]
    assert found.path.name == "genres-1.onnx" and found.decided == 3 and found.left_out == ()
    assert found.held_out == len(test) - 3 and found.learned == len(catalogue) - found.held_out
    new = load(found.path, threads=1)
    rows = [row for row, film in enumerate(catalogue.films) if film.film_id in test and film.film_id not in decided]
    labels = catalogue.labels[rows]
    answers = [new.predict(catalogue.films[row].poster) for row in rows]
    given = np.array([[name in answer.genres for name in catalogue.genres.names] for answer in answers])
    assert found.after["precision"] == pytest.approx((given & labels).sum() / given.sum(), abs=0.01)
    assert found.after["recall"] == pytest.approx((given & labels).sum() / labels.sum(), abs=0.01)
    assert found.before["map"] is not None and 0.3 < found.before["map"] <= 1
    waiting = [standing.case for standing in review.waiting(limit=100)]
    assert set(decided) <= set(review.cases) and not set(decided) & {case.film.film_id for case in waiting}
    assert all(parts[case.film.film_id] == "test" for case in waiting) and queue
    for case in waiting:
        expected = new.predict(case.film.poster).probabilities
        assert case.probabilities == pytest.approx(expected, abs=5e-3)
    assert new.card.data["films"] == {"test": found.held_out, "train": found.learned}


def test_no_file_is_overwritten(review: Review, model_path: Path, tmp_path: Path) -> None:
    accept(review, 1)
    model = load(model_path, threads=1)
    first = learn(review, model, tmp_path / "learned").path
    before = first.read_bytes()
    tasks: set[str] = set()
    second = learn(
        review, model, tmp_path / "learned", progress=lambda task, done, total, note="": tasks.add(task)
    ).path
    assert (first.name, second.name) == ("genres-1.onnx", "genres-2.onnx") and first.read_bytes() == before
    assert not {"pack", "features"} & tasks  # kept from the first time


def test_a_correction_changes_what_is_learned(review: Review, model_path: Path, tmp_path: Path) -> None:
    for standing in review.waiting(limit=40):
        review.decide(standing.case.film.film_id, "correct", genres=["Comedy"], version=0)
    found = learn(review, load(model_path, threads=1), tmp_path / "learned")
    assert len(SUSPECTS) <= found.decided <= 40
    films = load(found.path, threads=1).card.data["genre_films"]
    before = load(model_path, threads=1).card.data["genre_films"]
    assert films["Comedy"] > before["Comedy"]


def test_films_of_a_catalogue_without_genres_are_sorted_too(
    catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    films = tuple(replace(film, title=f"T{number}") for number, film in enumerate(catalogue.films))
    write_catalogue(replace(catalogue, films=films), tmp_path / "films.csv")
    text = (tmp_path / "films.csv").read_text().splitlines()
    heads = text[0].split(",")
    cells = text[1].split(",")
    cells[heads.index("genres")] = ""
    (tmp_path / "films.csv").write_text("\n".join([text[0], ",".join(cells), *text[2:]]) + "\n")
    model = load(model_path, threads=1)
    named = {"catalogue": tmp_path / "films.csv"}
    review = open_review(read_source(**named), model, decisions=decisions_path(**named), notify=print)
    bare = [film for film, case in review.cases.items() if case.reason == "no-genres"]
    assert len(bare) == 1
    accept(review, 1)
    learn(review, model, tmp_path / "learned")
    assert review.cases[bare[0]].reason == "no-genres"
    review.store.close()


def test_one_job_at_a_time_and_none_about_nothing(review: Review, model_path: Path) -> None:
    job = LearningJob(review, load(model_path, threads=1))
    assert job.state()["state"] == "idle"
    with pytest.raises(ReviewError, match="nothing is decided yet"):
        job.start()
    accept(review, 1)
    job.start()
    with pytest.raises(ReviewError, match="learning already"):
        job.start()
    while job.running:
        time.sleep(0.05)
    assert job.state()["state"] == "done", job.state()
    assert job.result and job.result.path.parent == review.store.path.with_suffix(".learned")


def test_what_goes_wrong_is_reported(review: Review, model_path: Path) -> None:
    job = LearningJob(review, load(model_path, threads=1))
    job.folder.write_text("a file, no folder")
    accept(review, 1)
    job.start()
    while job.running:
        time.sleep(0.05)
    assert job.state()["state"] == "failed" and job.state()["error"]
