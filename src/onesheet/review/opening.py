"""A review begins: from a run's folder, or from a catalogue that a model reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onesheet.data import Catalogue, Film, read_catalogue
from onesheet.errors import ConfigError
from onesheet.evaluation.answers import read_answers
from onesheet.files import read_json
from onesheet.predict import Failure, Predictor
from onesheet.progress import Progress, silent
from onesheet.review.queue import Case, review_queue
from onesheet.review.review import Review
from onesheet.review.store import DecisionStore

RUN_CATALOGUE = "catalogue.parquet"
DECISIONS = "decisions.sqlite"


@dataclass(frozen=True)
class Source:
    """What is reviewed.

    Attributes:
        catalogue: its films with genres.
        bare: its films without, whose posters are there.
        run: the run's folder whose held-out answers are looked at; None = a model reads the whole catalogue.
    """

    catalogue: Catalogue
    bare: tuple[Film, ...]
    run: Path | None


def read_source(*, run: str | Path | None = None, catalogue: str | Path | None = None) -> Source:
    """Read what is reviewed: a run's catalogue, or a catalogue (give one of the two).

    Raises:
        ConfigError: there is no run in the folder.
        CatalogueError: the catalogue cannot be read.
        MissingExtra: a run's catalogue without pyarrow.
    """
    if run is not None:
        table = Path(run) / RUN_CATALOGUE
        if not table.is_file():
            raise ConfigError(f"no run in {str(run)!r}; name a folder that onesheet train has finished")
        return Source(read_catalogue(table), (), Path(run))
    assert catalogue is not None
    read = read_catalogue(catalogue)
    known = {film.film_id for film in read.films}
    found = {one.film_id: one.poster for one in reversed(tuple(read.findings)) if one.flag == "no-genre" and one.poster}
    bare = tuple(Film(film, poster, ()) for film, poster in reversed(found.items()) if film and film not in known)
    return Source(read, bare, None)


def decisions_path(*, run: str | Path | None = None, catalogue: str | Path | None = None) -> Path:
    """Where the decisions lie unless said otherwise: in the run's or catalogue's folder, or beside the table."""
    if run is not None:
        return Path(run) / DECISIONS
    assert catalogue is not None
    path = Path(catalogue)
    return path / DECISIONS if path.is_dir() else path.with_suffix(f".{DECISIONS}")


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
    return Review(source.catalogue, cases, store, genres=predictor.genres)


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
