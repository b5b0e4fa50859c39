"""How good predicted genres are: precision, recall, F1, exact match, Hamming loss.

Everything is a sum over films of a few columns, so any number of weightings is one matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import Floats, Labels, as_known, as_labels, as_weights, like_weights
from onesheet.evaluation.bootstrap import weighted_sums

PER_GENRE = ("precision", "recall", "f1", "accuracy")
_FILM_METRICS = ("sample_precision", "sample_recall", "sample_f1", "no_genre_share", "genres_per_film")


def decision_metrics(
    labels: ArrayLike, predicted: ArrayLike, *, weights: ArrayLike | None = None, known: ArrayLike | None = None
) -> dict[str, Floats]:
    """Measure predicted genres against the truth.

    Conventions: 0/0 is 0 (scikit-learn's `zero_division=0`), except that precision, recall and F1 of a genre
    no film has are NaN and left out of the macro means: nothing was there to find. Micro metrics count every
    pair.

    Args:
        labels: bool N×G.
        predicted: bool N×G.
        weights: N or B×N, >= 0; None means one each.
        known: bool N×G, the labels that are known; None means all. Unknown ones count nowhere, and a film with any is
            left out of exact_match, which is NaN if all are.

    Returns:
        One metric each (with a leading axis B for B×N weights): `micro_`, `macro_` and `sample_` precision,
        recall and f1; exact_match; label_accuracy = 1 - hamming_loss; genres_per_film; no_genre_share, films
        for which no genre is predicted; and of shape G: precision, recall, f1, accuracy; support and predicted
        (weights, not shares).

    Raises:
        EvaluationError: shapes or values do not fit.

    Example:
        >>> metrics = decision_metrics([[1, 0], [1, 1]], [[1, 0], [1, 0]])
        >>> float(metrics["micro_recall"].round(3)), float(metrics["exact_match"])
        (0.667, 0.5)
    """
    truth = as_labels(labels)
    chosen = as_labels(predicted, name="predicted genres")
    if truth.shape != chosen.shape:
        raise EvaluationError(f"predicted genres must have the labels' shape {truth.shape}; got {chosen.shape}")
    draws = as_weights(weights, len(truth))
    sure = as_known(known, truth)
    sums = weighted_sums(
        draws, lambda films: _columns(truth[films], chosen[films], None if sure is None else sure[films])
    )
    metrics = _metrics(sums, draws.sum(axis=1, dtype=np.float64), truth.shape[1])
    return {name: like_weights(metric, weights) for name, metric in metrics.items()}


def _columns(labels: Labels, predicted: Labels, known: Labels | None) -> Floats:
    """What is summed over films: right, predicted and true by genre, exact match, film metrics: float n×(3G+6).

    With unknown labels there are G+1 more: whether each is known, and whether all are.
    """
    every = predicted.sum(axis=1)
    if known is not None:
        labels, predicted = labels & known, predicted & known
    right = labels & predicted
    hits, chosen, own = (table.sum(axis=1) for table in (right, predicted, labels))
    film = [
        _ratio(hits, chosen),
        _ratio(hits, own),
        _ratio(2 * hits, chosen + own),
        every == 0,
        every,
    ]
    exact = np.all(labels == predicted, axis=1, keepdims=True)
    columns = [right, predicted, labels, np.stack(film, axis=1)]
    if known is None:
        return np.concatenate([*columns, exact], axis=1, dtype=np.float64)
    whole = np.all(known, axis=1, keepdims=True)
    return np.concatenate([*columns, exact & whole, whole, known], axis=1, dtype=np.float64)


def _metrics(sums: Floats, films: Floats, genres: int) -> dict[str, Floats]:
    ends = np.cumsum([genres, genres, genres, len(_FILM_METRICS), 1])
    right, predicted, support, film, exact, counted = np.split(sums, ends, axis=1)
    if counted.shape[1]:  # with unknown labels
        whole, pairs = counted[:, 0], counted[:, 1:]
        match = np.where(whole > 0, _ratio(exact[:, 0], whole), np.nan)
        all_pairs = pairs.sum(axis=1)
    else:
        pairs, all_pairs, match = films[:, None], films * genres, _ratio(exact[:, 0], films)
    found = np.where(support > 0, 1.0, np.nan)
    wrong = predicted + support - 2 * right
    per_genre = {
        "precision": _ratio(right, predicted) * found,
        "recall": _ratio(right, support) * found,
        "f1": _ratio(2 * right, predicted + support) * found,
    }
    all_right, all_predicted, all_true = right.sum(axis=1), predicted.sum(axis=1), support.sum(axis=1)
    hamming = _ratio(wrong.sum(axis=1), all_pairs)
    return {
        "micro_precision": _ratio(all_right, all_predicted),
        "micro_recall": _ratio(all_right, all_true),
        "micro_f1": _ratio(2 * all_right, all_predicted + all_true),
        **{f"macro_{name}": mean_of_defined(metric) for name, metric in per_genre.items()},
        **{name: _ratio(film[:, column], films) for column, name in enumerate(_FILM_METRICS)},
        "exact_match": match,
        "label_accuracy": 1 - hamming,
        "hamming_loss": hamming,
        **per_genre,
        "accuracy": 1 - _ratio(wrong, pairs),
        "support": support,
        "predicted": predicted,
    }


def mean_of_defined(metrics: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(metrics)
    count = defined.sum(axis=-1)
    total = np.where(defined, metrics, 0).sum(axis=-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    """above / below, 0 where below is 0."""
    over, under = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.asarray(np.divide(over, under, out=np.zeros(over.shape), where=under > 0))
