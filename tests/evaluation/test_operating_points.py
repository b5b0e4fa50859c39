import json

import numpy as np
import pytest

from onesheet.errors import EvaluationError
from onesheet.evaluation import (
    LabelSets,
    Thresholds,
    decision_metrics,
    fit_calibration,
    fit_operating_points,
    operating_point,
)
from onesheet.evaluation.calibration import sigmoid
from onesheet.evaluation.label_sets import count_label_sets
from onesheet.evaluation.operating_points import best_f1_threshold, recall_threshold, smooth

SHARE = np.geomspace(0.3, 0.006, 12)


def drawn(rng, films):
    """Calibrated probabilities, and labels drawn from them."""
    probabilities = sigmoid(np.log(SHARE / (1 - SHARE)) + rng.normal(size=(films, len(SHARE))) * 1.2)
    return probabilities, rng.random(probabilities.shape) < probabilities


def test_smoothed_thresholds_beat_unsmoothed_ones_on_rare_genres_of_fresh_films():
    gains = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        bend = rng.uniform(0.3, 1.5, len(SHARE))  # the calibration's form is wrong, as it is in life

        def films(count, rng=rng, bend=bend):
            noise = rng.normal(size=(count, len(SHARE))) * 1.2
            true = np.log(SHARE / (1 - SHARE)) + np.minimum(noise, bend) + 0.2 * np.maximum(noise - bend, 0)
            return noise * 1.5 - 2, rng.random(true.shape) < sigmoid(true)

        (logits, labels), (fresh_logits, fresh) = films(1000), films(8000)
        calibration = fit_calibration(logits, labels, penalties=[10])
        values, test = calibration.probabilities(logits), calibration.probabilities(fresh_logits)
        found = []
        for truth in (smooth(values, labels), labels.astype(float)):
            columns = range(len(SHARE))
            point = Thresholds(tuple(best_f1_threshold(values[:, g], truth[:, g]) for g in columns))
            found.append(decision_metrics(fresh, point.decide(test)))
        rare = SHARE < 0.05
        gains.append([found[0]["macro_f1"] - found[1]["macro_f1"], *[(found[0]["f1"] - found[1]["f1"])[rare].mean()]])
    assert np.mean(gains, axis=0).min() > 0


def test_best_f1_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values, truth = rng.integers(0, 9, 30) / 9, (rng.random(30) < 0.4).astype(float)
        truth[0] = 1

        def f1(threshold, values=values, truth=truth):
            chosen = values >= threshold
            return 2 * truth[chosen].sum() / (chosen.sum() + truth.sum())

        assert f1(best_f1_threshold(values, truth)) == pytest.approx(max(map(f1, values)))


def test_under_calibrated_probabilities_alone_the_threshold_is_half_the_best_f1():
    values = np.random.default_rng(0).beta(0.5, 4, 200_000)
    threshold = best_f1_threshold(values, values)
    chosen = values >= threshold
    best = 2 * values[chosen].sum() / (chosen.sum() + values.sum())
    assert threshold == pytest.approx(best / 2, abs=1e-3)


def test_recall_threshold_is_the_highest_that_reaches_the_target():
    values, truth = np.array([0.9, 0.7, 0.5, 0.3, 0.1]), np.array([1.0, 0, 1, 1, 0])
    assert recall_threshold(values, truth, 0.6) == pytest.approx(0.4)
    assert recall_threshold(values, truth, 0.3) == pytest.approx(0.8)
    assert recall_threshold(values, truth, 1.0) == pytest.approx(0.2)
    assert recall_threshold(np.array([0.5, 0.5]), np.array([1.0, 0]), 1.0) == 0.5


def test_points_do_what_they_promise_on_fresh_films():
    rng = np.random.default_rng(0)
    values, labels = drawn(rng, 4000)
    test, fresh = drawn(rng, 8000)
    points = fit_operating_points(values, labels, train_labels=labels)
    assert list(points) == ["balanced", "precise", "generous", "exact"]
    metrics = {name: decision_metrics(fresh, point.decide(test)) for name, point in points.items()}
    assert metrics["precise"]["micro_precision"] == pytest.approx(0.7, abs=0.04)
    assert points["precise"].note == ""
    assert not (points["precise"].decide(test) & ~points["balanced"].decide(test)).any()
    assert metrics["generous"]["macro_recall"] == pytest.approx(0.8, abs=0.04)
    best = max(metrics, key=lambda name: metrics[name]["macro_f1"])
    assert best == "balanced"
    half = decision_metrics(fresh, test >= 0.5)
    assert metrics["exact"]["exact_match"] >= half["exact_match"] - 0.01


def test_precise_is_the_lowest_threshold_that_reaches_the_target():
    rng = np.random.default_rng(1)
    values, labels = drawn(rng, 300)
    points = fit_operating_points(values, labels, train_labels=labels, precision=0.6)
    given, threshold = points["balanced"].decide(values), min(points["precise"].thresholds)
    assert decision_metrics(labels, given & (values >= threshold))["micro_precision"] >= 0.6
    for lower in np.unique(values[given & (values < threshold)])[::7]:
        assert decision_metrics(labels, given & (values >= lower))["micro_precision"] < 0.6


def test_precise_is_balanced_where_that_is_precise_enough():
    rng = np.random.default_rng(1)
    values, labels = drawn(rng, 300)
    points = fit_operating_points(values, labels, train_labels=labels, precision=0.05)
    assert (points["precise"].decide(values) == points["balanced"].decide(values)).all()


def test_a_precision_nobody_reaches_is_said():
    values = np.array([[0.9, 0.8], [0.7, 0.2]])
    labels = np.array([[False, False], [True, False]])
    point = fit_operating_points(values, labels, train_labels=labels)["precise"]
    assert "0.7" in point.note and "0.333" in point.note
    assert point.thresholds[0] == pytest.approx(0.7)


def dependent(rng, films):
    """Films whose three genres come together or not at all, or a fourth alone: far from independent."""
    sets = np.array([[1, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=bool)
    labels = sets[rng.choice(3, size=films, p=[0.3, 0.5, 0.2])]
    logits = np.where(labels, 0.7, -0.7) + rng.normal(size=labels.shape)
    return sigmoid(logits * 1.4), labels


def test_exact_beats_thresholds_where_genres_depend_on_each_other():
    rng = np.random.default_rng(0)
    values, labels = dependent(rng, 500)
    test, fresh = dependent(rng, 4000)
    points = fit_operating_points(values, labels, train_labels=labels)
    exact = decision_metrics(fresh, points["exact"].decide(test))["exact_match"]
    half = decision_metrics(fresh, test >= 0.5)["exact_match"]
    no_offsets = LabelSets(4, points["exact"].label_sets, (0.0,) * len(points["exact"].offsets))
    assert exact > half + 0.2
    assert exact > decision_metrics(fresh, no_offsets.decide(test))["exact_match"]


def test_exact_gives_seen_sets_or_single_genres_by_the_published_score():
    rng = np.random.default_rng(0)
    values, labels = drawn(rng, 200)
    point = fit_operating_points(values, labels, train_labels=labels[:50])["exact"]
    seen = {tuple(np.flatnonzero(row)) for row in labels[:50]}
    assert set(point.label_sets) == seen | {(g,) for g in range(12)}
    odds = np.log(values / (1 - values))
    for row, chosen in zip(odds, point.decide(values), strict=True):
        scores = [row[list(s)].sum() + offset for s, offset in zip(point.label_sets, point.offsets, strict=True)]
        assert tuple(np.flatnonzero(chosen)) == point.label_sets[int(np.argmax(scores))]
    assert point.decide(np.array([[0.0, 1.0] * 6])).shape == (1, 12)  # certain probabilities are clipped


def test_cards_hold_every_point_exactly():
    rng = np.random.default_rng(0)
    values, labels = drawn(rng, 300)
    for point in fit_operating_points(values, labels, train_labels=labels).values():
        again = operating_point(json.loads(json.dumps(point.to_dict())))
        assert again == point
        np.testing.assert_array_equal(again.decide(values), point.decide(values))


def test_genres_without_films_get_finite_thresholds():
    rng = np.random.default_rng(0)
    values, labels = drawn(rng, 100)
    labels[:, 3] = False
    values[:, 4] = 0
    labels[:, 4] = False
    points = fit_operating_points(values.astype(np.float32), labels, train_labels=labels)
    for name in ("balanced", "generous", "precise"):
        assert np.isfinite(points[name].thresholds).all()
    assert not points["balanced"].decide(values)[:, 4].any()


def test_count_label_sets():
    rng = np.random.default_rng(0)
    labels = rng.random((500, 11)) < 0.1
    sets, films = count_label_sets(labels)
    assert films.sum() == 500 and (np.diff(films) <= 0).all()
    for row, count in zip(sets, films, strict=True):
        assert (labels == row).all(axis=1).sum() == count


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"kind": "magic"},
        {"kind": "thresholds", "thresholds": None, "note": ""},
        {"kind": "thresholds", "thresholds": ["x"], "note": ""},
        {"kind": "label sets", "genres": 2, "label_sets": [[2]], "offsets": [0], "note": ""},
        {"kind": "label sets", "genres": 2, "label_sets": [[0]], "offsets": [], "note": ""},
        {"kind": "label sets", "genres": 2, "label_sets": [], "offsets": [], "note": ""},
    ],
)
def test_damaged_descriptions_are_rejected(plain):
    with pytest.raises(EvaluationError, match="export the model again"):
        operating_point(plain)


@pytest.mark.parametrize("options", [{"precision": 0}, {"recall": 1.2}])
def test_targets_outside_their_range_are_rejected(options):
    with pytest.raises(EvaluationError, match="more than 0 and at most 1"):
        fit_operating_points([[0.5]], [[1]], train_labels=[[1]], **options)


def test_widths_must_agree():
    with pytest.raises(EvaluationError, match="films × 2"):
        Thresholds((0.5, 0.5)).decide([[0.1]])
    with pytest.raises(EvaluationError, match="train_labels must have 1 genres; got 2"):
        fit_operating_points([[0.5]], [[1]], train_labels=[[1, 0]])
