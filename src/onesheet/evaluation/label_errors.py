"""Labels that may be wrong: confident learning over held-out probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.errors import require
from onesheet.evaluation.array_checks import as_known, as_labels, as_probabilities

FEW_FILMS = 5
"""Genres that fewer films have, or lack, are left alone: there is nothing to learn a threshold from."""


@dataclass(frozen=True, slots=True)
class SuspectLabel:
    """A label that the model contradicts confidently.

    Attributes:
        film, genre: row and column.
        labelled: the label: True = the film has the genre.
        probability: of the genre.
        score: how suspect, in [0, 1]; 1 is the most.
    """

    film: int
    genre: int
    labelled: bool
    probability: float
    score: float


def suspect_labels(
    labels: ArrayLike, probabilities: ArrayLike, *, known: ArrayLike | None = None
) -> tuple[SuspectLabel, ...]:
    """The labels off the diagonal of each genre's confident joint and against the odds, the most suspect first.

    Confident learning (Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR
    70, 2021), one genre against the rest, by the cleanlab library: a film counts as surely having a genre when its
    probability reaches the mean probability of the films labelled with it, and likewise as surely not having it. The
    score is cleanlab's label quality with those thresholds taken off, so that rare genres, whose probabilities are
    low, do not fill the list with films the model merely misses.

    Args:
        labels: bool N×G.
        probabilities: calibrated, float N×G in [0, 1], of films the model has not learnt from.
        known: bool N×G, the labels that are known; None = all.

    Raises:
        MissingExtra: cleanlab is not installed.
        EvaluationError: shapes or values do not fit.

    Example:
        >>> labels = [[1]] * 9 + [[0]] * 10
        >>> [suspect.film for suspect in suspect_labels(labels, [[0.9]] * 9 + [[0.1]] * 9 + [[0.95]])]
        [18]
    """
    truth = as_labels(labels)
    values = as_probabilities(probabilities, truth).astype(np.float64)
    sure = as_known(known, truth)
    found: list[SuspectLabel] = []
    for genre in range(truth.shape[1]):
        films = np.arange(len(truth)) if sure is None else np.flatnonzero(sure[:, genre])
        labelled = truth[films, genre]
        if min(labelled.sum(), (~labelled).sum()) >= FEW_FILMS:
            found += _of_genre(genre, films, labelled, values[films, genre])
    return tuple(sorted(found, key=lambda suspect: (-suspect.score, suspect.film, suspect.genre)))


def _of_genre(
    genre: int, films: NDArray[np.intp], truth: NDArray[np.bool_], values: NDArray[np.float64]
) -> list[SuspectLabel]:
    cleanlab = require("cleanlab", purpose="finding label errors", extra="train")
    data = {"labels": truth.astype(np.int64), "pred_probs": np.stack([1 - values, values], axis=1)}
    suspect = cleanlab.filter.find_label_issues(**data, filter_by="confident_learning", n_jobs=1)
    quality = cleanlab.rank.get_label_quality_scores(**data, method="self_confidence", adjust_pred_probs=True)
    return [
        SuspectLabel(int(films[row]), genre, bool(truth[row]), float(values[row]), float(1 - quality[row]))
        for row in np.flatnonzero(suspect).tolist()
    ]
