from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from onesheet.adaptation.heads import FOLDS, LEAST_FILMS, fit_basis, fit_heads, fold_of
from onesheet.errors import CatalogueError

FILMS, WIDTH, SOURCES = 600, 40, 4


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Embeddings and a source's logits, which are linear in them."""
    rng = np.random.default_rng(0)
    embedding = (rng.standard_normal((FILMS, WIDTH)) * np.linspace(2, 0.2, WIDTH) + 1).astype(np.float16)
    return embedding, (embedding @ rng.standard_normal((WIDTH, SOURCES)) * 0.5 - 3).astype(np.float32)


def drawn(logits: np.ndarray, seed: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).random(logits.shape) < 1 / (1 + np.exp(-logits))


def test_a_right_answer_is_kept(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    heads = fit_heads(embedding, source, drawn(source), columns=[0, 1, 2, 3])
    assert heads.kept.sum() >= 3  # noise may pass for a gain once
    kept = np.flatnonzero(heads.kept)
    np.testing.assert_allclose(heads.logits(embedding, source)[:, kept], source[:, kept], atol=1e-5)
    np.testing.assert_allclose(heads.held_out[:, kept], source[:, kept], atol=1e-5)
    assert not heads.variances[kept].any()


def test_a_wrong_answer_is_left(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    truth = source[:, [0]] + 3 * embedding[:, [3]].astype(np.float32)  # of which the source knows nothing
    labels = drawn(truth)
    heads = fit_heads(embedding[:400], source[:400], labels[:400], columns=[0])
    assert not heads.kept[0] and heads.gains[0] > 0
    better = roc_auc_score(labels[400:, 0], heads.logits(embedding[400:], source[400:])[:, 0])
    assert better > roc_auc_score(labels[400:, 0], source[400:, 0]) + 0.02


def test_a_new_genre_is_learnt_and_a_starting_calibration_applied(
    made: tuple[np.ndarray, np.ndarray],  # type: ignore[type-arg]
) -> None:
    embedding, source = made
    labels = drawn(np.stack([source[:, 1], 3 * embedding[:, 5].astype(np.float32) - 3], 1))
    heads = fit_heads(
        embedding, source, labels, columns=[1, None], calibration=(np.full(SOURCES, 2.0), np.full(SOURCES, 0.5))
    )
    assert heads.known.tolist() == [True, False] and not heads.kept[1]
    logits = heads.logits(embedding, source)
    reference = LogisticRegression(C=1).fit(embedding.astype(float), labels[:, 1])
    assert roc_auc_score(labels[:, 1], logits[:, 1]) > 0.95 * roc_auc_score(
        labels[:, 1], reference.decision_function(embedding.astype(float))
    )
    assert heads.mixing[1, 0] > 0.5 and not heads.mixing[[0, 2, 3], 0].any()  # its own start alone


def test_a_kept_answer_is_the_calibrated_one(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    scale, bias = np.full(SOURCES, 2.0), np.full(SOURCES, 0.5)
    heads = fit_heads(embedding, source, drawn(2 * source + 0.5), columns=[0, 1, 2, 3], calibration=(scale, bias))
    kept = np.flatnonzero(heads.kept)
    assert len(kept) >= 2
    np.testing.assert_allclose(heads.logits(embedding, source)[:, kept], 2 * source[:, kept] + 0.5, rtol=1e-5)


def test_held_out_logits_do_not_know_their_film(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    labels = np.random.default_rng(3).random((FILMS, 2)) < 0.3  # nothing can be learnt
    heads = fit_heads(embedding, source, labels, columns=[None, None])
    assert abs(roc_auc_score(labels.ravel(), heads.held_out.ravel()) - 0.5) < 0.06


def test_heads_are_the_same_every_time_and_learn_from_their_rows_alone(
    made: tuple[np.ndarray, np.ndarray],  # type: ignore[type-arg]
) -> None:
    embedding, source = made
    labels, rows = drawn(source[:, :2]), np.arange(0, FILMS, 2)
    first = fit_heads(embedding, source, labels, columns=[0, None], rows=rows)
    others = labels.copy()
    others[1::2] = ~others[1::2]
    second = fit_heads(embedding, source, others, columns=[0, None], rows=rows)
    np.testing.assert_array_equal(first.weights, second.weights)
    alone = fit_heads(embedding[rows], source[rows], labels[rows], columns=[0, None])
    np.testing.assert_allclose(first.held_out, alone.held_out, atol=1e-4)


def test_groups_stay_in_one_fold_and_genres_are_in_all() -> None:
    labels = np.random.default_rng(0).random((200, 3)) < (0.5, 0.3, 0.1)
    groups = [f"group {film // 4}" if film < 40 else "" for film in range(200)]
    folds = fold_of(labels, groups)
    assert all(len(set(folds[start : start + 4])) == 1 for start in range(0, 40, 4))
    for fold in range(FOLDS):
        assert labels[folds == fold].any(0).all()
        assert 30 <= (folds == fold).sum() <= 50


@pytest.mark.parametrize("films", [LEAST_FILMS - 1, FILMS - LEAST_FILMS + 1])
def test_too_few_films_of_one_kind_are_an_error(
    made: tuple[np.ndarray, np.ndarray],  # type: ignore[type-arg]
    films: int,
) -> None:
    embedding, source = made
    labels = np.zeros((FILMS, 1), bool)
    labels[:films] = True
    with pytest.raises(CatalogueError, match="has 9 of one kind"):
        fit_heads(embedding, source, labels, columns=[0])


def test_a_constant_feature_and_the_basis_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((100, 20)).astype(np.float32)
    embedding[:, 4] = 7
    basis = fit_basis(embedding, np.arange(100))
    features = basis.features(embedding, np.arange(100))
    assert np.isfinite(features).all() and features.shape[1] == 19
    standard = (embedding - embedding.mean(0)) / np.maximum(embedding.std(0), 1e-6)
    np.testing.assert_allclose(features @ features.T, standard @ standard.T, atol=1e-2)
    assert np.abs(np.corrcoef(features.T) - np.eye(19)).max() < 1e-2  # uncorrelated


def test_unknown_labels_are_not_learnt_from(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    truth = drawn(np.stack([source[:, 0] + 3 * embedding[:, 3].astype(np.float32), 3 * embedding[:, 5] - 2], 1))
    known = np.random.default_rng(5).random(truth.shape) < 0.5
    heads = [
        fit_heads(embedding, source, labels, columns=[0, None], known=known)
        for labels in (truth | ~known, truth & known)
    ]
    np.testing.assert_array_equal(heads[0].weights, heads[1].weights)
    np.testing.assert_array_equal(heads[0].gains, heads[1].gains)
    wrong = fit_heads(embedding, source, truth & known, columns=[0, None])  # unknown taken for no
    whole = fit_heads(embedding, source, truth, columns=[0, None])
    for genre in (0, 1):
        share = [
            float((1 / (1 + np.exp(-one.logits(embedding, source)[:, genre]))).mean()) for one in (heads[0], wrong)
        ]
        assert abs(share[0] - truth[:, genre].mean()) < 0.05 and share[1] < 0.6 * truth[:, genre].mean()
        assert (
            np.corrcoef(heads[0].logits(embedding, source)[:, genre], whole.logits(embedding, source)[:, genre])[0, 1]
            > 0.9
        )


def test_a_genre_known_for_too_few_films_is_an_error(made: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[type-arg]
    embedding, source = made
    labels, known = drawn(source), np.ones(source.shape, bool)
    known[15:, 2] = False
    with pytest.raises(CatalogueError, match="genre 3 of 4 has"):
        fit_heads(embedding, source, labels, columns=[0, 1, 2, 3], known=known)
