"""`onesheet evaluate`: how good a model file is on packed posters or on a catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.cli import arguments as options
from onesheet.cli.arguments import add_options, recipe_from
from onesheet.cli.console import Console, print_table
from onesheet.cli.step_commands import add_out, step_command
from onesheet.errors import CatalogueError, OnesheetError
from onesheet.files import sole_use

if TYPE_CHECKING:
    from onesheet.data import Film, Findings
    from onesheet.evaluation import Evaluation
    from onesheet.packed import Packed
    from onesheet.pipeline.recipe import Recipe
    from onesheet.training import Run

SEEN = {"train": "was trained on", "validation": "chose its epoch, its calibration and its thresholds on"}
SHIPPED = "default"
LEARNT = "films the model has learnt from make its figures too good"


def add_commands(commands: Any) -> None:
    """Add `evaluate`."""
    evaluate = step_command(commands, "evaluate", run, "measure a model file; write a report")
    evaluate.add_argument(
        "model_file",
        metavar="MODEL",
        help=f"model file; {SHIPPED} = the model that ships, ./{SHIPPED} = a file of that name",
    )
    evaluate.add_argument("source", metavar="SOURCE", help="packed folder, or a catalogue (all its films are measured)")
    add_out(
        evaluate, "folder for report.html, figures/, evaluation.json and predictions.csv; a catalogue's posters packed"
    )
    evaluate.add_argument(
        "--split",
        default="test",
        choices=("train", "validation", "test"),
        help="split of a packed folder (default: test)",
    )
    evaluate.add_argument(
        "--run",
        dest="run_folder",
        metavar="RUN",
        help="the model's run: a catalogue's films that it learnt from are left out, its learning curves are shown",
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
    from onesheet.packed import WHOLE, open_packed
    from onesheet.pipeline import evaluate_file
    from onesheet.pipeline.file_evaluation import require_report
    from onesheet.predict import DEFAULT_MODEL
    from onesheet.training import open_run

    require_report()
    if arguments.model_file == SHIPPED:
        arguments.model_file = DEFAULT_MODEL
    recipe = recipe_from(arguments)
    made_by = open_run(arguments.run_folder) if arguments.run_folder else None
    packed_folder = (Path(arguments.source) / "manifest.json").is_file()
    with Console() as console, sole_use(arguments.out):
        if packed_folder:
            packed = open_packed(arguments.source)
            if arguments.split in SEEN:
                console.tell(
                    f"a model made from this folder {SEEN[arguments.split]} these films: its metrics are too good"
                )
            findings = _audit_of(arguments.findings, made_by)
        else:
            packed, findings = _pack_for(arguments, recipe, made_by, console)
        evaluation = evaluate_file(
            arguments.model_file,
            packed,
            out=arguments.out,
            split=arguments.split if packed_folder else WHOLE,
            run=made_by,
            findings=findings,
            draws=recipe.draws,
            threads=recipe.training.threads,
            progress=console.progress,
        )
    print_evaluation(evaluation, Path(arguments.out), as_json=arguments.json)
    return 0


def _audit_of(named: str | None, made_by: Run | None) -> Findings | None:
    """What the audit found, from the file named or the run's own; None where nobody knows."""
    from onesheet.data import Findings

    path = Path(named) if named else made_by.folder / "findings.csv" if made_by else None
    return Findings.read_csv(path) if path and (named or path.exists()) else None


def _pack_for(
    arguments: argparse.Namespace, recipe: Recipe, made_by: Run | None, console: Console
) -> tuple[Packed, Findings]:
    """A whole catalogue packed as the model wants it, as one split, and what was found on the way."""
    from onesheet.packed import Split, pack
    from onesheet.pipeline.file_evaluation import check_run
    from onesheet.pipeline.preparation import whole_catalogue
    from onesheet.predict import DEFAULT_MODEL, load

    predictor = load(arguments.model_file)
    card = predictor.card
    if made_by:
        check_run(predictor, made_by)
    elif arguments.model_file == DEFAULT_MODEL:
        console.tell(f"{LEARNT}; it learnt from Chu & Guo's posters and Kaggle's (docs/model-card.md)")
    else:
        console.tell(f"{LEARNT}; --run RUN leaves them out")
    catalogue = whole_catalogue(
        replace(recipe, catalogue=(arguments.source,)),
        predictor.genres,
        choose=lambda films: _unseen(films, made_by, console) if made_by else films,
        progress=console.progress,
        tell=console.tell,
    )
    packed = pack(
        Split.whole(catalogue),
        Path(arguments.out) / "packed",
        size=card.size,
        resize=card.resize,
        threads=recipe.training.threads,
        progress=console.progress,
    )
    return packed, catalogue.findings + packed.findings


def _splits_of(made_by: Run) -> Iterable[tuple[str, str]]:
    """Each film's id and split: from the file that `train` writes, else from the store that `fit` learnt from.

    Raises:
        CatalogueError: neither is there as it was.
    """
    from onesheet.packed.splitting import read_split_rows

    split = made_by.folder / "split.csv"
    if split.exists():
        return read_split_rows(split)
    try:
        packed = made_by.packed()
    except OnesheetError as error:
        raise CatalogueError(
            f"what the run in {str(made_by.folder)!r} has learnt from is not known: it has no split.csv, and {error}; "
            "or leave out --run"
        ) from error
    return zip((film.film_id for film in packed.films), packed.splits, strict=True)


def _unseen(films: tuple[Film, ...], made_by: Run, console: Console) -> tuple[Film, ...]:
    """The films that the model's run did not train or validate on.

    Raises:
        CatalogueError: it has seen them all, or nobody knows which.
    """
    seen = {film_id for film_id, split in _splits_of(made_by) if split != "test"}
    unseen = tuple(film for film in films if film.film_id not in seen)
    console.tell(f"left out {len(films) - len(unseen):,} films that the model has learnt from")
    if not unseen:
        raise CatalogueError(
            f"the run in {str(made_by.folder)!r} has learnt from every film of this catalogue; name other films"
        )
    return unseen


def print_evaluation(evaluation: Evaluation, out: Path, *, as_json: bool) -> None:
    """The headline figures beside the trivial baselines."""
    if as_json:
        print((out / "evaluation.json").read_text(encoding="utf-8").strip())
        return
    from onesheet.reporting.verdict import best_baseline

    ranking, balanced, exact = evaluation.ranking, evaluation.at["balanced"], evaluation.at["exact"]
    figures = [
        ("mean average precision, macro", ranking, "macro_average_precision"),
        ("ROC-AUC, macro", ranking, "macro_roc_auc"),
        ("F1, macro, at balanced", balanced, "macro_f1"),
        ("F1, micro, at balanced", balanced, "micro_f1"),
        ("all genres right, at exact", exact, "exact_match"),
        ("the likeliest genre is right", ranking, "top1_hit"),
        ("calibration error", ranking, "calibration_error"),
    ]
    rows = []
    for name, scores, key in figures:
        score, best = scores[key], best_baseline(evaluation, key, lower_is_better=key == "calibration_error")
        trivial = f"{best[1].value:.3f} ({best[0]})" if best else ""
        rows.append([name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", trivial])
    title = f"{evaluation.films:,} films of split {evaluation.split!r}, {len(evaluation.genres)} genres"
    print_table(title, ["figure", "value", "95 % interval", "best trivial answer"], rows)
    print(f"report: {out / 'report.html'}")
