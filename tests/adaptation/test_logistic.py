from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from onesheet.adaptation.logistic import solve


def films(seed: int, count: int = 120, width: int = 15) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, width)).astype(np.float32) * np.linspace(3, 0.1, width, dtype=np.float32)
    labels = features[:, :3] + rng.standard_normal((count, 3)) > 0.5
    return features, labels


@pytest.mark.parametrize("penalty", [0.1, 10, 1000])
def test_the_optimum_is_scikit_learns(penalty: float) -> None:
    features, labels = films(0)
    found = solve(features, labels, np.zeros((120, 3), np.float32), np.full(3, penalty, np.float32), slope_penalty=3)
    for column in range(3):
        reference = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(features, labels[:, column])
        np.testing.assert_allclose(
            found.weights[:, column], reference.coef_[0], atol=2e-3 * (1 + abs(reference.coef_).max())
        )
        np.testing.assert_allclose(found.bias[column], reference.intercept_[0], atol=5e-3)


def test_the_optimum_from_starting_logits_is_scipys() -> None:
    features, labels = films(1)
    start = (labels + np.random.default_rng(2).standard_normal(labels.shape)).astype(np.float32) * 2
    used = np.arange(120) % 5 != 0
    found = solve(features, labels, start, np.full(3, 20, np.float32), slope_penalty=3, used=used)

    def objective(place: np.ndarray, column: int) -> float:  # type: ignore[type-arg]
        logits = features[used] @ place[:-2] + place[-2] + place[-1] * start[used, column]
        losses = np.logaddexp(0, np.where(labels[used, column], -logits, logits))
        return float(losses.sum() + 10 * place[:-2] @ place[:-2] + 1.5 * (place[-1] - 1) ** 2)

    for column in range(3):
        mine = np.concatenate([found.weights[:, column], [found.bias[column], found.slope[column]]]).astype(float)
        best = minimize(objective, np.zeros(17), args=(column,), options={"gtol": 1e-7})
        assert objective(mine, column) <= best.fun + 1e-4
        np.testing.assert_allclose(mine, best.x, atol=5e-3)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), penalty=st.sampled_from([0.3, 30.0, 3e4]), scale=st.sampled_from([0.01, 1.0, 20.0]))
def test_no_small_step_away_is_better(seed: int, penalty: float, scale: float) -> None:
    features, labels = films(seed)
    features, start = features * np.float32(scale), features[:, :3].copy()
    found = solve(features, labels, start, np.full(3, penalty, np.float32), slope_penalty=3)

    def objective(weights: np.ndarray, bias: np.ndarray, slope: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        logits = (features @ weights + bias + start * slope).astype(np.float64)
        losses = np.logaddexp(0, np.where(labels, -logits, logits)).sum(0)
        return losses + penalty / 2 * np.square(weights, dtype=np.float64).sum(0) + 1.5 * (slope - 1) ** 2

    best, rng = objective(*found), np.random.default_rng(seed)
    for size in (0.01, 0.1):
        away = [value + size * rng.standard_normal(value.shape) / (1 + scale) for value in found]
        assert (objective(*away) > best - 1e-3).all()


def test_columns_do_not_touch_each_other() -> None:
    features, labels = films(3)
    start, penalty = np.zeros((120, 3), np.float32), np.array([1, 100, 1e9], np.float32)
    together = solve(features, labels, start, penalty, slope_penalty=3)
    alone = solve(features, labels[:, [1]], start[:, [1]], penalty[[1]], slope_penalty=3)
    np.testing.assert_allclose(together.weights[:, [1]], alone.weights, atol=1e-3)
    assert np.abs(together.weights[:, 2]).max() < 1e-5  # a penalty that leaves nothing


def test_unknown_labels_do_not_count() -> None:
    features, labels = films(4)
    start, penalty = np.zeros((120, 3), np.float32), np.full(3, 10, np.float32)
    known = np.random.default_rng(4).random(labels.shape) < 0.7
    found = solve(features, labels ^ ~known, start, penalty, slope_penalty=3, known=known)
    for column in range(3):
        rows = known[:, column]
        reference = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(features[rows], labels[rows, column])
        np.testing.assert_allclose(found.weights[:, column], reference.coef_[0], atol=5e-3)
