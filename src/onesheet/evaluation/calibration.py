"""Logits -> calibrated probabilities: a scale and bias per genre, shrunk to a common one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import Floats, Labels, as_known, as_labels, as_scores

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
_POOLED_PENALTY = 1.0  # pseudo-observations that keep the common fit finite on a handful of films
_FOLDS = 5
_LEAST_SLOPE = 0.1
_STEPS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """probabilities = sigmoid(scale * logits + bias), genre by genre.

    Attributes:
        scale: float64 G, > 0.
        bias: float64 G.
        penalty: strength of the shrinkage that was used.
    """

    scale: Floats
    bias: Floats
    penalty: float

    def probabilities(self, logits: ArrayLike) -> Floats:
        """Logits N×G -> calibrated probabilities, float64 N×G."""
        return sigmoid(np.asarray(logits, np.float64) * self.scale + self.bias)


def fit_calibration(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    known: ArrayLike | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> Calibration:
    """Fit scale and bias on validation films without overfitting rare genres.

    Platt scaling (Platt 1999) with partial pooling: one common scale and bias is fitted to all film-genre
    pairs; then each genre's deviation from it, a slope about the genre's own centre and a shift, by maximum
    likelihood under a Gaussian prior of precision `penalty` on both. A genre with many films moves as it
    needs, one with few hardly leaves the common fit, and one with no films at all, or with all of them, keeps
    it. The penalty is the one with the least cross-validated log loss over five folds (film i is in fold i
    mod 5, so the result is the same every time).

    Args:
        logits: float N×G, finite.
        labels: bool N×G.
        known: bool N×G, the labels to fit to; None = all.
        penalties: to choose from, >= 0; a single one is taken as it is (0: plain Platt scaling of each
            genre).

    Raises:
        EvaluationError: shapes or values do not fit.

    Example:
        >>> calibration = fit_calibration([[4.0], [4.0], [-4.0], [-4.0]] * 50, [[1], [0], [0], [0]] * 50)
        >>> bool(calibration.probabilities([[4.0]])[0, 0] < .6)
        True
    """
    truth = as_labels(labels)
    values = as_scores(logits, truth, name="logits").astype(np.float64)
    if not penalties or min(penalties) < 0:
        raise EvaluationError(f"penalties must be one or more numbers, none negative; got {list(penalties)}")
    counts = np.ones(truth.shape) if known is None else np.asarray(as_known(known, truth), np.float64)
    truth = truth & (counts > 0)
    strong_first = sorted(penalties, reverse=True)
    losses = np.zeros(len(strong_first))
    folds = min(_FOLDS, len(truth))
    if len(strong_first) > 1 and folds > 1:
        for fold in range(folds):
            held = np.arange(len(truth)) % folds == fold
            fits = _fits(values[~held], truth[~held], counts[~held], strong_first)
            losses += [(counts[held] * _losses(values[held] * scale + bias, truth[held])).sum() for scale, bias in fits]
    chosen = strong_first[int(losses.argmin())]
    scale, bias = _fits(values, truth, counts, [chosen])[0]
    return Calibration(scale=scale, bias=bias, penalty=chosen)


def _fits(logits: Floats, labels: Labels, counts: Floats, penalties: Sequence[float]) -> list[tuple[Floats, Floats]]:
    """The common fit, then each genre's deviation under each penalty, started from the last one's.

    `counts` is 1 where a label is known, else 0.
    """
    common_scale, common_bias = _fit(
        logits.reshape(-1, 1), labels.reshape(-1, 1), counts.reshape(-1, 1), _POOLED_PENALTY
    )[0]
    pooled = logits * common_scale + common_bias
    silent = (labels | (counts == 0)).all(axis=0) | ~labels.any(axis=0)
    fits = []
    deviation = np.zeros((2, logits.shape[1]))
    for penalty in penalties:
        (scale, bias), deviation = _fit(pooled, labels, counts, penalty, start=deviation)
        scale, bias = np.where(silent, 1, scale), np.where(silent, 0, bias)
        fits.append((scale * common_scale, scale * common_bias + bias))
    return fits


def _fit(
    logits: Floats, labels: Labels, counts: Floats, penalty: float, *, start: Floats | None = None
) -> tuple[Floats, Floats]:
    """Newton's method, all columns at once, on log loss + penalty/2 · (slope² + shift²).

    The fitted logit is `logit + slope · (logit - centre) + shift`. The centre weighs films by how undecided
    they are, which makes slope and shift nearly independent.

    Returns:
        (scale, bias) and (slope, shift), float 2×C each.
    """
    undecided = counts * _spread(logits) + 1e-12
    offset = logits - (undecided * logits).sum(axis=0) / undecided.sum(axis=0)
    place = np.zeros((2, logits.shape[1])) if start is None else start

    def objective(place: Floats) -> Floats:
        loss = (counts * _losses(logits + place[0] * offset + place[1], labels)).sum(axis=0)
        return np.asarray(loss + penalty / 2 * (place**2).sum(axis=0))

    best = objective(place)
    for _ in range(_STEPS):
        step = _newton_step(logits + place[0] * offset + place[1], offset, labels, counts, place, penalty)
        for _ in range(30):  # halve the step of the columns it made worse
            trial = place + step
            trial[0] = np.maximum(trial[0], _LEAST_SLOPE - 1)
            value = objective(trial)
            worse = value > best + 1e-9 * (1 + best)  # rounding is not worse
            if not worse.any():
                break
            step[:, worse] /= 2
        trial[:, worse] = place[:, worse]
        moved = np.abs(trial - place).max()
        place, best = trial, np.where(worse, best, value)
        if moved < 1e-7:  # the next step would move its square
            break
    scale = 1 + place[0]
    bias = place[1] - place[0] * (logits - offset)[0]
    return np.stack([scale, bias]), place


def _newton_step(
    fitted: Floats, offset: Floats, labels: Labels, counts: Floats, place: Floats, penalty: float
) -> Floats:
    """Solve each column's 2×2 system; a slope at its bound that wants lower stays there."""
    miss, curve = counts * (sigmoid(fitted) - labels), counts * _spread(fitted)
    slope_gradient = (miss * offset).sum(axis=0) + penalty * place[0]
    shift_gradient = miss.sum(axis=0) + penalty * place[1]
    slope_curve = (curve * offset**2).sum(axis=0) + penalty + 1e-9
    shift_curve = curve.sum(axis=0) + penalty + 1e-9
    cross = (curve * offset).sum(axis=0)
    bound = (place[0] <= _LEAST_SLOPE - 1) & (slope_gradient > 0)
    cross, slope_gradient = np.where(bound, 0, cross), np.where(bound, 0, slope_gradient)
    size = slope_curve * shift_curve - cross**2
    slope = shift_curve * slope_gradient - cross * shift_gradient
    shift = slope_curve * shift_gradient - cross * slope_gradient
    return np.asarray(-np.stack([slope, shift]) / size)


def _losses(logits: Floats, labels: Labels) -> Floats:
    """Log loss of each pair, in nats."""
    return np.asarray(np.logaddexp(0, np.where(labels, -logits, logits)))


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def _spread(logits: Floats) -> Floats:
    probability = sigmoid(logits)
    return probability * (1 - probability)
