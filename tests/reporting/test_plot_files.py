import csv
import warnings

import numpy as np
from PIL import Image
from test_report_page import EVIL, STEPS, by_films, history

from drawn_evaluation import answers, evaluation, genre, score
from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.slices import METRICS, Slice
from onesheet.reporting.plot_files import write_sheets

PLOTS = {
    "balance", "co-occurrence", "confusion", "films", "genres", "headline", "learning", "precision-recall",
    "reliability", "slices", "thresholds",
}  # fmt: skip


def write(folder, **changes):
    result = changes.get("evaluation", evaluation())
    given = {
        "evaluation": result,
        "history": history(),
        "by_films": by_films(),
        "balance": {"train": range(len(result.genres)), "test": range(len(result.genres))},
        "steps": dict.fromkeys(result.genres, STEPS),
        "slices": {"Decade": [Slice("1990s", 40, dict.fromkeys(METRICS, score(0.5)))]},
        "suspects": [SuspectLabel(3, 1, True, 0.01, 0.9)],
        "predictions": answers(10),
    } | changes
    write_sheets(folder, **given)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_plot_is_a_picture_and_a_table(tmp_path):
    files = write(tmp_path)
    assert set(files) == {f"{name}{suffix}" for name in PLOTS for suffix in (".csv", ".png")} | {
        "operating-points.csv", "suspects.csv",
    }  # fmt: skip
    for name in PLOTS:
        with Image.open(tmp_path / f"{name}.png") as image:
            pixels = np.asarray(image.convert("RGB"))
        assert min(pixels.shape[:2]) > 100
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10  # something is drawn


def test_the_same_input_gives_the_same_bytes(tmp_path):
    assert write(tmp_path / "a") == write(tmp_path / "b")


def test_the_numbers_are_the_evaluations(tmp_path):
    result = evaluation()
    write(tmp_path, evaluation=result)
    for row, one in zip(rows(tmp_path, "genres"), result.per_genre, strict=True):
        assert row["genre"] == one.genre and float(row["average_precision low"]) == one.average_precision.low
    curves = rows(tmp_path, "precision-recall")
    assert len(curves) == sum(len(one.curve) for one in result.per_genre)
    assert float(rows(tmp_path, "confusion")[1]["Horror"]) == result.confusion[1][2]
    assert rows(tmp_path, "suspects")[0] == {
        "film_id": "tt0000003", "title": 'Film "3", the', "genre": "Drama", "labelled": "yes", "probability": "0.01",
        "score": "0.9",
    }  # fmt: skip
    assert rows(tmp_path, "learning")[1]["best"] == "1.0" and rows(tmp_path, "learning")[1]["validation_map"] == ""
    assert [row["films"] for row in rows(tmp_path, "films")] == ["25"] * 3 + ["50"] * 3 + ["100"]


def test_genres_of_too_few_films_for_a_bin_leave_room_for_the_others(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(
            tmp_path,
            evaluation=evaluation([genre("Drama", support=3), genre("War", support=3)]),
            balance={"test": [3, 3]},
        )


def test_what_is_not_known_any_more_is_taken_away(tmp_path):
    write(tmp_path)
    left = write(tmp_path, history=[], by_films=[], slices={}, suspects=None)
    assert not {name for name in left if name.split(".")[0] in ("films", "learning", "slices", "suspects")}
    assert "genres.png" in left


def test_any_name_can_be_drawn(tmp_path):
    names = (EVIL, "$x_1$", "ドラマ")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path, evaluation=evaluation(names=names))
    assert [row["genre"] for row in rows(tmp_path, "genres")] == list(names)
