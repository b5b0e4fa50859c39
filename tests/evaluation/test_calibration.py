import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from onesheet.errors import EvaluationError
from onesheet.evaluation import calibration_error, fit_calibration
from onesheet.evaluation.calibration import sigmoid

SHARE = np.geomspace(0.3, 0.004, 12)
RARE = SHARE < 0.03


def miscalibrated(rng, films, scale, bias):
    """Logits that are (true logit - bias) / scale, and labels drawn from the true ones."""
    true = np.log(SHARE / (1 - SHARE)) + rng.normal(size=(films, len(SHARE))) * 1.2
    return (true - bias) / scale, rng.random(true.shape) < sigmoid(true)


def log_loss(probabilities, labels):
    return -np.log(np.where(labels, probabilities, 1 - probabilities).clip(1e-15)).mean(axis=0)


def test_better_than_raw_and_than_plain_platt_on_rare_genres():
    metrics = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scale = 2.0 * np.exp(rng.normal(0, 0.1, len(SHARE)))
        bias = 1.0 + rng.normal(0, 0.2, len(SHARE))
        logits, labels = miscalibrated(rng, 800, scale, bias)
        fresh_logits, fresh = miscalibrated(rng, 8000, scale, bias)
        ways = {
            "raw": sigmoid(fresh_logits),
            "plain": fit_calibration(logits, labels, penalties=[0]).probabilities(fresh_logits),
            "ours": fit_calibration(logits, labels).probabilities(fresh_logits),
            "true": sigmoid(fresh_logits * scale + bias),
        }
        metrics.append(
            [
                (
                    log_loss(way, fresh).mean(),
                    log_loss(way, fresh)[RARE].mean(),
                    calibration_error(fresh[:, RARE], way[:, RARE]),
                    calibration_error(fresh, way),
                )
                for way in ways.values()
            ]
        )
    raw, plain, ours, true = np.mean(metrics, axis=0)
    assert (ours < plain).all() and (ours < raw).all()
    assert (ours[2:] < 0.2 * raw[2:]).all()
    # what is left above the truth: at most half of plain Platt's on rare genres
    assert ours[1] - true[1] < 0.5 * (plain[1] - true[1])
    assert ours[3] < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_no_penalty_is_scikit_learns_logistic_regression(seed):
    rng = np.random.default_rng(seed)
    logits, labels = miscalibrated(rng, 2000, 1.7, 0.8)
    ours = fit_calibration(logits, labels, penalties=[0])
    for genre in range(6):
        theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
        theirs.fit(logits[:, [genre]], labels[:, genre])
        assert ours.scale[genre] == pytest.approx(theirs.coef_[0, 0], abs=1e-6)
        assert ours.bias[genre] == pytest.approx(theirs.intercept_[0], abs=1e-6)


def test_many_films_recover_each_genre_and_few_lean_on_the_others():
    rng = np.random.default_rng(0)
    scale, bias = np.full(len(SHARE), 2.0), np.full(len(SHARE), 1.0)
    scale[0], bias[0] = 0.7, -1.0  # the commonest genre differs
    logits, labels = miscalibrated(rng, 6000, scale, bias)
    fitted = fit_calibration(logits, labels)
    assert fitted.scale[0] == pytest.approx(0.7, abs=0.1) and fitted.bias[0] == pytest.approx(-1, abs=0.2)
    few = fit_calibration(logits[:400], labels[:400], penalties=[30])
    plain = fit_calibration(logits[:400], labels[:400], penalties=[0])
    pooled = fit_calibration(logits[:400], labels[:400], penalties=[1e9])
    rarest = labels[:400].sum(axis=0)[1:].argmin() + 1
    assert abs(few.scale[rarest] - pooled.scale[rarest]) < 0.5 * abs(plain.scale[rarest] - pooled.scale[rarest])
    assert np.ptp(pooled.scale) < 1e-3 and np.ptp(pooled.bias) < 1e-3


def test_empty_full_separable_and_constant_genres_stay_finite_and_rising():
    rng = np.random.default_rng(0)
    logits, labels = miscalibrated(rng, 300, 1.5, 0.5)
    labels[:, 0], labels[:, 1] = False, True
    labels[:, 2] = logits[:, 2] > np.median(logits[:, 2])  # separable
    labels[:, 3] = logits[:, 3] < np.median(logits[:, 3])  # the wrong way round
    logits[:, 4] = 0.3
    for penalties in ([0], [0.1], [0.1, 10, 1000]):
        fitted = fit_calibration(logits, labels, penalties=penalties)
        assert np.isfinite(fitted.scale).all() and np.isfinite(fitted.bias).all()
        assert (fitted.scale > 0).all()
        assert np.isfinite(fitted.probabilities(logits)).all()
    pooled = fit_calibration(logits, labels, penalties=[1e12])
    np.testing.assert_allclose(fitted.scale[:2], pooled.scale[:2], atol=1e-5)  # nothing to learn: the common fit
    np.testing.assert_allclose(fitted.bias[:2], pooled.bias[:2], atol=1e-5)


def test_all_genres_separable_or_one_film():
    logits = np.array([[5.0, -5.0], [-5.0, 5.0]] * 3)
    assert np.isfinite(fit_calibration(logits, logits > 0).scale).all()
    assert np.isfinite(fit_calibration(logits[:1], logits[:1] > 0).bias).all()
    assert np.isfinite(fit_calibration(logits * 1e4, logits > 0).scale).all()


def test_the_same_every_time():
    logits, labels = miscalibrated(np.random.default_rng(0), 300, 1.5, 0.5)
    one, two = fit_calibration(logits, labels), fit_calibration(logits, labels)
    np.testing.assert_array_equal(one.scale, two.scale)
    np.testing.assert_array_equal(one.bias, two.bias)


def test_unfit_input_is_rejected():
    with pytest.raises(EvaluationError, match="logits must be finite"):
        fit_calibration([[np.nan]], [[1]])
    with pytest.raises(EvaluationError, match="penalties"):
        fit_calibration([[0.5]], [[1]], penalties=[-1])
    with pytest.raises(EvaluationError, match="penalties"):
        fit_calibration([[0.5]], [[1]], penalties=[])
