"""One Markdown table of several runs' evaluations, beside the trivial answers.

python benchmarks/table.py RUN…
"""

import math
import sys
from pathlib import Path

from onesheet.evaluation import Score, read_evaluation

COLUMNS = [
    ("mAP, macro", "ranking", "macro_average_precision"),
    ("ROC-AUC, macro", "ranking", "macro_roc_auc"),
    ("precision at 0.5", "0.5", "micro_precision"),
    ("recall at 0.5", "0.5", "micro_recall"),
    ("macro-F1, balanced", "balanced", "macro_f1"),
    ("micro-F1, balanced", "balanced", "micro_f1"),
    ("all right, exact", "exact", "exact_match"),
    ("top-1 hit", "ranking", "top1_hit"),
    ("calibration error", "ranking", "calibration_error"),
]


def cell(score: Score | None) -> str:
    return "–" if score is None or math.isnan(score.value) else f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"


def main() -> None:
    runs = {Path(run).name: read_evaluation(Path(run) / "evaluation.json") for run in sys.argv[1:]}
    if not runs:
        sys.exit(__doc__)
    print("| | " + " | ".join(name for name, _, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, result in runs.items():
        cells = [cell((result.ranking if at == "ranking" else result.at[at])[key]) for _, at, key in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, figures in next(iter(runs.values())).baselines.items():
        print(f"| *{name}* | " + " | ".join(cell(figures.get(key)) for _, _, key in COLUMNS) + " |")


if __name__ == "__main__":
    main()
