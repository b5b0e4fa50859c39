"""Micro metrics with one threshold for all genres, chosen on validation, beside a fixed precision: to compare with
reports that have no thresholds per genre.

python benchmarks/one_threshold.py MODEL PACKED [PRECISION]
"""

import sys

import numpy as np

from onesheet.packed import open_packed
from onesheet.predict import load, score_split


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    packed, predictor = open_packed(sys.argv[2]), load(sys.argv[1])
    least = float(sys.argv[3]) if len(sys.argv) > 3 else 0.61
    probabilities = {part: score_split(predictor, packed, part).probabilities for part in ("validation", "test")}
    labels = {part: packed.labels[packed.rows(part)] for part in probabilities}

    def micro_f1(part: str, threshold: float) -> float:
        given = probabilities[part] >= threshold
        return 2 * float((given & labels[part]).sum()) / float(given.sum() + labels[part].sum())

    threshold = max(np.linspace(0.05, 0.6, 111).tolist(), key=lambda value: micro_f1("validation", value))
    print(f"one threshold {threshold:.3f}: micro-F1 {micro_f1('test', threshold):.3f} on test")
    falling = np.argsort(-probabilities["test"].ravel(), kind="stable")
    right = labels["test"].ravel()[falling].cumsum()
    enough = np.flatnonzero(right / np.arange(1, len(right) + 1) >= least)
    print(f"recall {right[enough[-1]] / right[-1]:.3f} at micro precision {least:g} on test")


if __name__ == "__main__":
    main()
