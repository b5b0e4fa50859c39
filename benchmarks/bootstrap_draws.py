"""evaluate with all its bootstrap draws against scikit-learn looped over the draws.

python benchmarks/bootstrap_draws.py [--films N] [--draws N] [--sklearn-draws N]

Labels and probabilities are made up. scikit-learn computes the headline metrics on every draw: average precision and
ROC-AUC (each genre, pooled), precision, recall and F1 (each genre, micro, macro, per film), exact match, Hamming loss
and ranking loss at one operating point; ours computes those at every operating point, the baselines, and the
calibration errors, too. scikit-learn's time is extrapolated from a few draws.
"""

import numpy as np
from numpy.typing import NDArray
from ratio import arguments, at_least, in_turn, load_now, quotients, report, row, seconds, spread
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    hamming_loss,
    label_ranking_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from onesheet.evaluation import Thresholds, evaluate

POINTS = ("balanced", "precise", "generous", "exact")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--genres", type=int, default=28)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--sklearn-draws", type=int, default=3, help="draws that scikit-learn really does")
    given = parser.parse_args()
    load = load_now()
    labels, probabilities = made_up(given.films, given.genres)
    names = [f"genre {column}" for column in range(given.genres)]
    points = {name: Thresholds((0.3,) * given.genres) for name in POINTS}

    def ours() -> float:
        return seconds(
            lambda: evaluate(labels, probabilities, genres=names, points=points, train_labels=labels, draws=given.draws)
        )

    def theirs() -> float:
        rng = np.random.default_rng(0)
        drawn = [rng.integers(given.films, size=given.films) for _ in range(given.sklearn_draws)]
        spent = seconds(lambda: [scikit_learn(labels[films], probabilities[films]) for films in drawn])
        return spent / given.sklearn_draws * given.draws

    mine, other = in_turn(ours, theirs, repeats=given.repeats)
    ratio = quotients(other, mine)
    line = row(
        f"evaluate {given.films:,} × {given.genres}, {given.draws:,} draws",
        spread(mine, "s"),
        f"scikit-learn, extrapolated from {given.sklearn_draws} draws: {spread(other, 's')}",
        ratio,
        "≥ 20×",
        at_least(ratio, 20),
    )
    report([line], repeats=given.repeats, packages=("numpy", "scikit-learn"), load=load)


def made_up(films: int, genres: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Genres from common to rare, and probabilities that know something of them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(np.linspace(0, -4, genres), 1.2, (films, genres))
    probabilities = 1 / (1 + np.exp(-logits))
    return rng.random((films, genres)) < probabilities, probabilities.astype(np.float32)


def scikit_learn(labels: NDArray[np.bool_], probabilities: NDArray[np.float32]) -> None:
    given = probabilities >= 0.3
    for average in (None, "micro"):
        average_precision_score(labels, probabilities, average=average)
        roc_auc_score(labels, probabilities, average=average)
    for average in (None, "micro", "macro", "samples"):
        precision_recall_fscore_support(labels, given, average=average, zero_division=0)
    accuracy_score(labels, given)
    hamming_loss(labels, given)
    label_ranking_loss(labels, probabilities)


if __name__ == "__main__":
    main()
