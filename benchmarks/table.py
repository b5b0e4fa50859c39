"""Markdown tables of several runs' evaluations: beside the baselines, and with --genres genre by genre.

python benchmarks/table.py RUN… [--genres]
"""

import argparse
import math
from pathlib import Path

from onesheet.evaluation import Score, read_evaluation

COLUMNS = [
    ("mAP, macro", "ranking", "macro_average_precision"),
    ("ROC-AUC, macro", "ranking", "macro_roc_auc"),
    ("precision at 0.5", "0.5", "micro_precision"),
    ("recall at 0.5", "0.5", "micro_recall"),
    ("F1 at 0.5", "0.5", "micro_f1"),
    ("macro-F1, balanced", "balanced", "macro_f1"),
    ("micro-F1, balanced", "balanced", "micro_f1"),
    ("all right, exact", "exact", "exact_match"),
    ("top-1 hit", "ranking", "top1_hit"),
    ("calibration error", "ranking", "calibration_error"),
]


def cell(score: Score | None) -> str:
    return "–" if score is None or math.isnan(score.value) else f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of an evaluation.json")
    parser.add_argument("--genres", action="store_true", help="recall, F1 and accuracy of every genre at 0.5 as well")
    given = parser.parse_args()
    if len({run.name for run in given.runs}) < len(given.runs):
        parser.error("two folders of one name, which names the row; rename one")
    runs = {run.name: read_evaluation(run / "evaluation.json") for run in given.runs}
    print("| | " + " | ".join(name for name, _, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, result in runs.items():
        cells = [cell((result.ranking if at == "ranking" else result.at[at])[key]) for _, at, key in COLUMNS]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, metrics in next(iter(runs.values())).baselines.items():
        print(f"| *{name}* | " + " | ".join(cell(metrics.get(key)) for _, _, key in COLUMNS) + " |")
    if given.genres:
        genres = next(iter(runs.values())).genres
        print("\nRecall / F1 / accuracy at 0.5\n\n| genre | films | " + " | ".join(runs) + " |")
        print("|---" * (len(runs) + 2) + "|")
        for genre, results in zip(genres, zip(*(run.per_genre for run in runs.values()), strict=True), strict=True):
            points = [result.at["0.5"] for result in results]
            cells = [f"{at.recall.value:.2f} / {at.f1.value:.2f} / {at.accuracy.value:.2f}" for at in points]
            print(f"| {genre} | {results[0].support} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
