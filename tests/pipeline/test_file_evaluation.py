from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.predictions_file import Predictions, read_predictions
from onesheet.packed import Packed
from onesheet.pipeline import evaluate_file
from onesheet.pipeline.report_examples import EXAMPLES, SAMPLE, Showing
from onesheet.predict import load, score_split


@pytest.fixture(scope="module")
def showing(model_path: Path, packed: Packed) -> Showing:
    predictor, rows = load(model_path), packed.rows("train")
    probabilities = score_split(predictor, packed, "train").probabilities
    films = [packed.films[row] for row in rows]
    answers = Predictions(
        tuple(film.film_id for film in films), tuple(film.title for film in films), ("",) * len(films),
        packed.genres, packed.labels[rows], probabilities,
        {"balanced": predictor.points["balanced"].decide(probabilities)},
    )  # fmt: skip
    return Showing(predictor, packed, rows, answers)


def test_examples_are_what_their_group_says(showing: Showing) -> None:
    doubts = [
        SuspectLabel(5, 1, True, 0.1, 0.9),
        SuspectLabel(7, 0, False, 0.9, 0.8),
        SuspectLabel(5, 2, True, 0.2, 0.7),
    ]
    examples = showing.examples(doubts)
    groups = {kind: [one for one in examples if one.kind == kind] for kind in ("best", "worst", "suspect", "sample")}
    assert len(groups["best"]) == len(groups["worst"]) == EXAMPLES
    assert all(one.predicted == one.true and one.heat and one.heat[0] in one.true for one in groups["best"])
    wrong = [one for one in groups["worst"] if set(one.predicted) - set(one.true)]
    assert wrong and all(one.heat and one.heat[0] not in one.true for one in wrong)
    ids = showing.predictions.titles
    assert [one.title for one in groups["suspect"]] == [ids[5], ids[7]]
    assert groups["suspect"][0].doubted == ("Drama", "Horror") and groups["suspect"][0].heat[0] == "Drama"  # type: ignore[index]
    assert len(groups["sample"]) <= SAMPLE and len({one.title for one in groups["sample"]}) == len(groups["sample"])
    for genre in showing.predictions.genres.names:
        having = sum(genre in one.true for one in groups["sample"])
        assert 5 <= having <= len(groups["sample"]) - 5


def test_examples_are_the_same_every_time(showing: Showing) -> None:
    one, other = showing.examples(()), showing.examples(())
    assert [(a.title, a.kind, a.heat and a.heat[0]) for a in one] == [
        (b.title, b.kind, b.heat and b.heat[0]) for b in other
    ]


def test_evaluating_leaves_answers_and_slices(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    films = tuple(
        dataclasses.replace(film, year=(1994, 2003, None)[row % 3], source=("a.csv", "b.csv")[row % 2])
        for row, film in enumerate(packed.films)
    )
    told = dataclasses.replace(packed, films=films)
    evaluate_file(model_path, told, out=tmp_path, split="train", draws=10)
    rows = told.rows("train")
    answers = read_predictions(tmp_path / "predictions.csv")
    assert answers.film_ids == tuple(films[row].film_id for row in rows)
    assert (answers.labels == told.labels[rows]).all() and set(answers.predicted) == {
        "balanced", "precise", "generous", "exact",
    }  # fmt: skip
    with (tmp_path / "plots" / "slices.csv").open(newline="") as file:
        slices = {(row["kind"], row["slice"]): int(row["films"]) for row in csv.DictReader(file)}
    assert slices == {
        ("Decade", "1990s"): sum(films[row].year == 1994 for row in rows),
        ("Decade", "2000s"): sum(films[row].year == 2003 for row in rows),
        ("Source", "a.csv"): sum(films[row].source == "a.csv" for row in rows),
        ("Source", "b.csv"): sum(films[row].source == "b.csv" for row in rows),
    }
    assert "the model has learnt from these films" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "plots" / "suspects.csv").exists()


def test_progress_reaches_the_end_of_the_report(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        seen.append((task, done, total))

    evaluate_file(model_path, packed, out=tmp_path, draws=10, progress=progress)
    assert list(dict.fromkeys(task for task, _, _ in seen))[-2:] == ["evaluate", "report"]
    assert seen[-1] == ("report", 4, 4)
