"""Whole sets of genres: those that films really have, and the rule that finds the likeliest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.evaluation.array_checks import Floats, Labels, Scores, of_width

_STRENGTHS = np.linspace(0, 1, 11)
_INDEPENDENT_FILMS = 10.0  # films' worth of belief that genres are independent
_SMALLEST = 1e-7
_CHUNK_SCORES = 1 << 18


def count_label_sets(labels: Labels) -> tuple[Labels, NDArray[np.int64]]:
    """The different rows of labels and how many films have each, most common first (ties: by genre columns).

    Args:
        labels: bool N×G.

    Returns:
        bool S×G and int64 S.

    Example:
        >>> sets, films = count_label_sets(np.array([[True, False], [True, True], [True, True]]))
        >>> sets.tolist(), films.tolist()
        ([[True, True], [True, False]], [2, 1])
    """
    packed, films = np.unique(np.packbits(labels, axis=1), axis=0, return_counts=True)
    order = np.argsort(-films, kind="stable")
    sets = np.unpackbits(packed[order], axis=1, count=labels.shape[1]).astype(bool)
    return sets, films[order].astype(np.int64)


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Predict the set of genres that is likeliest to match exactly.

    The score of a set is the sum of log(p / (1 - p)) over its genres, p clipped to [1e-7, 1 - 1e-7], plus its
    offset; the highest score wins, the first of equals.

    Attributes:
        genres: G.
        label_sets: column numbers of the genres of each set, at least one set.
        offsets: one per set.
        note: what a reader must know; mostly empty.
    """

    genres: int
    label_sets: tuple[tuple[int, ...], ...]
    offsets: tuple[float, ...]
    note: str = ""

    def decide(self, probabilities: ArrayLike) -> Labels:
        """Calibrated probabilities N×G -> predicted genres, bool N×G.

        Example:
            >>> LabelSets(2, ((0,), (0, 1)), (0.0, 0.0)).decide([[.4, .4], [.4, .6]]).tolist()
            [[True, False], [True, True]]
        """
        values = of_width(probabilities, self.genres)
        sets = np.zeros((len(self.label_sets), self.genres), dtype=bool)
        for row, columns in zip(sets, self.label_sets, strict=True):
            row[list(columns)] = True
        return sets[_best(values, sets, np.array(self.offsets)[:, None])[:, 0]]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers for the model's card."""
        return {
            "kind": "label sets",
            "genres": self.genres,
            "label_sets": [list(columns) for columns in self.label_sets],
            "offsets": list(self.offsets),
            "note": self.note,
        }


def fit_label_sets(probabilities: Scores, labels: Labels, train_labels: Labels) -> LabelSets:
    """The "exact" operating point.

    Candidates are the label sets of the training films and all single genres. If genres were independent
    given the poster, a set's log-probability would be the sum of its genres' log-odds, up to a constant. They
    are not, so each set also gets λ · log(its share in training / its share if genres were independent
    there). λ in 0, 0.1 … 1 is the one with most validation films all right, the smallest of equals.

    Args:
        probabilities: calibrated, float N×G, of the validation films.
        labels: bool N×G, of the same films.
        train_labels: bool M×G.
    """
    sets, films = count_label_sets(train_labels)
    genres = labels.shape[1]
    alone = np.eye(genres, dtype=bool)
    unseen = alone[~(alone[:, None] == sets[None]).all(axis=2).any(axis=1)]
    sets = np.concatenate([sets, unseen])
    films = np.concatenate([films, np.zeros(len(unseen), dtype=np.int64)])
    lift = _lift(sets, films, train_labels)
    offsets = lift[:, None] * _STRENGTHS
    best = _best(probabilities, sets, offsets)
    right = [(sets[best[:, column]] == labels).all(axis=1).sum() for column in range(len(_STRENGTHS))]
    chosen = int(np.argmax(right))
    columns = tuple(tuple(np.flatnonzero(row).tolist()) for row in sets)
    return LabelSets(genres, columns, tuple(offsets[:, chosen].tolist()))


def _lift(sets: Labels, films: NDArray[np.int64], train_labels: Labels) -> Floats:
    """log(share of each set / share if independent), shrunk towards 0 for want of films: float S."""
    count = len(train_labels)
    share = (train_labels.sum(axis=0) + 0.5) / (count + 1)
    alone = sets @ np.log(share) + ~sets @ np.log1p(-share)
    seen = films * np.exp(-alone) + _INDEPENDENT_FILMS
    return np.asarray(np.log(seen / (count + _INDEPENDENT_FILMS)))


def _best(probabilities: Scores, sets: Labels, offsets: Floats) -> NDArray[np.intp]:
    """The best set of each film under each column of offsets (S×L): N×L."""
    best = np.empty((len(probabilities), offsets.shape[1]), dtype=np.intp)
    members = sets.T.astype(np.float64)
    chunk = max(1, _CHUNK_SCORES // len(sets))
    for start in range(0, len(probabilities), chunk):
        films = slice(start, start + chunk)
        clipped = np.clip(probabilities[films].astype(np.float64), _SMALLEST, 1 - _SMALLEST)
        scores = np.log(clipped / (1 - clipped)) @ members
        for column in range(offsets.shape[1]):
            best[films, column] = (scores + offsets[:, column]).argmax(axis=1)
    return best
