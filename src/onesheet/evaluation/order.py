"""How well a film's own genres are ordered: one figure a film, to be averaged over films."""

from __future__ import annotations

import numpy as np

from onesheet.evaluation.checks import Floats, Labels, Scores


def ranking_loss(labels: Labels, scores: Scores) -> Floats:
    """Share of a film's (true, other) genre pairs that are not in order; a tie is not in order.

    The mean over films is scikit-learn's `label_ranking_loss`; a film with no genre or with all counts 0, as
    there.

    Args:
        labels: bool N×G.
        scores: float N×G.

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
    pairs = own * (labels.shape[1] - own)
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
