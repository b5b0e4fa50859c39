"""Operating points: rules that turn calibrated probabilities into genres, fitted on validation films."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import (
    Floats,
    Labels,
    Scores,
    as_known,
    as_labels,
    as_probabilities,
    of_width,
    share_at_least,
)
from onesheet.evaluation.label_sets import LabelSets, fit_label_sets

SMOOTHING_FILMS = 300.0
"""Films of a genre at which its labels weigh as much as its calibrated probabilities.

Fitted to half of the validation set with the bundled model, thresholds have macro-F1 .3435 on the other half
with 0, .3481 with 100, .3480 with 300 and .3478 with 1,000 (benchmarks/halves.py).
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Predict each genre whose probability reaches its threshold.

    Attributes:
        thresholds: probabilities, one per genre.
        note: what a reader must know, such as a target that was not reached; mostly empty.
    """

    thresholds: tuple[float, ...]
    note: str = ""

    def decide(self, probabilities: ArrayLike) -> Labels:
        """Calibrated probabilities N×G -> predicted genres, bool N×G; a film may get none.

        Example:
            >>> Thresholds((.5, .2)).decide([[.4, .4]]).tolist()
            [[False, True]]
        """
        values = of_width(probabilities, len(self.thresholds))
        return np.asarray(values >= np.array(self.thresholds))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers for the model's card."""
        return {"kind": "thresholds", "thresholds": list(self.thresholds), "note": self.note}


OperatingPoint = Thresholds | LabelSets


def operating_point(plain: Mapping[str, Any]) -> OperatingPoint:
    """The operating point that `to_dict` described.

    Raises:
        EvaluationError: it is none of ours, or its fields do not fit together.

    Example:
        >>> operating_point({"kind": "thresholds", "thresholds": [0.5], "note": ""})
        Thresholds(thresholds=(0.5,), note='')
    """
    try:
        if plain["kind"] == "thresholds":
            return Thresholds(tuple(float(value) for value in plain["thresholds"]), str(plain["note"]))
        if plain["kind"] == "label sets":
            sets = tuple(tuple(int(column) for column in columns) for columns in plain["label_sets"])
            offsets = tuple(float(offset) for offset in plain["offsets"])
            point = LabelSets(int(plain["genres"]), sets, offsets, str(plain["note"]))
            if len(sets) == len(offsets) > 0 and all(0 <= c < point.genres for s in sets for c in s):
                return point
    except (KeyError, TypeError, ValueError):
        pass
    raise EvaluationError(
        "the operating point cannot be read; got a damaged or newer description; export the model again"
    )


def fit_operating_points(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    train_labels: ArrayLike,
    known: ArrayLike | None = None,
    precision: float = 0.7,
    recall: float = 0.8,
) -> dict[str, OperatingPoint]:
    """Choose the rules on validation films.

    "balanced": each genre's threshold of the best F1. "generous": each genre's highest threshold with the
    recall target. Both look at smoothed truth, w·label + (1 - w)·probability with w = n / (n + 300) for a
    genre with n films: a threshold tuned on a handful of films overfits (Lin and Lin, "On the thresholding
    strategy for infrequent labels in multi-label classification", CIKM 2023), and under calibrated
    probabilities alone the optimum is half the best F1 (Lipton, Elkan, Narayanaswamy, "Optimal thresholding
    of classifiers to maximize F1 measure", ECML 2014), which is what a genre without films gets.

    "precise": of what "balanced" predicts, all with a probability from the lowest threshold on, one for all genres,
    that has the micro precision target; if none has it, the most precise one, and its `note` says so. So it never
    predicts a genre that "balanced" does not.

    "exact": among the label sets of the training films and all single genres, the likeliest to be all right.
    Genres are not independent, so a set's score gets λ · log(share of the set / share if independent); λ is
    the one with most films all right.

    Args:
        probabilities: calibrated, float N×G in [0, 1], of the validation films.
        labels: bool N×G, of the same films.
        train_labels: bool M×G, of the training films.
        known: bool N×G, the labels to look at; None = all. "exact" looks at the films whose labels are all known.
        precision: target of "precise", in (0, 1].
        recall: target of "generous", in (0, 1].

    Raises:
        EvaluationError: shapes or values do not fit.
    """
    truth = as_labels(labels)
    values = as_probabilities(probabilities, truth)
    seen = as_labels(train_labels, name="train_labels")
    if seen.shape[1] != truth.shape[1]:
        raise EvaluationError(f"train_labels must have {truth.shape[1]} genres; got {seen.shape[1]}")
    share_at_least(precision, name="precision")
    share_at_least(recall, name="recall")
    sure = as_known(known, truth)
    if sure is None:
        sure = np.ones_like(truth)
    truth = truth & sure
    smoothed = smooth(values, truth)
    genres = [(values[films, g], smoothed[films, g]) for g, films in enumerate(sure.T)]
    balanced = Thresholds(tuple(best_f1_threshold(*genre) for genre in genres))
    generous = (recall_threshold(*genre, recall) for genre in genres)
    whole = sure.all(axis=1)
    return {
        "balanced": balanced,
        "precise": _precise(values, truth, sure, balanced, precision),
        "generous": Thresholds(tuple(map(min, balanced.thresholds, generous))),
        "exact": fit_label_sets(values[whole], truth[whole], seen),
    }


def smooth(probabilities: Scores, labels: Labels, *, films: float = SMOOTHING_FILMS) -> Floats:
    """Smoothed truth w·label + (1 - w)·probability; w = n / (n + films) for n films of the genre: float N×G."""
    count = labels.sum(axis=0)
    weight = count / np.maximum(count + films, 1)
    return np.asarray(weight * labels + (1 - weight) * probabilities)


def best_f1_threshold(probabilities: Scores, truth: Floats) -> float:
    """The threshold with the highest expected F1, halfway to the next lower probability; 1 if nothing is true.

    Args:
        probabilities: float N, one genre.
        truth: float N in [0, 1]: labels, or chances that the film has the genre.

    Example:
        >>> best_f1_threshold(np.array([.9, .6, .1]), np.array([1.0, 1.0, 0.0]))
        0.35
    """
    falling, last, right = _accepted(probabilities, truth)
    if not right.any():
        return 1.0
    f1 = 2 * right / (last + 1 + right[-1])
    return _between(falling, int(f1.argmax()))


def recall_threshold(probabilities: Scores, truth: Floats, recall: float) -> float:
    """The highest threshold whose expected recall reaches the target; arguments as `best_f1_threshold`."""
    falling, _, right = _accepted(probabilities, truth)
    if not right.any():
        return 1.0
    return _between(falling, int((right >= recall * right[-1] * (1 - 1e-12)).argmax()))


def _accepted(probabilities: Scores, truth: Floats) -> tuple[Scores, NDArray[np.intp], Floats]:
    """Distinct probabilities falling; for each, the place of its last film and the truth accepted so far."""
    order = np.argsort(-probabilities, kind="stable")
    sorted_values = probabilities[order]
    last = np.flatnonzero(np.append(sorted_values[1:] != sorted_values[:-1], True))
    return sorted_values[last], last, np.cumsum(truth[order], dtype=np.float64)[last]


def _between(falling: Scores, chosen: int) -> float:
    """Halfway from the chosen probability to the next lower one, so that rounding cannot flip a film."""
    lower = float(falling[chosen + 1]) if chosen + 1 < len(falling) else float(falling[chosen])
    middle = (float(falling[chosen]) + lower) / 2
    return middle if middle > lower else float(falling[chosen])


def _precise(probabilities: Scores, labels: Labels, known: Labels, balanced: Thresholds, target: float) -> Thresholds:
    predicted = balanced.decide(probabilities) & known
    if not predicted.any():
        return Thresholds(balanced.thresholds, "nothing is sure enough on validation")
    falling, last, right = _accepted(probabilities[predicted], labels[predicted].astype(np.float64))
    precision = right / (last + 1)
    reached = np.flatnonzero(precision >= target)
    note = ""
    if len(reached):
        chosen = int(reached[-1])
    else:
        chosen = len(precision) - 1 - int(precision[::-1].argmax())
        note = f"no threshold reaches micro precision {target:g} on validation; this has {precision[chosen]:.3f}"
    least = _between(falling, chosen) if chosen + 1 < len(falling) else 0.0
    return Thresholds(tuple(max(threshold, least) for threshold in balanced.thresholds), note)
