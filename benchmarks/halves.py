"""How model files that answer together do on validation films that calibration and thresholds were not fitted to.

python benchmarks/halves.py PACKED MODEL… [--halvings N]

The mean of the models' logits, in 32 bits, is calibrated on one half of the validation set and measured on the other,
and the other way round. Prints a Markdown row (mAP and ROC-AUC of the whole part, as they need no fitting), then
macro-F1 of "balanced" by how many films of a genre weigh as much as its probabilities.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation import average_precision, fit_calibration, recall_at_precision, roc_auc
from onesheet.evaluation.label_sets import fit_label_sets
from onesheet.evaluation.operating_points import SMOOTHING_FILMS, best_f1_threshold, smooth
from onesheet.packed import open_packed
from onesheet.predict import load, score_split

FILMS = (0, 30, 100, 300, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--halvings", type=int, default=6)
    given = parser.parse_args()
    packed = open_packed(given.packed)
    labels = packed.labels[packed.rows("validation")].astype(bool)
    trained = packed.labels[packed.rows("train")].astype(bool)
    logits = np.mean([score_split(load(path), packed, "validation").logits for path in given.models], axis=0)
    rows, by_films = [], []
    for seed in range(given.halvings):
        halves = np.array_split(np.random.default_rng(seed).permutation(len(labels)), 2)
        for fitted, fresh in (halves, halves[::-1]):
            calibration = fit_calibration(logits[fitted], labels[fitted])
            seen, unseen = (calibration.probabilities(logits[half]) for half in (fitted, fresh))
            by_films.append([balanced(seen, labels[fitted], unseen, labels[fresh], films) for films in FILMS])
            sure = np.clip(unseen, 1e-6, 1 - 1e-6)
            right = fit_label_sets(seen, labels[fitted], trained).decide(unseen) == labels[fresh]
            rows.append(
                [
                    -np.log(np.where(labels[fresh], sure, 1 - sure)).mean(),
                    by_films[-1][FILMS.index(int(SMOOTHING_FILMS))],
                    float(recall_at_precision(labels[fresh], unseen, precision=0.6)),
                    right.all(axis=1).mean(),
                ]
            )
    loss, f1, recall, exact = np.mean(rows, axis=0)
    precision, area = np.nanmean(average_precision(labels, logits)), np.nanmean(roc_auc(labels, logits))
    metrics = ["mAP", "ROC-AUC", "logarithmic loss", "macro-F1", "recall at precision .60", "all right"]
    print(f"| {' | '.join(metrics)} |\n{'|---' * len(metrics)}|")
    print(f"| {precision:.4f} | {area:.4f} | {loss:.5f} | {f1:.3f} | {recall:.3f} | {exact:.3f} |\n")
    for films, value in zip(FILMS, np.mean(by_films, axis=0), strict=True):
        print(f"{films:,} films: macro-F1 {value:.4f}")


def balanced(
    seen: NDArray[np.floating],
    seen_labels: NDArray[np.bool_],
    unseen: NDArray[np.floating],
    labels: NDArray[np.bool_],
    films: int,
) -> float:
    """Macro-F1 on unseen films of thresholds fitted to seen ones."""
    truth = smooth(seen, seen_labels, films=films)
    given = unseen >= [best_f1_threshold(seen[:, g], truth[:, g]) for g in range(seen.shape[1])]
    sums = given.sum(axis=0) + labels.sum(axis=0)
    return float((2 * (given & labels).sum(axis=0) / np.maximum(sums, 1)).mean())


if __name__ == "__main__":
    main()
