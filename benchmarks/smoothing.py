"""How thresholds do on films that they were not fitted to: halves of the validation part, one fitted, one measured.

python benchmarks/smoothing.py MODEL PACKED [HALVINGS]

Prints macro-F1 of "balanced" by how many films of a genre weigh as much as its probabilities.
"""

import sys

import numpy as np

from onesheet.data import open_packed
from onesheet.evaluation import fit_calibration
from onesheet.evaluation.operating import best_f1_threshold, smooth
from onesheet.predict import load, score_part

FILMS = (0, 30, 100, 300, 1000)


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    packed, halvings = open_packed(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 10
    labels = packed.labels[packed.rows("validation")].astype(bool)
    logits = score_part(load(sys.argv[1]), packed, "validation").logits
    found: dict[int, list[float]] = {films: [] for films in FILMS}
    for seed in range(halvings):
        halves = np.array_split(np.random.default_rng(seed).permutation(len(labels)), 2)
        for fitted, fresh in (halves, halves[::-1]):
            calibration = fit_calibration(logits[fitted], labels[fitted])
            seen, unseen = (calibration.probabilities(logits[rows]) for rows in (fitted, fresh))
            for films in FILMS:
                truth = smooth(seen, labels[fitted], films=films)
                thresholds = [best_f1_threshold(seen[:, g], truth[:, g]) for g in range(labels.shape[1])]
                found[films].append(macro_f1(unseen >= thresholds, labels[fresh]))
    for films, values in found.items():
        print(f"{films:,} films: {np.mean(values):.4f} ± {np.std(values) / len(values) ** 0.5:.4f}")


def macro_f1(given: np.ndarray, labels: np.ndarray) -> float:
    sums = given.sum(axis=0) + labels.sum(axis=0)
    return float((2 * (given & labels).sum(axis=0) / np.maximum(sums, 1)).mean())


if __name__ == "__main__":
    main()
