"""Checks of the arrays that this package is passed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.errors import EvaluationError

Labels = NDArray[np.bool_]
Floats = NDArray[np.float64]
Scores = NDArray[np.floating]


def as_labels(labels: ArrayLike, *, name: str = "labels") -> Labels:
    """Anything of shape N×G (N, G >= 1) that holds only 0 and 1 -> bool N×G.

    Raises:
        EvaluationError: another shape or another value.
    """
    array = np.asarray(labels)
    if array.ndim != 2 or 0 in array.shape:
        raise EvaluationError(f"{name} must have shape films × genres, one of each at least; got {array.shape}")
    if array.dtype == bool:
        return array
    if not np.isin(array, (0, 1)).all():
        raise EvaluationError(f"{name} must hold only 0 and 1; got other values; pass labels, not probabilities")
    return array.astype(bool)


def as_scores(scores: ArrayLike, labels: Labels, *, name: str = "scores") -> Scores:
    """Finite floats of the labels' shape; float32 and float64 stay as they are.

    Raises:
        EvaluationError: another shape, NaN or infinity.
    """
    array = np.asarray(scores)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.shape != labels.shape:
        raise EvaluationError(
            f"{name} must have the shape of the labels, {labels.shape}; got {array.shape}; "
            "pass one row a film and one column a genre"
        )
    if not np.isfinite(array).all():
        film, genre = np.argwhere(~np.isfinite(array))[0]
        raise EvaluationError(
            f"{name} must be finite; got {array[film, genre]} at film {film}, genre {genre}; "
            "leave unreadable posters out"
        )
    return array


def as_probabilities(probabilities: ArrayLike, labels: Labels) -> Scores:
    """Floats in [0, 1] of the labels' shape.

    Raises:
        EvaluationError: another shape, NaN, or values outside [0, 1].
    """
    array = as_scores(probabilities, labels, name="probabilities")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise EvaluationError(
            f"probabilities must be in [0, 1]; got {low:g} to {high:g}; pass logits through a sigmoid"
        )
    return array


def as_known(known: ArrayLike | None, labels: Labels) -> Labels | None:
    """Where labels N×G are known, bool N×G; None = everywhere.

    Raises:
        EvaluationError: another shape, or not bool.
    """
    if known is None:
        return None
    array = as_labels(known, name="known")
    if array.shape != labels.shape:
        raise EvaluationError(f"known must have the labels' shape {labels.shape}; got {array.shape}")
    return array


def as_weights(weights: ArrayLike | None, films: int) -> NDArray[np.generic]:
    """Weights N or B×N, finite, >= 0 (None: all ones) -> B×N.

    Raises:
        EvaluationError: another shape, NaN, or a negative weight.
    """
    if weights is None:
        return np.ones((1, films))
    array = np.atleast_2d(np.asarray(weights))
    if array.ndim != 2 or array.shape[1] != films:
        raise EvaluationError(f"weights must have shape {films} or draws × {films}; got {np.shape(weights)}")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise EvaluationError("weights must be finite and 0 or more; got a negative weight, NaN or infinity")
    return array


def like_weights(metric: Floats, weights: ArrayLike | None) -> Floats:
    """Drop the leading draws axis when the caller gave one weighting, or none."""
    return metric if weights is not None and np.ndim(weights) == 2 else metric[0]


def share_at_least(target: float, *, name: str) -> float:
    """A target in (0, 1].

    Raises:
        EvaluationError: outside.
    """
    if not 0 < target <= 1:
        raise EvaluationError(f"{name} must be more than 0 and at most 1; got {target}")
    return float(target)


def of_width(probabilities: ArrayLike, genres: int) -> Scores:
    """Probabilities N×G with the right G, not looked at further: N may be 0.

    Raises:
        EvaluationError: another shape.
    """
    array = np.asarray(probabilities)
    if array.ndim != 2 or array.shape[1] != genres:
        raise EvaluationError(
            f"probabilities must have shape films × {genres} (the operating point's genres); got {array.shape}"
        )
    return array
