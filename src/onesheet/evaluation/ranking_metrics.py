"""How well the probabilities order films: average precision, ROC-AUC, recall at a precision.

All metrics accept bootstrap weights, so that a value and its draws come from the same code. Ties are treated
as scikit-learn treats them: pairs with one score are accepted together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.evaluation.array_checks import (
    Floats,
    Labels,
    Scores,
    as_known,
    as_labels,
    as_scores,
    as_weights,
    like_weights,
    share_at_least,
)

CURVE_GRID = 1 / 400
"""Points of a precision-recall curve nearer than this to one that is kept are left out: half a pixel of a plot."""


class Counts(NamedTuple):
    """Weights accepted from each distinct score of a positive on, scores falling: float K each.

    Attributes:
        held: weight of the positives at this very score.
        tied: weight of the negatives at this very score.
        true: weight of the positives at this score or above.
        false: weight of the negatives at this score or above.
        negatives: weight of all negatives.
    """

    held: Floats
    tied: Floats
    true: Floats
    false: Floats
    negatives: float

    def precision(self) -> Floats:
        """Precision at each score; 0 where nothing is accepted."""
        accepted = self.true + self.false
        return np.divide(self.true, accepted, out=np.zeros_like(accepted), where=accepted > 0)

    def average_precision(self) -> float:
        """Sum of precision × gained recall; NaN without positives."""
        positives = self.true[-1] if len(self.true) else 0.0
        return float(self.held @ self.precision() / positives) if positives else float("nan")

    def roc_auc(self) -> float:
        """Chance that a positive outranks a negative, ties one half; NaN without positives or negatives."""
        pairs = self.negatives * (self.true[-1] if len(self.true) else 0.0)
        won = self.negatives - self.false + self.tied / 2
        return float(self.held @ won / pairs) if pairs else float("nan")

    def recall_at_precision(self, precision: float) -> float:
        """Highest recall at a score whose precision reaches the target, 0 if none; NaN without positives."""
        positives = self.true[-1] if len(self.true) else 0.0
        if not positives:
            return float("nan")
        return float(self.true[self.precision() >= precision].max(initial=0.0) / positives)


class Ranking:
    """Pairs put in order once, so that any number of weightings is measured without sorting again.

    Every metric changes only at scores that a positive has. So each pair gets one bin: a positive that of its
    score, a negative that of the highest positive's score not above its own (one more for "below them all"); a
    weighting is then one `bincount` and a cumulative sum over the positives' distinct scores.

    Args:
        labels: bool P.
        scores: float P, finite.
    """

    def __init__(self, labels: Labels, scores: Scores) -> None:
        self.held = np.unique(scores[labels])[::-1]
        rising = np.ascontiguousarray(self.held[::-1])
        kinds = len(self.held)
        bins = np.searchsorted(rising, scores, side="right")  # 0: below all positives
        tied = np.zeros(len(scores), dtype=bool)
        if kinds:
            np.equal(rising[np.maximum(bins, 1) - 1], scores, out=tied)
        np.subtract(kinds, bins, out=bins)
        bins[~labels] += kinds + 1
        bins[tied & ~labels] += kinds + 1
        self._bins = bins

    def counts(self, weights: NDArray[np.generic]) -> Counts:
        """Count one weighting (P, float or int)."""
        kinds = len(self.held)
        counted = np.bincount(self._bins, weights, 3 * (kinds + 1)).astype(np.float64)
        held, apart, tied = counted.reshape(3, kinds + 1)
        false = np.cumsum(apart + tied)
        return Counts(held[:-1], tied[:-1], np.cumsum(held[:-1]), false[:-1], float(false[-1]))


class Pooled:
    """A ranking of all film-genre pairs with a known label; a pair weighs what its film does.

    Args:
        labels: bool N×G.
        scores: float N×G, finite.
        known: bool N×G; None = all.
    """

    def __init__(self, labels: Labels, scores: Scores, known: Labels | None) -> None:
        self._genres = labels.shape[1]
        self._known = slice(None) if known is None else known.ravel()
        self._ranking = Ranking(labels.ravel()[self._known], scores.ravel()[self._known])

    def counts(self, weights: NDArray[np.generic]) -> Counts:
        """Count one weighting of the films (N, float or int)."""
        return self._ranking.counts(np.repeat(weights, self._genres)[self._known])


def genre_rankings(
    labels: Labels, scores: Scores, known: Labels | None
) -> list[tuple[Ranking, slice | NDArray[np.intp]]]:
    """Each genre's ranking, and the films that it is of: those whose label is known. Arguments as `Pooled`."""
    found: list[tuple[Ranking, slice | NDArray[np.intp]]] = []
    for genre in range(labels.shape[1]):
        films = slice(None) if known is None else np.flatnonzero(known[:, genre])
        found.append((Ranking(labels[films, genre], scores[films, genre]), films))
    return found


def average_precision(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    micro: bool = False,
    weights: ArrayLike | None = None,
    known: ArrayLike | None = None,
) -> Floats:
    """Average precision: the step-wise area under the precision-recall curve, not interpolated.

    Args:
        labels: bool N×G.
        scores: float N×G, finite: logits or probabilities.
        micro: pool all film-genre pairs instead of measuring each genre.
        weights: N or B×N, >= 0; None means one each.
        known: bool N×G, the labels to measure by; None means all.

    Returns:
        float G (micro: a scalar), with a leading axis B for B×N weights. NaN for a genre without positives:
        leave it out of a mean with `np.nanmean`. Equal to scikit-learn's `average_precision_score`.

    Raises:
        EvaluationError: shapes or values do not fit.

    Example:
        >>> float(average_precision([[1], [0], [1]], [[.9], [.8], [.7]])[0].round(4))
        0.8333
    """
    return _each("average_precision", labels, scores, micro, weights, known)


def roc_auc(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    micro: bool = False,
    weights: ArrayLike | None = None,
    known: ArrayLike | None = None,
) -> Floats:
    """Area under the ROC curve: the chance that a film of the genre outscores another, ties one half.

    Arguments, shapes and errors as `average_precision`; NaN for a genre without positives or without
    negatives.

    Example:
        >>> float(roc_auc([[1], [0], [1]], [[.9], [.8], [.7]])[0])
        0.5
    """
    return _each("roc_auc", labels, scores, micro, weights, known)


def recall_at_precision(
    labels: ArrayLike, scores: ArrayLike, *, precision: float = 0.6, weights: ArrayLike | None = None
) -> Floats:
    """The highest micro recall of one common threshold with at least this micro precision; 0 if none has it.

    Arguments, shapes and errors as `average_precision` with `micro=True`.

    Example:
        >>> float(recall_at_precision([[1, 0], [1, 0]], [[.9, .8], [.7, .2]], precision=.6))
        1.0
    """
    share_at_least(precision, name="precision")
    truth = as_labels(labels)
    pairs = Pooled(truth, as_scores(scores, truth), None)
    draws = as_weights(weights, len(truth))
    found = [pairs.counts(draw).recall_at_precision(precision) for draw in draws]
    return like_weights(np.array(found), weights)


def _each(
    metric: str,
    labels: ArrayLike,
    scores: ArrayLike,
    micro: bool,
    weights: ArrayLike | None,
    known: ArrayLike | None,
) -> Floats:
    truth = as_labels(labels)
    values = as_scores(scores, truth)
    draws = as_weights(weights, len(truth))
    sure = as_known(known, truth)
    if micro:
        pairs = Pooled(truth, values, sure)
        found = [getattr(pairs.counts(draw), metric)() for draw in draws]
    else:
        columns = genre_rankings(truth, values, sure)
        found = [[getattr(column.counts(draw[films]), metric)() for column, films in columns] for draw in draws]
    return like_weights(np.array(found, dtype=np.float64), weights)


def precision_recall_curve(labels: Labels, scores: Scores) -> tuple[tuple[float, float, float], ...]:
    """One genre's curve as points of (recall, precision, threshold), recall rising: draw it in steps, up before right.

    A point for each distinct score, thinned so that every threshold is within `CURVE_GRID` of a point in both metrics;
    empty without films of the genre.

    Args:
        labels: bool N.
        scores: float N, finite.

    Example:
        >>> precision_recall_curve(np.array([True, False, True]), np.array([.75, .5, .25]))[:2]
        ((0.5, 1.0, 0.75), (0.5, 0.5, 0.5))
    """
    if not labels.any():
        return ()
    falling = np.argsort(-scores, kind="stable")
    ordered = scores[falling]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each distinct score
    right = np.cumsum(labels[falling])[last]
    recall, precision = right / right[-1], right / (last + 1)
    cells = np.floor(np.stack([recall, precision], axis=1) / CURVE_GRID)
    _, first = np.unique(cells, axis=0, return_index=True)
    kept = np.sort(first)
    return tuple(zip(*(column[kept].tolist() for column in (recall, precision, ordered[last])), strict=True))


def ranking_loss(labels: Labels, scores: Scores) -> Floats:
    """Share of a film's (true, other) genre pairs that are not in order; a tie is not in order.

    The mean over films is scikit-learn's `label_ranking_loss`; a film with no genre or with all counts 0, as
    there.

    Args:
        labels: bool N×G.
        scores: float N×G; -inf = a genre that does not count.

    Returns:
        float N in [0, 1].

    Example:
        >>> ranking_loss(np.array([[True, False, False]]), np.array([[.5, .7, .1]])).tolist()
        [0.5]
    """
    wrong = np.zeros(len(labels))
    for genre in range(labels.shape[1]):
        above = ~labels & (scores >= scores[:, [genre]])
        wrong += labels[:, genre] * above.sum(axis=1)
    own = labels.sum(axis=1)
    pairs = own * ((scores > -np.inf).sum(axis=1) - own)
    return np.asarray(np.divide(wrong, pairs, out=np.zeros(len(labels)), where=pairs > 0))


def top_hit(labels: Labels, scores: Scores, *, k: int) -> Labels:
    """Whether one of the k best-scored genres is right (ties: the first column wins); none: False.

    Args:
        labels: bool N×G.
        scores: float N×G.
        k: 1..; more than G means G.

    Returns:
        bool N.

    Example:
        >>> top_hit(np.array([[False, True, False]]), np.array([[.5, .3, .1]]), k=2).tolist()
        [True]
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray(np.take_along_axis(labels, best, axis=1).any(axis=1))
