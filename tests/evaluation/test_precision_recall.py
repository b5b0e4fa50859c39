import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from onesheet.errors import EvaluationError
from onesheet.evaluation import decision_metrics
from onesheet.evaluation.confusion import count_together, similarity_order


@st.composite
def decided(draw, genres=5):
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.random((count, genres)) < draw(st.sampled_from([0.05, 0.4, 0.95]))
    chosen = np.where(rng.random(labels.shape) < 0.6, labels, rng.random(labels.shape) < 0.3)
    weights = rng.integers(0, 4, size=count)
    weights[0] = 1
    return labels, chosen, weights


@settings(max_examples=50)
@given(decided())
def test_figures_agree_with_scikit_learn(case):
    labels, chosen, weights = case
    found = decision_metrics(labels, chosen, weights=weights)
    present = np.flatnonzero(labels[weights > 0].any(axis=0))
    wanted = {
        "exact_match": sk.accuracy_score(labels, chosen, sample_weight=weights),
        "hamming_loss": sk.hamming_loss(labels, chosen, sample_weight=weights),
    }
    options = {"sample_weight": weights, "zero_division": 0}
    for average, prefix in (("micro", "micro"), ("samples", "sample"), ("macro", "macro")):
        if average == "macro" and not len(present):
            continue
        chosen_labels = {"labels": present} if average == "macro" else {}
        metrics = sk.precision_recall_fscore_support(labels, chosen, average=average, **chosen_labels, **options)
        wanted |= dict(zip((f"{prefix}_{name}" for name in ("precision", "recall", "f1")), metrics, strict=False))
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert found["label_accuracy"] == pytest.approx(1 - wanted["hamming_loss"], abs=1e-9)
    each = sk.precision_recall_fscore_support(labels, chosen, average=None, **options)
    for name, metrics in zip(("precision", "recall", "f1", "support"), each, strict=True):
        np.testing.assert_allclose(found[name][present], metrics[present], atol=1e-9)
    absent = np.setdiff1d(np.arange(labels.shape[1]), present)
    assert np.isnan(found["f1"][absent]).all() and np.isnan(found["precision"][absent]).all()
    accuracy = [sk.accuracy_score(labels[:, g], chosen[:, g], sample_weight=weights) for g in range(labels.shape[1])]
    np.testing.assert_allclose(found["accuracy"], accuracy, atol=1e-9)
    size = np.average(chosen.sum(axis=1), weights=weights)
    assert found["genres_per_film"] == pytest.approx(size, abs=1e-9)
    empty = np.average(~chosen.any(axis=1), weights=weights)
    assert found["no_genre_share"] == pytest.approx(empty, abs=1e-9)


def test_many_draws_are_one_call_and_chunks_do_not_show():
    rng = np.random.default_rng(0)
    labels, chosen = rng.random((2, 9000, 3)) < 0.3  # more films than a chunk
    draws = rng.integers(0, 4, size=(3, 9000))
    together = decision_metrics(labels, chosen, weights=draws)
    for row, draw in enumerate(draws):
        again = np.repeat(np.arange(9000), draw)
        for name, value in decision_metrics(labels[again], chosen[again]).items():
            np.testing.assert_allclose(together[name][row], value, atol=1e-12)


def test_macro_of_no_genre_at_all_is_nan():
    metrics = decision_metrics(np.zeros((3, 2)), np.ones((3, 2)))
    assert np.isnan(metrics["macro_f1"]) and metrics["micro_f1"] == 0


def test_shapes_must_agree():
    with pytest.raises(EvaluationError, match=r"shape \(2, 2\); got \(2, 3\)"):
        decision_metrics(np.zeros((2, 2)), np.zeros((2, 3)))


@settings(max_examples=30)
@given(decided())
def test_the_confusion_table_is_counted_film_by_film_and_its_diagonal_is_recall(case):
    labels, chosen, _ = case
    table = count_together(labels, chosen)
    for row in range(5):
        for column in range(5):
            assert table[row, column] == sum(
                1 for own, given in zip(labels, chosen, strict=True) if own[row] and given[column]
            )
    recall = sk.recall_score(labels, chosen, average=None, zero_division=0)
    np.testing.assert_allclose(np.diag(table) / np.maximum(labels.sum(axis=0), 1), recall)


@pytest.mark.parametrize("seed", range(5))
def test_genres_that_are_alike_are_neighbours(seed):
    """A chain of genres, each predicted for its neighbours' films alone, is found in any order, forwards or back."""
    chain = 10 * np.eye(8, dtype=int) + 4 * (np.eye(8, k=1, dtype=int) + np.eye(8, k=-1, dtype=int))
    mixed = np.random.default_rng(seed).permutation(8)
    found = mixed[similarity_order(chain[np.ix_(mixed, mixed)])].tolist()
    assert found in (list(range(8)), list(range(8))[::-1])


@pytest.mark.parametrize("seed", range(5))
def test_a_genre_apart_does_not_hide_how_the_others_are_alike(seed):
    """Two families of genres stay together beside a genre that has no film."""
    table = np.zeros((9, 9), dtype=int)
    table[:4, :4] = table[4:8, 4:8] = 3
    table += np.diag([10] * 8 + [0])
    mixed = np.random.default_rng(seed).permutation(9)
    found = [genre for genre in mixed[similarity_order(table[np.ix_(mixed, mixed)])].tolist() if genre < 8]
    assert {*found[:4]} in ({0, 1, 2, 3}, {4, 5, 6, 7})


@pytest.mark.parametrize("genres", [1, 2, 3, 5])
def test_genres_without_films_have_a_place_too(genres):
    assert sorted(similarity_order(np.zeros((genres, genres)))) == list(range(genres))


def test_count_together():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 70_000, 4)) < 0.5
    np.testing.assert_array_equal(count_together(one, other), one.T.astype(int) @ other.astype(int))
