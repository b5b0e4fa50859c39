"""Whether 30 % means 30 %: expected calibration error and the reliability diagram, 15 equal-width bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.evaluation.array_checks import (
    Floats,
    Labels,
    Scores,
    as_labels,
    as_probabilities,
    as_weights,
    like_weights,
)
from onesheet.evaluation.bootstrap import weighted_sums
from onesheet.evaluation.results import Bin

BINS = 15
_EDGES = np.linspace(0, 1, BINS + 1)


def calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, *, micro: bool = True, weights: ArrayLike | None = None
) -> Floats:
    """Expected calibration error: over bins, the share of pairs × abs(mean probability - true share).

    Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI
    2015; here on film-genre pairs, with the probability of the genre (not of the likelier answer).

    Args:
        labels: bool N×G.
        probabilities: float N×G in [0, 1].
        micro: pool all film-genre pairs; False measures each genre alone, which is noisier and larger.
        weights: N or B×N, >= 0; None means one each.

    Returns:
        A scalar in [0, 1] (float G with `micro=False`), with a leading axis B for B×N weights.

    Raises:
        EvaluationError: shapes or values do not fit.

    Example:
        >>> float(calibration_error([[1], [0]], [[.75], [.75]]))
        0.25
    """
    truth = as_labels(labels)
    values = as_probabilities(probabilities, truth)
    pooled, genres = calibration_errors(truth, values, as_weights(weights, len(truth)))
    return like_weights(pooled if micro else genres, weights)


def calibration_errors(labels: Labels, probabilities: Scores, weights: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """The pooled errors, float B, and those of each genre, float B×G, from checked arrays and weights B×N."""
    genres = labels.shape[1]
    gaps = weighted_sums(weights, lambda films: _gaps(labels[films], probabilities[films]))
    gaps = gaps.reshape(len(weights), genres, BINS)
    films = weights.sum(axis=1, dtype=np.float64)
    films[films == 0] = np.nan
    pooled = np.abs(gaps.sum(axis=1)).sum(axis=1) / (films * genres)
    return pooled, np.abs(gaps).sum(axis=2) / films[:, None]


def _gaps(labels: Labels, probabilities: Scores) -> Floats:
    """Probability - label, in the column of its genre and bin: float n×(G·15), one entry per genre and film."""
    columns = np.zeros((*labels.shape, BINS))
    gap = probabilities.astype(np.float64) - labels
    np.put_along_axis(columns, _bins(probabilities)[..., None], gap[..., None], axis=2)
    return columns.reshape(len(labels), -1)


def _bins(probabilities: Scores) -> NDArray[np.intp]:
    """Bin 0..14 of each probability: [low, high), the last one closed."""
    return np.searchsorted(_EDGES[1:-1], probabilities.astype(np.float64), side="right")


def reliability(labels: Labels, probabilities: Scores) -> tuple[Bin, ...]:
    """The reliability diagram, all film-genre pairs pooled: 15 bins [low, high), the last one closed.

    Args:
        labels: bool N×G.
        probabilities: float N×G in [0, 1].

    Returns:
        15 bins; an empty one has NaN for its mean and share.

    Example:
        >>> reliability(np.array([[True], [False]]), np.array([[.99], [.99]]))[-1].true_share
        0.5
    """
    pairs, probability, true = np.zeros((3, BINS))
    for start in range(0, len(labels), 1 << 16):
        part = slice(start, start + (1 << 16))
        bins = _bins(probabilities[part]).ravel()
        pairs += np.bincount(bins, minlength=BINS)
        probability += np.bincount(bins, probabilities[part].ravel(), BINS)
        true += np.bincount(bins, labels[part].ravel(), BINS)
    some = np.where(pairs > 0, pairs, np.nan)
    columns = (_EDGES[:-1], _EDGES[1:], pairs.astype(np.int64), probability / some, true / some)
    return tuple(Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
