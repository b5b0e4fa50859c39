"""Logistic regression with a quadratic penalty: many problems at once, each solved to its one optimum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ENOUGH = 1e-5  # nats that another Newton step would save, summed over a problem's films
_NEWTON_STEPS = 50
_HALVINGS = 30
_INNER_STEPS = 200
_INNER_SHARE = 1e-4  # of the squared residual, at which a Newton step is known well enough


class Solutions(NamedTuple):
    """One linear function per column.

    Attributes:
        weights: float32 D×C.
        bias: float32 C.
        slope: float32 C, of the starting logits.
    """

    weights: Floats
    bias: Floats
    slope: Floats

    def logits(self, features: Floats, start: Floats) -> Floats:
        """Features N×D and starting logits N×C -> logits, float32 N×C."""
        return np.asarray(features @ self.weights + self.bias + start * self.slope)


def solve(
    features: Floats,
    labels: NDArray[np.bool_],
    start: Floats,
    penalty: Floats,
    *,
    slope_penalty: float,
    used: NDArray[np.bool_] | None = None,
    known: NDArray[np.bool_] | None = None,
) -> Solutions:
    """Minimise Σ log loss + penalty/2 · |weights|² + slope_penalty/2 · (slope - 1)² for every column.

    A column's logits are `features @ weights + bias + start · slope`. Newton's method, each step by conjugate gradients
    with the Hessian's diagonal, which is nearly all of it where features are uncorrelated. The objective is convex
    with one minimum, so the result does not depend on the way there.

    Args:
        features: float32 N×D, centred, best uncorrelated.
        labels: bool N×C.
        start: float32 N×C, logits to start from; 0 where nothing is known.
        penalty: float32 C, > 0.
        slope_penalty: > 0.
        used: bool N, the films that count, among which every column has both labels; None = all.
        known: bool N×C, the labels that count; None = all.
    """
    problem = _Problem(features, labels, start, penalty, slope_penalty, used, known)
    place = problem.centre.copy()
    logits = problem.logits(place)
    loss = problem.loss(logits, place)
    for _ in range(_NEWTON_STEPS):
        gradient, curvature, diagonal = problem.slopes(logits, place)
        if ((gradient**2 / diagonal).sum(0) < 2 * ENOUGH).all():
            break
        step = _newton_step(problem, gradient, curvature, diagonal)
        for _ in range(_HALVINGS):  # of the columns that the step made worse
            trial = place + step
            trial_logits = problem.logits(trial)
            trial_loss = problem.loss(trial_logits, trial)
            worse = trial_loss > loss + 1e-6 * np.abs(loss)  # rounding is not worse
            if not worse.any():
                break
            step[:, worse] /= 2
        place, logits, loss = trial, trial_logits, trial_loss
    return Solutions(place[:-2], place[-2], place[-1])


class _Problem:
    """Losses and their derivatives; a place is float32 (D+2)×C: weights, bias, slope."""

    def __init__(
        self,
        features: Floats,
        labels: NDArray[np.bool_],
        start: Floats,
        penalty: Floats,
        slope_penalty: float,
        used: NDArray[np.bool_] | None,
        known: NDArray[np.bool_] | None,
    ) -> None:
        rows = slice(None) if used is None else used
        self.features, self.start = features[rows], start[rows]
        self.truth = labels[rows].astype(np.float32)
        self.sign = 1 - 2 * self.truth
        self.counts = None if known is None else known[rows].astype(np.float32)
        self.squares = np.square(self.features).mean(0)[:, None]
        self.centre = np.zeros((features.shape[1] + 2, labels.shape[1]), np.float32)
        self.centre[-1] = 1
        self.pull = np.zeros_like(self.centre)
        self.pull[:-2], self.pull[-1] = penalty, slope_penalty

    def logits(self, place: Floats) -> Floats:
        return Solutions(place[:-2], place[-2], place[-1]).logits(self.features, self.start)

    def loss(self, logits: Floats, place: Floats) -> NDArray[np.float64]:
        loss = self._counted(np.logaddexp(0, self.sign * logits)).sum(0, dtype=np.float64)
        return np.asarray(loss + (self.pull / 2 * np.square(place - self.centre)).sum(0, dtype=np.float64))

    def slopes(self, logits: Floats, place: Floats) -> tuple[Floats, Floats, Floats]:
        """Gradient (D+2)×C, each film's curvature N×C, and the Hessian's diagonal (D+2)×C, nearly."""
        chance = (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32, copy=False)
        gradient = self.gathered(self._counted(chance - self.truth)) + self.pull * (place - self.centre)
        curvature = self._counted(chance * (1 - chance))
        total = curvature.sum(0)
        own = (curvature * np.square(self.start)).sum(0)
        diagonal = np.concatenate([total * self.squares, total[None], own[None]]) + self.pull + np.float32(1e-6)
        return gradient.astype(np.float32, copy=False), curvature, diagonal

    def _counted(self, values: Floats) -> Floats:
        """Values N×C, 0 where the label is unknown."""
        return values if self.counts is None else values * self.counts

    def gathered(self, rows: Floats) -> Floats:
        """What N×C values at the films' logits mean for a place: (D+2)×C."""
        return np.concatenate([self.features.T @ rows, rows.sum(0)[None], (self.start * rows).sum(0)[None]])


def _newton_step(problem: _Problem, gradient: Floats, curvature: Floats, diagonal: Floats) -> Floats:
    """Solve Hessian · step = -gradient by conjugate gradients, all columns at once."""
    step, residual = np.zeros_like(gradient), -gradient
    scaled = residual / diagonal
    way = scaled.copy()
    length = (residual * scaled).sum(0)
    goal = _INNER_SHARE * length
    for _ in range(_INNER_STEPS):
        curved = problem.gathered(curvature * problem.logits(way)) + problem.pull * way
        rate = length / np.maximum((way * curved).sum(0), 1e-30)
        step += rate * way
        residual -= rate * curved
        scaled = residual / diagonal
        shorter = (residual * scaled).sum(0)
        if (shorter <= goal).all():
            break
        way = scaled + shorter / np.maximum(length, 1e-30) * way
        length = shorter
    return step
