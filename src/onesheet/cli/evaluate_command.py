"""`onesheet evaluate`: how good a model file is on packed posters or on a catalogue."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.cli import arguments as options
from onesheet.cli.arguments import add_options, recipe_from
from onesheet.cli.console import Console, print_table
from onesheet.cli.step_commands import add_out, step_command

if TYPE_CHECKING:
    from onesheet.evaluation import Evaluation

BUNDLED = "default"


def add_commands(commands: Any) -> None:
    """Add `evaluate`."""
    evaluate = step_command(commands, "evaluate", run, "measure a model file; write a report")
    evaluate.add_argument(
        "model_file",
        metavar="MODEL",
        help=f"model file; {BUNDLED} = the bundled model, ./{BUNDLED} = a file of that name",
    )
    evaluate.add_argument("source", metavar="SOURCE", help="packed folder, or a catalogue (all its films are measured)")
    add_out(
        evaluate, "folder for report.html, plots/, evaluation.json and predictions.csv; a catalogue's posters packed"
    )
    evaluate.add_argument(
        "--split",
        dest="measured",  # `split` is the recipe's split files
        default="test",
        choices=("train", "validation", "test"),
        help="split of a packed folder (default: test)",
    )
    evaluate.add_argument(
        "--run",
        dest="run_folder",
        metavar="RUN",
        help="the model's run: a catalogue's films that it was trained on are left out, its learning curves are shown",
    )
    evaluate.add_argument(
        "--findings", metavar="FILE", help="findings.csv of the audit, for the report; default: the one in RUN"
    )
    add_options(
        evaluate,
        *options.CATALOGUE,
        *options.EVALUATE,
        min_films="a genre that the model does not have is an error if so many films have it (default: 20)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, write and print."""
    from onesheet.pipeline import evaluate_source
    from onesheet.predict import DEFAULT_MODEL

    with Console() as console:
        evaluation = evaluate_source(
            DEFAULT_MODEL if arguments.model_file == BUNDLED else arguments.model_file,
            arguments.source,
            recipe_from(arguments),
            out=arguments.out,
            split=arguments.measured,
            run_folder=arguments.run_folder,
            findings_path=arguments.findings,
            progress=console.progress,
            notify=console.notify,
        )
    print_evaluation(evaluation, Path(arguments.out), as_json=arguments.json)
    return 0


def print_evaluation(
    evaluation: Evaluation, out: Path, *, as_json: bool, understood: Mapping[str, Any] | None = None
) -> None:
    """The headline metrics beside the baselines; in JSON all metrics, and how the catalogue was understood."""
    if as_json:
        metrics = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
        print(json.dumps({**metrics, **(understood or {})}, ensure_ascii=False))
        return
    from onesheet.reporting.verdict import best_baseline, verdict

    ranking, balanced, exact = evaluation.ranking, evaluation.at["balanced"], evaluation.at["exact"]
    metrics = [
        ("mean average precision, macro", ranking, "macro_average_precision"),
        ("ROC-AUC, macro", ranking, "macro_roc_auc"),
        ("F1, macro, at balanced", balanced, "macro_f1"),
        ("F1, micro, at balanced", balanced, "micro_f1"),
        ("all genres right, at exact", exact, "exact_match"),
        ("the likeliest genre is right", ranking, "top1_hit"),
        ("calibration error", ranking, "calibration_error"),
    ]
    rows = []
    for name, scores, key in metrics:
        score, best = scores[key], best_baseline(evaluation, key, lower_is_better=key == "calibration_error")
        baseline = f"{best[1].value:.3f} ({best[0]})" if best else ""
        rows.append([name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", baseline])
    title = f"{evaluation.films:,} films of split {evaluation.split!r}, {len(evaluation.genres)} genres"
    print_table(title, ["metric", "value", "95% interval", "best baseline"], rows)
    print(verdict(evaluation).headline)
    for caveat in evaluation.caveats:
        print(f"note: {caveat}")
    print(f"report: {out / 'report.html'}")
