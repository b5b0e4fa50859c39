"""A review begins: the queue is made of what a model answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from onesheet.evaluation.answers import read_answers
from onesheet.files import read_json
from onesheet.predict import Failure, Predictor
from onesheet.progress import Progress, silent
from onesheet.review.queue import Case, review_queue
from onesheet.review.review import Review
from onesheet.review.source import Source
from onesheet.review.store import DecisionStore


def open_review(
    source: Source,
    predictor: Predictor,
    *,
    decisions: str | Path,
    progress: Progress = silent,
    tell: Callable[[str], None],
) -> Review:
    """Make the queue and open the decisions.

    Args:
        source: what is reviewed.
        predictor: reads the posters of a catalogue; a run has its answers already.
        decisions: the SQLite file; made where it is not there.
        progress: told of the posters read.
        tell: called with a line for a person about what was left out.

    Raises:
        EvaluationError: the run was not evaluated.
        ReviewError: the decisions cannot be opened.
        MissingExtra: cleanlab is not installed.
    """
    store = DecisionStore(decisions)
    cases = _cases_of_run(source) if source.run else _cases_of_catalogue(source, predictor, progress, tell)
    return Review(source, cases, store, genres=predictor.genres)


def _cases_of_run(source: Source) -> tuple[Case, ...]:
    """From `predictions.csv`; the films whose posters are gone are left out."""
    assert source.run
    answers = read_answers(source.run / "predictions.csv")
    films = {film.film_id: film for film in source.catalogue.films}
    rows = [row for row, film_id in enumerate(answers.film_ids) if film_id in films]
    part = read_json(source.run / "evaluation.json")["part"]
    answers = answers.rows(rows)
    return review_queue(
        [films[film_id] for film_id in answers.film_ids],
        answers.genres,
        answers.probabilities,
        answers.given["balanced"],
        held_out=part != "train",
    )


def _cases_of_catalogue(
    source: Source, predictor: Predictor, progress: Progress, tell: Callable[[str], None]
) -> tuple[Case, ...]:
    films = (*source.catalogue.films, *source.bare)
    read, probabilities, given, failures = [], [], [], 0
    for number, answer in enumerate(predictor.predict_many(film.poster for film in films)):
        progress("review", number + 1, len(films))
        if isinstance(answer, Failure):
            failures += 1
            continue
        read.append(films[number])
        probabilities.append(list(answer.probabilities.values()))
        given.append([name in answer.genres for name in predictor.genres.names])
    if failures:
        tell(f"{failures:,} posters of the catalogue cannot be read; see: onesheet audit")
    shape = (len(read), len(predictor.genres))
    return review_queue(
        read,
        predictor.genres,
        np.array(probabilities, np.float32).reshape(shape),
        np.array(given, bool).reshape(shape),
    )
