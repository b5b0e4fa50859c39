"""A review begins: the queue is made of what a model answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.apps.review.decision_store import DecisionStore
from onesheet.apps.review.queue import Case, review_queue
from onesheet.apps.review.review import Review
from onesheet.apps.review.review_source import Source
from onesheet.data import Film
from onesheet.errors import ConfigError
from onesheet.evaluation.predictions_file import read_predictions
from onesheet.files import read_json
from onesheet.packed.splitting import read_split_rows
from onesheet.predict import Failure, Predictor
from onesheet.progress import Progress, silent


def open_review(
    source: Source,
    predictor: Predictor,
    *,
    decisions: str | Path,
    progress: Progress = silent,
    notify: Callable[[str], None],
) -> Review:
    """Make the queue and open the decisions.

    Args:
        source: what is reviewed.
        predictor: reads the posters of a catalogue, or those of the run's held-out films that it has no answers to.
        decisions: the SQLite file; made where it is not there.
        progress: called with the posters read.
        notify: called with a line for a person about what was left out.

    Raises:
        ConfigError: the model has other genres than the run.
        EvaluationError: the run was not evaluated.
        ReviewError: the decisions cannot be opened.
        MissingExtra: cleanlab is not installed.
    """
    store = DecisionStore(decisions)
    if source.run:
        cases = _cases_of_run(source, predictor, progress, notify)
    else:
        films = (*source.catalogue.films, *source.bare)
        read, probabilities, given = _answered(films, predictor, progress, notify)
        cases = review_queue(read, predictor.genres, probabilities, given)
    return Review(source, cases, store, genres=predictor.genres)


def _cases_of_run(
    source: Source, predictor: Predictor, progress: Progress, notify: Callable[[str], None]
) -> tuple[Case, ...]:
    """The films of `predictions.csv`, and the other films held out, which the model reads."""
    assert source.run
    answers = read_predictions(source.run / "predictions.csv")
    if predictor.genres != answers.genres:
        raise ConfigError(f"the model knows other genres than the run in {str(source.run)!r}; leave --model out")
    films = {film.film_id: film for film in source.catalogue.films}
    answers = answers.rows([row for row, film_id in enumerate(answers.film_ids) if film_id in films])
    held_out = read_json(source.run / "evaluation.json")["split"] != "train"
    parts = dict(read_split_rows(source.run / "split.csv")) if held_out else {}
    known = frozenset(answers.film_ids)
    others = [
        film for film in films.values() if film.film_id not in known and parts.get(film.film_id) in source.held_out
    ]
    read, probabilities, given = _answered(others, predictor, progress, notify)
    return review_queue(
        [*(films[film_id] for film_id in answers.film_ids), *read],
        answers.genres,
        np.concatenate([answers.probabilities, probabilities]),
        np.concatenate([answers.predicted["balanced"], given]),
        held_out=held_out,
    )


def _answered(
    films: Sequence[Film], predictor: Predictor, progress: Progress, notify: Callable[[str], None]
) -> tuple[list[Film], NDArray[np.float32], NDArray[np.bool_]]:
    """The films whose posters can be read, their probabilities N×G, and what is given at balanced, N×G."""
    read, probabilities, given = [], [], []
    for number, answer in enumerate(predictor.predict_many(film.poster for film in films)):
        progress("review", number + 1, len(films))
        if isinstance(answer, Failure):
            continue
        read.append(films[number])
        probabilities.append(list(answer.probabilities.values()))
        given.append([name in answer.genres for name in predictor.genres.names])
    if len(read) < len(films):
        notify(f"{len(films) - len(read):,} posters of the catalogue cannot be read; see: onesheet audit")
    shape = (len(read), len(predictor.genres))
    return read, np.array(probabilities, np.float32).reshape(shape), np.array(given, bool).reshape(shape)
