import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from onesheet.errors import EvaluationError
from onesheet.evaluation import calibration_error
from onesheet.evaluation.reliability import genre_reliability, reliability, wilson_interval


def plain_error(labels, probabilities, weights):
    """The definition, bin by bin."""
    total = 0.0
    for bin_ in range(15):
        low, high = bin_ / 15, (bin_ + 1) / 15
        inside = (probabilities >= low) & ((probabilities < high) | (bin_ == 14))
        if weights[inside].sum():
            mean = np.average(probabilities[inside], weights=weights[inside])
            share = np.average(labels[inside], weights=weights[inside])
            total += weights[inside].sum() / weights.sum() * abs(mean - share)
    return total


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_error_is_its_definition(seed, kind):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((30, 3)).astype(kind)
    probabilities[0] = 0, 1, 0.5
    labels, weights = rng.random((30, 3)) < 0.3, rng.integers(0, 3, size=30)
    weights[0] = 1
    wide = probabilities.astype(np.float64)
    pooled = plain_error(labels.ravel(), wide.ravel(), np.repeat(weights, 3))
    assert calibration_error(labels, probabilities, weights=weights) == pytest.approx(pooled, abs=1e-9)
    each = [plain_error(labels[:, g], wide[:, g], weights) for g in range(3)]
    np.testing.assert_allclose(calibration_error(labels, probabilities, micro=False, weights=weights), each, atol=1e-9)


def test_diagram_counts_every_pair_and_gives_the_error():
    rng = np.random.default_rng(0)
    probabilities = rng.random((70_000, 3)) ** 2
    labels = rng.random((70_000, 3)) < probabilities**1.5
    bins = reliability(labels, probabilities)
    assert sum(one.pairs for one in bins) == labels.size
    error = sum(one.pairs * abs(one.mean_probability - one.true_share) for one in bins) / labels.size
    assert calibration_error(labels, probabilities) == pytest.approx(error, abs=1e-9)


def test_empty_bins_are_nan_and_edges_belong_to_the_upper_bin():
    bins = reliability(np.array([[True, False, True]]), np.array([[0.0, 1 / 15, 1.0]]))
    assert [one.pairs for one in bins] == [1, 1, *[0] * 12, 1]
    assert np.isnan(bins[5].mean_probability) and np.isnan(bins[5].true_share)


@pytest.mark.parametrize(("films", "bins"), [(79, 0), (80, 4), (100, 5), (120, 6), (1485, 6)])
def test_a_genres_bins_hold_as_many_films_each(films, bins):
    rng = np.random.default_rng(films)
    probabilities = rng.random(films) ** 3
    labels = rng.random(films) < probabilities
    found = genre_reliability(labels, probabilities)
    assert len(found) == bins or (bins == 0 and len(found) < 4)
    for one, rows in zip(found, np.array_split(np.argsort(probabilities), max(bins, 1)), strict=bins > 0):
        if bins:
            assert abs(one.pairs - len(rows)) <= 1 and one.pairs >= 20
            inside = (probabilities >= one.low) & ((probabilities < one.high) | (one.high == 1))
            assert inside.sum() == one.pairs
            assert one.mean_probability == pytest.approx(probabilities[inside].mean())
            assert one.true_share == pytest.approx(labels[inside].mean())


def test_equal_probabilities_are_one_bin():
    found = genre_reliability(np.arange(200) < 50, np.full(200, 0.25, np.float32))
    assert [(one.pairs, one.mean_probability, one.true_share) for one in found] == [(200, 0.25, 0.25)]
    assert genre_reliability(np.zeros(0, bool), np.zeros(0)) == ()


@given(st.integers(1, 500), st.data())
def test_wilson_intervals_are_scipys(pairs, data):
    right = data.draw(st.integers(0, pairs))
    wanted = binomtest(right, pairs).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / pairs, pairs) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


@pytest.mark.parametrize(("values", "words"), [([[0.5, 1.5]], "0.5 to 1.5"), ([[-0.1, 0.5]], "-0.1 to 0.5")])
def test_probabilities_outside_their_range_are_rejected(values, words):
    with pytest.raises(EvaluationError, match=words):
        calibration_error([[1, 0]], values)
