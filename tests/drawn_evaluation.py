"""Evaluations made of drawn numbers, for the tests of what is said about them."""

from __future__ import annotations

import numpy as np

from onesheet.evaluation.confusion import count_together
from onesheet.evaluation.predictions_file import Predictions
from onesheet.evaluation.results import Bin, Evaluation, GenreAtPoint, GenreResult, Score
from onesheet.genres import GenreSet

KEYS = (
    "micro_precision", "micro_recall", "micro_f1", "macro_precision", "macro_recall", "macro_f1", "sample_precision",
    "sample_recall", "sample_f1", "exact_match", "label_accuracy", "hamming_loss", "genres_per_film",
)  # fmt: skip
NAN = Score(float("nan"), float("nan"), float("nan"))


def score(value: float, width: float = 0.02) -> Score:
    return Score(value, value - width, value + width)


def bins(pairs=30_000):
    return tuple(Bin(k / 15, (k + 1) / 15, pairs // 4**k, (k + 0.5) / 15, (k + 0.5) / 15) for k in range(15))


def genre(name="Drama", *, support=100, share=0.1, ap=0.5, auc=0.8, precision=0.5, recall=0.5, f1=0.5, width=0.02):
    point = GenreAtPoint(
        0.3, support, score(precision, width), score(recall, width), score(f1, width), score(0.9, width)
    )
    return GenreResult(
        name, support, share, score(ap, width), score(auc, width), score(0.02, width),
        {"balanced": point}, ((0.0, 1.0, 0.9), (0.5, ap, 0.4), (1.0, share, 0.0)),
        tuple(Bin(k / 5, (k + 1) / 5, 20, k / 5 + 0.1, k / 5 + 0.15) for k in range(5)) if support > 99 else (),
    )  # fmt: skip


def evaluation(genres=None, *, names=("Action", "Drama", "Horror"), films=500, seed=0, ap=0.4, chance=0.1):
    rng = np.random.default_rng(seed)

    def draw(keys):
        return {key: score(float(rng.uniform(0.1, 0.9))) for key in keys}

    if genres is None:
        genres = [genre(name, ap=float(rng.uniform(0.2, 0.9)), f1=float(rng.uniform(0.1, 0.9))) for name in names]
    count = len(genres)
    return Evaluation(
        split="test",
        films=films,
        genres=tuple(result.genre for result in genres),
        draws=200,
        ranking={
            "macro_average_precision": score(ap),
            "macro_roc_auc": score(0.8),
            **draw(["micro_average_precision", "micro_roc_auc", "ranking_loss", "top1_hit"]),
            **draw(["top3_hit"]),
            "calibration_error": score(0.01, 0.005),
        },
        at={point: draw(KEYS) for point in ("balanced", "precise", "generous", "exact", "0.5")},
        baselines={
            "nothing": draw(KEYS),
            "prior": draw(KEYS) | {"macro_average_precision": score(chance, 0.01)},
        },
        per_genre=tuple(genres),
        reliability=bins(),
        confusion=tuple(tuple(map(int, rng.integers(0, one.support + 1, count))) for one in genres),
        cooccurrence_true=tuple(map(tuple, count_together(*[rng.random((200, count)) < 0.3] * 2).tolist())),
        cooccurrence_predicted=((0,) * count,) * count,
    )


ANSWERED_GENRES = ("Action", "Drama", "Horror, Thriller")


def answers(films=400, *, skill=1.0, seed=0, genres=ANSWERED_GENRES):
    """Answers to the same drawn films; the noise of each is its own, its size by skill."""
    labels = np.random.default_rng(7).random((films, len(genres))) < (0.5, 0.3, 0.15)[: len(genres)]
    logits = skill * (2 * labels - 1) + np.random.default_rng(seed).normal(size=labels.shape)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return Predictions(
        film_ids=tuple(f"tt{k:07d}" for k in range(films)),
        titles=tuple(f'Film "{k}", the' for k in range(films)),
        posters=tuple(f"posters/{k}.jpg" for k in range(films)),
        genres=GenreSet(genres),
        labels=labels,
        probabilities=probabilities,
        predicted={"balanced": probabilities >= 0.5, "precise": probabilities >= 0.8},
    )
