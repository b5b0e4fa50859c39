import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from onesheet.errors import EvaluationError
from onesheet.evaluation import confusion_matrix, decision_metrics
from onesheet.evaluation.confusion import count_together


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


@pytest.mark.parametrize(
    ("true", "chosen", "cells"),
    [
        # genres a b c = 0 1 2, none = 3; cells (row, column)
        ("ab", "ab", [(0, 0), (1, 1)]),
        ("ab", "a", [(0, 0), (1, 3)]),  # only a miss: none was put in its place
        ("a", "abc", [(0, 0), (0, 1), (0, 2)]),  # only extras: taken from the true ones
        ("ab", "ac", [(0, 0), (1, 2)]),  # a miss and an extra: one for the other
        ("ab", "c", [(0, 2), (1, 2)]),
        ("a", "bc", [(0, 1), (0, 2)]),
        ("a", "", [(0, 3)]),
        ("", "b", [(3, 1)]),
        ("", "", [(3, 3)]),
        ("ab", "abc", [(0, 0), (1, 1), (0, 2), (1, 2)]),
    ],
)
def test_confusion_by_hand(true, chosen, cells):
    rows = [np.array([[genre in names for genre in "abc"]]) for names in (true, chosen)]
    wanted = np.zeros((4, 4), dtype=int)
    for cell in cells:
        wanted[cell] += 1
    np.testing.assert_array_equal(confusion_matrix(*rows), wanted)


@settings(max_examples=30)
@given(decided())
def test_confusion_invariants(case):
    labels, chosen, _ = case
    matrix = confusion_matrix(labels, chosen)
    genres = labels.shape[1]
    films = sum(confusion_matrix(labels[[f]], chosen[[f]]) for f in range(len(labels)))
    np.testing.assert_array_equal(matrix, films)  # films add up
    np.testing.assert_array_equal(np.diag(matrix)[:genres], (labels & chosen).sum(axis=0))
    assert (matrix.sum(axis=1)[:genres] >= labels.sum(axis=0)).all()  # no true genre is lost
    assert (matrix.sum(axis=0)[:genres] >= chosen.sum(axis=0)).all()  # nor a given one
    np.testing.assert_array_equal(  # for films with one genre each it is the ordinary confusion matrix
        confusion_matrix(np.eye(genres, dtype=bool), np.eye(genres, dtype=bool)[::-1]),
        np.pad(np.eye(genres, dtype=int)[::-1], (0, 1)),
    )


def test_count_together():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 70_000, 4)) < 0.5
    np.testing.assert_array_equal(count_together(one, other), one.T.astype(int) @ other.astype(int))
