import numpy as np
from sklearn.metrics import f1_score, precision_score, recall_score

from onesheet.evaluation.slices import slice_metrics
from onesheet.evaluation.threshold_steps import threshold_steps


def drawn(films=300):
    rng = np.random.default_rng(3)
    labels = rng.random((films, 4)) < 0.3
    probabilities = np.clip(0.4 * labels + rng.random(labels.shape) * 0.6, 0, 1).astype(np.float32)
    return labels, probabilities, probabilities >= 0.5


def test_a_slice_is_measured_as_its_films_alone_are():
    labels, probabilities, given = drawn()
    groups = {"old": np.arange(100), "new": np.arange(100, 300)}
    slices = slice_metrics(labels, probabilities, given, groups=groups, draws=50)
    for one, rows in zip(slices, groups.values(), strict=True):
        assert one.films == len(rows)
        for name, metric in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            score = one.metrics[f"micro_{name}"]
            assert np.isclose(score.value, metric(labels[rows], given[rows], average="micro"))
            assert score.low < score.value < score.high
        best = probabilities[rows].argmax(axis=1)
        assert np.isclose(one.metrics["top1_hit"].value, labels[rows, best].mean())


def test_every_step_counts_what_its_threshold_gives():
    labels, probabilities, _ = drawn()
    truth, values = labels[:, 0], probabilities[:, 0]
    steps = threshold_steps(truth, values, points={"balanced": 0.4321, "precise": 0.9})
    assert steps.thresholds[0] == 0 and steps.thresholds[-1] == 1 and steps.support == truth.sum()
    assert list(steps.thresholds) == sorted(set(steps.thresholds)) and len(steps.thresholds) <= len(truth) + 4
    for threshold, given, right in zip(steps.thresholds, steps.predicted, steps.right, strict=True):
        assert given == (values >= threshold).sum() and right == (truth & (values >= threshold)).sum()
    assert {name: steps.thresholds[place] for name, place in steps.points.items()} == {
        "balanced": 0.4321, "precise": 0.9,
    }  # fmt: skip


def test_a_genre_without_films_has_steps_too():
    steps = threshold_steps(np.zeros(5, bool), np.linspace(0, 0.5, 5), points={})
    assert steps.right == (0, 0) and steps.predicted == (5, 0)
