import math
import warnings
from dataclasses import astuple, replace

import numpy as np
import pytest
from sklearn import metrics as sk

from onesheet.errors import EvaluationError
from onesheet.evaluation import (
    Thresholds,
    average_precision,
    calibration_error,
    decision_metrics,
    evaluate,
    fit_operating_points,
    ranking_loss,
    read_evaluation,
    recall_at_precision,
    roc_auc,
    top_hit,
    write_evaluation,
)
from onesheet.evaluation import bootstrap as bootstrap_module
from onesheet.evaluation.bootstrap import bootstrap
from onesheet.genres import GenreSet

NAMES = ("Drama", "Comedy", "Crime", "Western", "War")
SHARE = np.array([0.55, 0.3, 0.2, 0.05, 0.0])


def drawn(films, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random((films, 5)) < SHARE
    odds = np.where(labels, 1.0, -1.0) + rng.normal(size=labels.shape)
    return labels, (1 / (1 + np.exp(-odds))).astype(np.float32)


def evaluated(films=400, **options):
    labels, probabilities = drawn(films)
    train_labels, _ = drawn(600, seed=1)
    points = fit_operating_points(probabilities, labels, train_labels=train_labels)
    options = {"genres": NAMES, "points": points, "train_labels": train_labels, "draws": 20} | options
    return evaluate(labels, probabilities, **options), labels, probabilities, points, train_labels


def test_every_value_is_that_of_the_pure_functions():
    result, labels, probabilities, points, _ = evaluated()
    wanted = {
        "macro_average_precision": np.nanmean(average_precision(labels, probabilities)),
        "micro_average_precision": average_precision(labels, probabilities, micro=True),
        "macro_roc_auc": np.nanmean(roc_auc(labels, probabilities)),
        "micro_roc_auc": roc_auc(labels, probabilities, micro=True),
        "recall_at_precision_60": recall_at_precision(labels, probabilities),
        "ranking_loss": ranking_loss(labels, probabilities).mean(),
        "top1_hit": top_hit(labels, probabilities, k=1).mean(),
        "top3_hit": top_hit(labels, probabilities, k=3).mean(),
        "calibration_error": calibration_error(labels, probabilities),
    }
    assert {name: score.value for name, score in result.ranking.items()} == pytest.approx(wanted, abs=1e-12)
    for name, point in (points | {"0.5": Thresholds((0.5,) * 5)}).items():
        metrics = decision_metrics(labels, point.decide(probabilities))
        flat = {key: value for key, value in metrics.items() if not np.ndim(value)}
        assert {key: score.value for key, score in result.at[name].items()} == pytest.approx(flat, abs=1e-12)
        for genre, one in enumerate(result.per_genre):
            at = one.at[name]
            assert at.f1.value == pytest.approx(metrics["f1"][genre], nan_ok=True)
            assert at.predicted == metrics["predicted"][genre]
            assert at.threshold == (None if name == "exact" else point.thresholds[genre])
    assert [one.genre for one in result.per_genre] == list(NAMES)
    assert [one.support for one in result.per_genre] == labels.sum(axis=0).tolist()


def test_a_genre_without_films_is_nan_and_out_of_the_means():
    result, labels, probabilities, *_ = evaluated()
    war = result.per_genre[4]
    assert war.support == 0 and war.curve == ()
    for score in (war.average_precision, war.roc_auc, war.at["balanced"].f1):
        assert math.isnan(score.value) and math.isnan(score.low) and math.isnan(score.high)
    assert not math.isnan(result.ranking["macro_average_precision"].value)
    assert result.at["0.5"]["macro_f1"].value == pytest.approx(
        sk.f1_score(labels, probabilities >= 0.5, average="macro", labels=range(4))
    )


def test_baselines_are_what_scikit_learn_says_of_them():
    result, labels, _, _, train_labels = evaluated()
    share = train_labels.mean(axis=0)
    prior = np.tile(share, (len(labels), 1))
    found = {name: score.value for name, score in result.baselines["prior"].items()}
    present = labels.any(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found["macro_average_precision"] == pytest.approx(
            sk.average_precision_score(labels[:, present], prior[:, present], average="macro"), abs=1e-9
        )
    assert found["micro_average_precision"] == pytest.approx(
        sk.average_precision_score(labels, prior, average="micro"), abs=1e-9
    )
    assert found["micro_roc_auc"] == pytest.approx(sk.roc_auc_score(labels, prior, average="micro"), abs=1e-9)
    assert found["macro_roc_auc"] == 0.5
    assert found["ranking_loss"] == pytest.approx(sk.label_ranking_loss(labels, prior), abs=1e-9)
    assert found["recall_at_precision_60"] == pytest.approx(recall_at_precision(labels, prior), abs=1e-12)
    nothing = {name: score.value for name, score in result.baselines["nothing"].items()}
    assert nothing["label_accuracy"] == pytest.approx(1 - labels.mean()) and nothing["no_genre_share"] == 1
    drama = {name: score.value for name, score in result.baselines["commonest genre"].items()}
    assert drama["micro_precision"] == pytest.approx(labels[:, 0].mean()) and drama["genres_per_film"] == 1
    assert list(result.baselines) == ["nothing", "every genre", "commonest genre", "prior", "commonest label set"]


def test_intervals_are_the_percentiles_of_resampled_films_less_their_bias():
    result, labels, probabilities, *_ = evaluated(films=60, draws=50, seed=7)
    rng = np.random.default_rng(7)
    metrics = []
    for _ in range(50):
        films = rng.integers(60, size=60)
        kept = labels[films].any(axis=0)
        metrics.append(
            [
                sk.roc_auc_score(labels[films][:, kept], probabilities[films][:, kept], average="macro"),
                sk.f1_score(labels[films], probabilities[films] >= 0.5, average="micro"),
            ]
        )
    low, middle, high = np.percentile(metrics, [2.5, 50, 97.5], axis=0)
    scores = (result.ranking["macro_roc_auc"], result.at["0.5"]["micro_f1"])
    for score, *percentiles in zip(scores, low, middle, high, strict=True):
        bias = percentiles[1] - score.value
        expected = percentiles[0] - bias, min(percentiles[2] - bias, 1.0)
        assert (score.low, score.high) == pytest.approx(expected, abs=1e-9)


def test_every_value_lies_inside_its_interval():
    result, *_ = evaluated(films=80, draws=40, seed=3)
    tables = [result.ranking, *result.at.values(), *result.baselines.values()]
    scores = [score for table in tables for score in table.values()]
    scores += [one for genre in result.per_genre for one in (genre.average_precision, genre.calibration_error)]
    for score in scores:
        assert np.isnan(score.low) or score.low <= score.value <= score.high


def test_draws_do_not_depend_on_memory(monkeypatch):
    whole = evaluated(films=50)[0]
    monkeypatch.setattr(bootstrap_module, "_BLOCK_DRAWS", 3)
    monkeypatch.setattr(bootstrap_module, "_CHUNK_FILMS", 50)
    calls = []
    again = evaluated(films=50, progress=lambda task, done, total: calls.append((task, done, total)))[0]
    for name, score in whole.at["balanced"].items():
        assert astuple(again.at["balanced"][name]) == pytest.approx(astuple(score), abs=1e-12, nan_ok=True)
    assert again.ranking["micro_roc_auc"] == whole.ranking["micro_roc_auc"]
    assert calls[0] == ("evaluate", 3, 20) and calls[-1] == ("evaluate", 20, 20)


def test_an_interval_covers_the_truth_about_95_times_in_100():
    covered = 0
    for seed in range(200):
        heights = np.random.default_rng(seed).normal(size=80)
        score = bootstrap(
            lambda weights, heights=heights: {"mean": weights @ heights / weights.sum(axis=1)},
            80,
            draws=200,
            seed=seed,
        )["mean"].score()
        covered += score.low <= 0 <= score.high
    assert 180 <= covered <= 199


def test_no_draws_means_no_interval():
    score = evaluated(films=30, draws=0)[0].ranking["top1_hit"]
    assert not math.isnan(score.value) and math.isnan(score.low) and math.isnan(score.high)
    with pytest.raises(EvaluationError, match="draws must be 0 or more; got -1"):
        evaluated(films=30, draws=-1)


def test_tables_at_balanced():
    result, labels, probabilities, points, _ = evaluated()
    chosen = points["balanced"].decide(probabilities)
    assert np.diag(np.array(result.confusion))[:5].tolist() == (labels & chosen).sum(axis=0).tolist()
    assert np.diag(np.array(result.cooccurrence_predicted)).tolist() == chosen.sum(axis=0).tolist()
    assert np.array(result.cooccurrence_true).tolist() == (labels.T.astype(int) @ labels).tolist()
    assert sum(one.pairs for one in result.reliability) == labels.size


def test_json_gives_the_same_evaluation_and_the_same_bytes(tmp_path):
    result = evaluated(films=100)[0]
    for folder in ("one", "two"):
        write_evaluation(tmp_path / folder / "evaluation.json", result)
    text = (tmp_path / "one/evaluation.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "two/evaluation.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "null" in text
    again = read_evaluation(tmp_path / "one/evaluation.json")
    assert repr(again.per_genre[4].average_precision) == repr(result.per_genre[4].average_precision)
    for read, written in zip(again.per_genre[:4], result.per_genre[:4], strict=True):
        assert replace(read, reliability=()) == replace(written, reliability=())
        assert repr(read.reliability) == repr(written.reliability)
    assert repr(again.reliability) == repr(result.reliability)
    assert again.at == result.at and again.baselines == result.baselines and again.ranking == result.ranking
    assert replace(again, per_genre=(), reliability=()) == replace(result, per_genre=(), reliability=())
    write_evaluation(tmp_path / "three.json", again)
    assert (tmp_path / "three.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"split": 1}', "null", '{"genres": [1], "ranking": 3}'])
def test_files_that_are_no_evaluation_are_rejected(tmp_path, text):
    path = tmp_path / "evaluation.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EvaluationError, match="is not an evaluation") as caught:
        read_evaluation(path)
    assert "\n" not in str(caught.value)


def test_missing_and_stranger_files(tmp_path):
    with pytest.raises(EvaluationError, match="cannot read"):
        read_evaluation(tmp_path / "none.json")
    path = tmp_path / "evaluation.json"
    write_evaluation(path, evaluated(films=20, draws=0)[0])
    path.write_text(path.read_text(encoding="utf-8").replace('"films"', '"movies"', 1), encoding="utf-8")
    with pytest.raises(EvaluationError, match="movies"):
        read_evaluation(path)


def test_genre_sets_and_unfit_widths():
    assert evaluated(films=20, draws=0, genres=GenreSet(NAMES))[0].genres == NAMES
    with pytest.raises(EvaluationError, match="got 5, 2 and 5"):
        evaluated(films=20, genres=("a", "b"))
    with pytest.raises(EvaluationError, match="got 5, 5 and 1"):
        evaluated(films=20, train_labels=[[1]])


def test_without_a_balanced_point_the_tables_are_at_half():
    result, _, probabilities, *_ = evaluated(points={}, draws=0)
    assert list(result.at) == ["0.5"]
    assert np.diag(result.cooccurrence_predicted).tolist() == (probabilities >= 0.5).sum(axis=0).tolist()
