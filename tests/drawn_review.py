"""A run's folder as `train` leaves it, as far as a review reads it; its answers are drawn numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.data import Catalogue, write_catalogue
from onesheet.evaluation.predictions_file import Predictions, write_predictions
from onesheet.packed import Split

HELD_OUT = 60
SUSPECTS = (0, 1, 4, 5)  # rows with a label that the answers contradict: a missing one where there is one
UNSURE = (2, 3)


def doubted(labels: NDArray[np.bool_]) -> int:
    """The column of a row's contradicted label."""
    return int(labels.argmin())


def answers_of(catalogue: Catalogue) -> Predictions:
    """Probabilities that agree with the labels but for a few films."""
    rng = np.random.default_rng(3)
    films = catalogue.films[:HELD_OUT]
    labels = catalogue.labels[:HELD_OUT].copy()
    truth = labels.copy()
    for row in SUSPECTS:
        truth[row, doubted(labels[row])] ^= True
    probabilities = np.where(truth, 0.9, 0.05) + rng.uniform(-0.03, 0.03, truth.shape)
    for row in SUSPECTS:
        column = doubted(labels[row])
        probabilities[row, column] = 0.99 if truth[row, column] else 0.001
    for number, row in enumerate(UNSURE):
        probabilities[row] = np.where(labels[row], 0.45 - number / 10, 0.2)
    return Predictions(
        film_ids=tuple(film.film_id for film in films),
        titles=tuple(film.title for film in films),
        posters=tuple(film.poster for film in films),
        genres=catalogue.genres,
        labels=labels,
        probabilities=probabilities.astype(np.float32),
        predicted={"balanced": probabilities > 0.4},
    )


def write_run(folder: Path, catalogue: Catalogue, *, split: str = "test") -> Path:
    folder.mkdir(exist_ok=True)
    write_catalogue(catalogue, folder / "catalogue.parquet")
    write_predictions(folder / "predictions.csv", answers_of(catalogue))
    splits = [split if number < HELD_OUT else "train" for number in range(len(catalogue))]
    Split(catalogue, np.array(splits)).write_csv(folder / "split.csv")
    (folder / "evaluation.json").write_text(json.dumps({"split": split}))
    (folder / "report.html").write_text("<!doctype html><title>report</title><script>document.title = 'ran'</script>")
    return folder
