"""Markdown tables of several runs' evaluations: beside the baselines, and with --genres genre by genre.

python benchmarks/table.py RUN… [--genres] [--write NAME]

With --write the table becomes the entry NAME ("systems") of docs/results.json, and the pages show it.
"""

import argparse
import math
from datetime import UTC, datetime
from pathlib import Path

import results_pages
from ratio import processor_name

from onesheet.evaluation import Evaluation, Score, read_evaluation

COLUMNS = [
    ("mAP, macro", "ranking", "macro_average_precision"),
    ("ROC-AUC, macro", "ranking", "macro_roc_auc"),
    ("precision at 0.5", "0.5", "micro_precision"),
    ("recall at 0.5", "0.5", "micro_recall"),
    ("F1 at 0.5", "0.5", "micro_f1"),
    ("macro-F1", "balanced", "macro_f1"),
    ("micro-F1", "balanced", "micro_f1"),
    ("exact match", "exact", "exact_match"),
    ("top-1 hit", "ranking", "top1_hit"),
    ("calibration error", "ranking", "calibration_error"),
]


def cell(score: Score | None) -> str:
    return "–" if score is None or math.isnan(score.value) else f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"


def interval(score: Score | None) -> list[float] | None:
    """A cell of results.json: value, low, high; None where it is not defined."""
    if score is None or math.isnan(score.value):
        return None
    return [round(one, 3) for one in (score.value, score.low, score.high)]


def scores(result: Evaluation, at: str, key: str) -> list[float] | None:
    return interval((result.ranking if at == "ranking" else result.at[at])[key])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of an evaluation.json")
    parser.add_argument("--genres", action="store_true", help="recall, F1 and accuracy of every genre at 0.5 as well")
    parser.add_argument("--write", metavar="NAME", help="entry of docs/results.json to write")
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
    if given.write:
        one = next(iter(runs.values()))
        results = [[name, *(scores(result, at, key) for _, at, key in COLUMNS)] for name, result in runs.items()]
        results += [
            [f"*{name}*", *(interval(metrics.get(key)) for _, _, key in COLUMNS)]
            for name, metrics in one.baselines.items()
        ]
        results_pages.record(
            given.write,
            command=f".venv/bin/python benchmarks/table.py {' '.join(map(str, given.runs))} --write {given.write}",
            measured=f"{one.films:,} test films, {len(one.genres)} genres. macro-F1 and micro-F1 at `balanced`, exact "
            f"match at `exact`. Written on {datetime.now(UTC).date()}, {processor_name()}.",
            columns=["system", *(name for name, _, _ in COLUMNS)],
            rows=results,
        )
        results_pages.main()
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
