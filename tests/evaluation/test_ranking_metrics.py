import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from onesheet.errors import EvaluationError
from onesheet.evaluation import average_precision, ranking_loss, recall_at_precision, roc_auc, top_hit
from onesheet.evaluation.ranking_metrics import CURVE_GRID, precision_recall_curve


@st.composite
def films(draw, genres=4):
    """Labels, scores (few distinct values: many ties; or all distinct), integer weights that may be 0."""
    count = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.sampled_from([2, 5, 10**6]))
    scores = rng.integers(0, kinds, size=(count, genres)) / kinds
    if draw(st.booleans()):
        scores = scores.astype(np.float32)
    labels = rng.random((count, genres)) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    weights = rng.integers(0, draw(st.sampled_from([2, 6])), size=count)
    weights[rng.integers(count)] = 1
    return labels, scores, weights


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def expected(metric, labels, scores, weights):
    """scikit-learn on the films that weigh something; NaN where the metric is undefined."""
    kept = weights > 0
    truth = labels[kept]
    if not truth.any() or (metric is sk.roc_auc_score and truth.all()):
        return np.nan
    return quietly(metric, truth, scores[kept], sample_weight=weights[kept])


@settings(max_examples=50)
@given(films())
def test_per_genre_agrees_with_scikit_learn(case):
    labels, scores, weights = case
    for ours, theirs in ((average_precision, sk.average_precision_score), (roc_auc, sk.roc_auc_score)):
        for given_weights in (None, weights):
            found = ours(labels, scores, weights=given_weights)
            used = np.ones(len(labels)) if given_weights is None else weights
            wanted = [expected(theirs, labels[:, g], scores[:, g], used) for g in range(labels.shape[1])]
            np.testing.assert_allclose(found, wanted, atol=1e-9, rtol=0)


@settings(max_examples=30)
@given(films())
def test_micro_agrees_with_scikit_learn(case):
    labels, scores, weights = case
    pairs = np.repeat(weights, labels.shape[1])
    for ours, theirs in ((average_precision, sk.average_precision_score), (roc_auc, sk.roc_auc_score)):
        found = ours(labels, scores, micro=True, weights=weights)
        np.testing.assert_allclose(found, expected(theirs, labels.ravel(), scores.ravel(), pairs), atol=1e-9, rtol=0)


@settings(max_examples=30)
@given(films(), st.sampled_from([0.3, 0.6, 1.0]))
def test_recall_at_precision_agrees_with_the_curve(case, target):
    labels, scores, weights = case
    if not labels[weights > 0].any():
        assert np.isnan(recall_at_precision(labels, scores, precision=target, weights=weights))
        return
    precision, recall, _ = sk.precision_recall_curve(
        labels.ravel(), scores.ravel(), sample_weight=np.repeat(weights, labels.shape[1])
    )
    wanted = recall[:-1][precision[:-1] >= target].max(initial=0)  # without the curve's added end
    found = recall_at_precision(labels, scores, precision=target, weights=weights)
    assert found == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=30)
@given(films())
def test_ranking_loss_agrees_with_scikit_learn(case):
    labels, scores, weights = case
    wanted = sk.label_ranking_loss(labels, scores, sample_weight=weights)
    assert np.average(ranking_loss(labels, scores), weights=weights) == pytest.approx(wanted, abs=1e-9)


def test_weights_repeat_films_and_many_draws_are_one_call():
    rng = np.random.default_rng(0)
    labels, scores = rng.random((50, 3)) < 0.4, rng.random((50, 3))
    draws = rng.integers(0, 4, size=(5, 50))
    for metric in (average_precision, roc_auc):
        together = metric(labels, scores, weights=draws)
        assert together.shape == (5, 3)
        for found, draw in zip(together, draws, strict=True):
            again = np.repeat(np.arange(50), draw)
            np.testing.assert_allclose(found, metric(labels[again], scores[again]), atol=1e-12)
            np.testing.assert_array_equal(found, metric(labels, scores, weights=draw))


def test_a_genre_without_positives_or_negatives_is_nan():
    labels = np.array([[0, 1, 1], [0, 1, 0]], dtype=bool)
    scores = np.array([[0.2, 0.3, 0.4], [0.5, 0.6, 0.7]])
    np.testing.assert_array_equal(np.isnan(average_precision(labels, scores)), [True, False, False])
    np.testing.assert_array_equal(np.isnan(roc_auc(labels, scores)), [True, True, False])
    # and in a draw in which its only film vanishes
    draws = np.array([[1, 1], [0, 2]])
    np.testing.assert_array_equal(np.isnan(roc_auc(labels, scores, weights=draws))[:, 2], [False, True])


def test_top_hit():
    labels = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]], dtype=bool)
    scores = np.array([[0.3, 0.2, 0.1], [0.5, 0.5, 0.5], [0.9, 0.1, 0.1]])
    assert top_hit(labels, scores, k=1).tolist() == [False, True, False]
    assert top_hit(labels, scores, k=2).tolist() == [False, True, False]
    assert top_hit(labels, scores, k=3).tolist() == [True, True, False]
    assert top_hit(labels, scores, k=9).tolist() == [True, True, False]


@pytest.mark.parametrize("films", [20, 5000])
def test_the_curve_passes_every_threshold_of_scikit_learns(films):
    rng = np.random.default_rng(1)
    labels, scores = rng.random(films) < 0.2, rng.random(films).round(3)
    curve = np.array(precision_recall_curve(labels, scores))
    assert (np.diff(curve[:, 0]) >= 0).all() and (np.diff(curve[:, 2]) < 0).all()
    precision, recall, thresholds = sk.precision_recall_curve(labels, scores)
    for point in curve:
        place = np.flatnonzero(thresholds == point[2])[0]
        np.testing.assert_allclose(point[:2], [recall[place], precision[place]], atol=1e-9)
    everything = np.stack([recall, precision], axis=1)[:-1]
    assert np.abs(everything[:, None] - curve[None, :, :2]).max(axis=2).min(axis=1).max() < CURVE_GRID
    assert len(curve) == len(thresholds) if films == 20 else len(curve) < len(thresholds)


def test_without_films_there_is_no_curve():
    assert precision_recall_curve(np.zeros(3, dtype=bool), np.ones(3)) == ()


GOOD = np.array([[True, False], [False, True]])


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "words"),
    [
        (GOOD, [[0.1, 0.2]], None, r"shape of the labels, \(2, 2\); got \(1, 2\)"),
        (GOOD, [[0.1, np.nan], [0.2, 0.3]], None, "got nan at film 0, genre 1"),
        (GOOD, [[0.1, 0.2], [np.inf, 0.3]], None, "got inf at film 1, genre 0"),
        ([[0.5, 1]], [[0.1, 0.2]], None, "only 0 and 1"),
        ([1, 0], [0.1, 0.2], None, r"films × genres.*got \(2,\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), None, r"got \(0, 3\)"),
        (GOOD, GOOD * 0.5, [1, 2, 3], "weights must have shape 2"),
        (GOOD, GOOD * 0.5, [1, -2], "0 or more"),
        (GOOD, GOOD * 0.5, [1, np.nan], "finite"),
    ],
)
def test_unfit_arrays_are_rejected_in_one_line(labels, scores, weights, words):
    with pytest.raises(EvaluationError, match=words) as caught:
        average_precision(labels, scores, weights=weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", [0, -1, 1.5, float("nan")])
def test_a_precision_outside_its_range_is_rejected(target):
    with pytest.raises(EvaluationError, match="precision must be more than 0"):
        recall_at_precision(GOOD, GOOD * 0.5, precision=target)
