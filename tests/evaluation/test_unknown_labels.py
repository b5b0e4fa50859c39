"""Metrics where some labels are unknown, against scikit-learn on the known ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from onesheet.errors import EvaluationError
from onesheet.evaluation import Thresholds, evaluate, fit_calibration, fit_operating_points
from onesheet.evaluation.comparison import compare_predictions
from onesheet.evaluation.label_errors import suspect_labels
from onesheet.evaluation.precision_recall import decision_metrics
from onesheet.evaluation.predictions_file import Predictions, read_predictions, write_predictions
from onesheet.evaluation.ranking_metrics import average_precision, roc_auc
from onesheet.evaluation.reliability import calibration_error, reliability
from onesheet.evaluation.slices import slice_metrics
from onesheet.evaluation.summary import summary_metrics
from onesheet.genres import GenreSet

FILMS, GENRES = 300, 4


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Labels, probabilities and where labels are known; of the last genre a third of the films says nothing."""
    rng = np.random.default_rng(0)
    probabilities = rng.beta(1, 3, (FILMS, GENRES))
    labels = rng.random(probabilities.shape) < probabilities
    known = rng.random(labels.shape) < [1, 0.9, 0.8, 0.66]
    return labels, probabilities, known


def test_each_genre_is_measured_on_its_known_films(made: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    labels, probabilities, known = made
    predicted = probabilities >= 0.4
    found = decision_metrics(labels, predicted, known=known)
    for genre in range(GENRES):
        films = known[:, genre]
        truth, values, chosen = labels[films, genre], probabilities[films, genre], predicted[films, genre]
        for name, reference in (
            (average_precision(labels, probabilities, known=known)[genre], sk.average_precision_score(truth, values)),
            (roc_auc(labels, probabilities, known=known)[genre], sk.roc_auc_score(truth, values)),
            (found["precision"][genre], sk.precision_score(truth, chosen)),
            (found["recall"][genre], sk.recall_score(truth, chosen)),
            (found["f1"][genre], sk.f1_score(truth, chosen)),
            (found["accuracy"][genre], sk.accuracy_score(truth, chosen)),
            (found["support"][genre], truth.sum()),
        ):
            assert name == pytest.approx(reference)


def test_pooled_metrics_count_known_pairs_and_exact_match_known_films(
    made: tuple[np.ndarray, np.ndarray, np.ndarray],  # type: ignore[type-arg]
) -> None:
    labels, probabilities, known = made
    predicted = probabilities >= 0.4
    found = decision_metrics(labels, predicted, known=known)
    assert found["micro_f1"] == pytest.approx(sk.f1_score(labels[known], predicted[known]))
    assert found["hamming_loss"] == pytest.approx(np.mean(labels[known] != predicted[known]))
    whole = known.all(1)
    assert found["exact_match"] == pytest.approx(sk.accuracy_score(labels[whole], predicted[whole]))
    assert found["genres_per_film"] == pytest.approx(predicted.sum(1).mean())
    pooled = average_precision(labels, probabilities, micro=True, known=known)
    assert pooled == pytest.approx(sk.average_precision_score(labels[known], probabilities[known]))


def test_no_film_known_as_a_whole_leaves_exact_match_undefined() -> None:
    known = np.array([[True, False], [False, True]])
    found = decision_metrics([[1, 0], [0, 1]], [[1, 0], [0, 1]], known=known)
    assert np.isnan(found["exact_match"]) and found["micro_f1"] == 1


def test_what_unknown_labels_say_changes_nothing(made: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    labels, probabilities, known = made
    points = {"balanced": Thresholds((0.4,) * GENRES)}
    found = [
        evaluate(truth, probabilities, genres="ABCD", points=points, train_labels=labels, known=known, draws=10, seed=1)
        for truth in (labels | ~known, labels & known)
    ]
    assert repr(found[0]) == repr(found[1])  # an empty bin has NaN
    assert found[0].ranking["calibration_error"].value == pytest.approx(
        float(calibration_error(labels[known][:, None], probabilities[known][:, None])), abs=0.02
    )
    assert sum(one.pairs for one in found[0].reliability) == known.sum()
    assert found[0].per_genre[3].share == pytest.approx(labels[known[:, 3], 3].mean())


def test_all_labels_known_is_the_same_as_no_mask(made: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    labels, probabilities, _ = made
    points, every = {"balanced": Thresholds((0.4,) * GENRES)}, np.ones_like(labels)
    plain, masked = (
        evaluate(labels, probabilities, genres="ABCD", points=points, train_labels=labels, known=known, draws=5)
        for known in (None, every)
    )
    assert repr(plain) == repr(masked)
    assert summary_metrics(labels, probabilities) == summary_metrics(labels, probabilities, known=every)
    assert repr(reliability(labels, probabilities)) == repr(reliability(labels, probabilities, every))


def test_calibration_and_thresholds_do_not_look_at_unknown_labels(
    made: tuple[np.ndarray, np.ndarray, np.ndarray],  # type: ignore[type-arg]
) -> None:
    labels, probabilities, known = made
    logits = 2 * np.log(probabilities / (1 - probabilities)) + 1
    fits = [fit_calibration(logits, truth, known=known) for truth in (labels | ~known, labels & known)]
    np.testing.assert_array_equal(fits[0].scale, fits[1].scale)
    np.testing.assert_array_equal(fits[0].bias, fits[1].bias)
    assert fits[0].scale == pytest.approx(np.full(GENRES, 0.5), abs=0.1)
    points = [
        fit_operating_points(probabilities, truth, train_labels=labels, known=known)
        for truth in (labels | ~known, labels & known)
    ]
    assert points[0] == points[1]
    whole = fit_operating_points(probabilities, labels, train_labels=labels)
    assert points[0]["balanced"].thresholds == pytest.approx(whole["balanced"].thresholds, abs=0.12)


def test_a_mask_of_another_shape_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"known must have the labels' shape \(2, 1\); got \(1, 1\)"):
        decision_metrics([[1], [0]], [[1], [0]], known=[[True]])


@pytest.fixture
def predictions(made: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Predictions:  # type: ignore[type-arg]
    labels, probabilities, known = made
    names = tuple(str(film) for film in range(FILMS))
    chosen = {"balanced": probabilities >= 0.4}
    values = probabilities.astype(np.float32)
    return Predictions(names, names, names, GenreSet("ABCD"), labels & known, values, chosen, known)


def test_predictions_keep_what_is_unknown(predictions: Predictions, tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.csv", predictions)
    read = read_predictions(tmp_path / "predictions.csv")
    assert read.known is not None and predictions.known is not None
    np.testing.assert_array_equal(read.known, predictions.known)
    np.testing.assert_array_equal(read.labels, predictions.labels)
    assert set(read.predicted) == {"balanced"}
    labels, probabilities = read.of_genre(3)
    assert len(labels) == len(probabilities) == predictions.known[:, 3].sum()
    write_predictions(tmp_path / "all.csv", replace(predictions, known=None))
    assert "unknown" not in (tmp_path / "all.csv").read_text().splitlines()[0]
    assert read_predictions(tmp_path / "all.csv").known is None


def test_models_are_compared_by_the_known_labels(predictions: Predictions) -> None:
    known = predictions.known
    assert known is not None
    found = compare_predictions(predictions, replace(predictions, probabilities=1 - predictions.probabilities), draws=5)
    reference = sk.roc_auc_score(predictions.labels[known[:, 3], 3], predictions.probabilities[known[:, 3], 3])
    assert found.per_genre["roc_auc"][3].one.value == pytest.approx(reference)
    with pytest.raises(EvaluationError, match="other labels in the two"):
        compare_predictions(predictions, replace(predictions, known=None), draws=0)


def test_an_unknown_label_is_no_suspect_and_counts_in_no_slice(
    made: tuple[np.ndarray, np.ndarray, np.ndarray],  # type: ignore[type-arg]
) -> None:
    labels, probabilities, known = made
    wrong = labels.copy()
    wrong[:20, 0] ^= True
    mask = known.copy()
    mask[:10, 0] = False
    suspects = {one.film for one in suspect_labels(wrong, probabilities, known=mask) if one.genre == 0}
    assert suspects & set(range(10, 20)) and not suspects & set(range(10))
    slices = [
        slice_metrics(
            truth, probabilities, probabilities >= 0.4, groups={"all": np.arange(FILMS)}, known=known, draws=5
        )
        for truth in (labels & known, labels)
    ]
    reference = sk.f1_score(labels[known], (probabilities >= 0.4)[known])
    assert slices[0][0].metrics["micro_f1"].value == pytest.approx(reference)
    assert slices[0][0].metrics["micro_f1"] == slices[1][0].metrics["micro_f1"]
