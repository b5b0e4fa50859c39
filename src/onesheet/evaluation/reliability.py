"""Whether 30% means 30%: expected calibration error and reliability diagrams."""

from __future__ import annotations

import math

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
GENRE_BINS = 6
FEWEST_PAIRS = 20
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


def calibration_errors(
    labels: Labels, probabilities: Scores, weights: NDArray[np.generic], known: Labels | None = None
) -> tuple[Floats, Floats]:
    """The pooled errors, float B, and those of each genre, float B×G, from checked arrays and weights B×N."""
    genres = labels.shape[1]
    gaps = weighted_sums(
        weights, lambda films: _gaps(labels[films], probabilities[films], None if known is None else known[films])
    )
    gaps = gaps.reshape(len(weights), genres, BINS)
    films = weights.sum(axis=1, dtype=np.float64)
    pairs = films[:, None] if known is None else weighted_sums(weights, lambda part: known[part].astype(np.float64))
    all_pairs = films * genres if known is None else pairs.sum(axis=1)
    pooled = np.abs(gaps.sum(axis=1)).sum(axis=1) / np.where(all_pairs > 0, all_pairs, np.nan)
    return pooled, np.abs(gaps).sum(axis=2) / np.where(pairs > 0, pairs, np.nan)


def _gaps(labels: Labels, probabilities: Scores, known: Labels | None) -> Floats:
    """Probability - label, in the column of its genre and bin: float n×(G·15), one entry per genre and film."""
    columns = np.zeros((*labels.shape, BINS))
    gap = probabilities.astype(np.float64) - labels
    if known is not None:
        gap *= known
    np.put_along_axis(columns, _bins(probabilities)[..., None], gap[..., None], axis=2)
    return columns.reshape(len(labels), -1)


def _bins(probabilities: Scores) -> NDArray[np.intp]:
    """Bin 0..14 of each probability: [low, high), the last one closed."""
    return np.searchsorted(_EDGES[1:-1], probabilities.astype(np.float64), side="right")


def reliability(labels: Labels, probabilities: Scores, known: Labels | None = None) -> tuple[Bin, ...]:
    """The reliability diagram, all film-genre pairs pooled: 15 bins [low, high), the last one closed.

    Args:
        labels: bool N×G.
        probabilities: float N×G in [0, 1].
        known: bool N×G, the labels that count; None = all.

    Returns:
        15 bins; an empty one has NaN for its mean and share.

    Example:
        >>> reliability(np.array([[True], [False]]), np.array([[.99], [.99]]))[-1].true_share
        0.5
    """
    pairs, probability, true = np.zeros((3, BINS))
    for start in range(0, len(labels), 1 << 16):
        part = slice(start, start + (1 << 16))
        counted = slice(None) if known is None else known[part].ravel()
        bins = _bins(probabilities[part]).ravel()[counted]
        pairs += np.bincount(bins, minlength=BINS)
        probability += np.bincount(bins, probabilities[part].ravel()[counted], BINS)
        true += np.bincount(bins, labels[part].ravel()[counted], BINS)
    some = np.where(pairs > 0, pairs, np.nan)
    columns = (_EDGES[:-1], _EDGES[1:], pairs.astype(np.int64), probability / some, true / some)
    return tuple(Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def genre_reliability(labels: Labels, probabilities: Scores) -> tuple[Bin, ...]:
    """The reliability diagram of one genre: up to 6 bins of as many films each as ties allow.

    Args:
        labels: bool N.
        probabilities: float N in [0, 1].

    Returns:
        Bins with `FEWEST_PAIRS` films or more, 4 to 6 where there are enough films and they are not tied.

    Example:
        >>> rising = np.arange(100) / 100
        >>> [(one.low, one.pairs) for one in genre_reliability(rising > 0.5, rising)]
        [(0.0, 20), (0.2, 20), (0.4, 20), (0.6, 20), (0.8, 20)]
    """
    bins = min(max(len(labels) // FEWEST_PAIRS, 4), GENRE_BINS)
    ordered = np.sort(probabilities)
    edges = ordered[np.arange(1, bins) * len(labels) // bins] if len(labels) else ordered
    place = np.searchsorted(edges, probabilities, side="right")
    bounds = (0.0, *edges.tolist(), 1.0)
    found = []
    for number in range(len(edges) + 1):
        held = place == number
        if (pairs := int(held.sum())) >= FEWEST_PAIRS:
            mean, share = float(probabilities[held].mean(dtype=np.float64)), float(labels[held].mean())
            found.append(Bin(bounds[number], bounds[number + 1], pairs, mean, share))
    return tuple(found)


def wilson_interval(share: float, pairs: int) -> tuple[float, float]:
    """The 95% interval of a share, (low, high) in [0, 1].

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        share: of `pairs` that are true, in [0, 1].
        pairs: > 0.

    Example:
        >>> [round(bound, 3) for bound in wilson_interval(0.1, 20)]
        [0.028, 0.301]
    """
    z2 = 1.959963984540054**2 / pairs
    middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return max((middle - half) / (1 + z2), 0.0), min((middle + half) / (1 + z2), 1.0)
