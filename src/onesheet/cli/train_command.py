"""`onesheet train`: the whole way in one command; `onesheet demo`: the same on posters drawn for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.cli.arguments import add_catalogue, add_options, recipe_from
from onesheet.cli.console import Console
from onesheet.errors import ConfigError, RunError
from onesheet.files import read_json
from onesheet.pipeline.recipe import BUNDLED, OPTIONS, Recipe, starts_from_file
from onesheet.training.config import TrainConfig

if TYPE_CHECKING:
    from onesheet.evaluation import Evaluation

# A network and a size that learn the drawn posters in two minutes on two cores.
DEMO = Recipe(size=(112, 80), training=TrainConfig(model="poster-cnn", widths=(24, 48, 96, 192), epochs=24))
DEMO_FILMS = 1500
QUICK = Recipe(min_films=15, training=TrainConfig(model=BUNDLED))
QUICK_FILMS = 200
MODEL_HELP = (
    "model file (.onnx) to start from; or, with PyTorch, hf:<hub name or folder>, poster-cnn or alexnet "
    f"(default: {BUNDLED} = the bundled model)"
)


def add_commands(commands: Any) -> None:
    """Add `train` and `demo`."""
    train = commands.add_parser(
        "train",
        help="from posters and genres to a model file and its report",
        description="Read, audit, split, pack, train, export and evaluate. RUN then contains genres.onnx, report.html "
        "and the files of every step.",
        allow_abbrev=False,
    )
    add_catalogue(train)
    train.add_argument("--out", required=True, metavar="RUN", help="the run's folder")
    train.add_argument("--resume", action="store_true", help="resume the run in RUN")
    train.add_argument("--json", action="store_true", help="print the evaluation as JSON")
    train.add_argument("--learning-curve", action="store_true", help="also report metrics with fewer films")
    add_options(train, *(name for name in OPTIONS if name != "catalogue"), short=True, model=MODEL_HELP)
    train.set_defaults(run=_train)

    demo = commands.add_parser(
        "demo",
        help="try everything on posters drawn for the purpose",
        description="Draw a catalogue of posters, then do the whole main job on it.",
        allow_abbrev=False,
    )
    demo.add_argument("--out", default="demo", metavar="FOLDER", help="folder for all of it (default: demo)")
    demo.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_FILMS} posters, and heads on the bundled model: under a minute, without PyTorch",
    )
    demo.set_defaults(run=_demo)


def _train(arguments: argparse.Namespace) -> int:
    from onesheet.cli.evaluate_command import print_evaluation

    out = Path(arguments.out)
    if arguments.resume and not arguments.config and (out / "config.toml").exists():
        arguments.config = str(out / "config.toml")
    recipe = recipe_from(arguments, model=BUNDLED)
    from_file = starts_from_file(recipe.training.model)
    if arguments.learning_curve and not from_file:
        raise ConfigError(
            f"--learning-curve is for heads on a model file; got --model {recipe.training.model}: leave one out"
        )
    evaluation: Evaluation | None
    with Console() as console:
        options: dict[str, Any] = {"resume": arguments.resume, "progress": console.progress, "notify": console.notify}
        if from_file:
            from onesheet.pipeline import adapt_recipe

            evaluation = adapt_recipe(recipe, out, learning_curve=arguments.learning_curve, **options)
        else:
            from onesheet.pipeline import train  # PyTorch takes seconds to load

            evaluation = train(recipe, out, **options)
    if evaluation is None:  # one of several processes, of which the first speaks
        return 0
    understood = read_json(out / "packed" / "manifest.json").get("understood")
    print_evaluation(evaluation, out, as_json=arguments.json, understood=understood)
    if not arguments.json:
        print(f"model:  {out / 'genres.onnx'}\ntry it: onesheet predict POSTER --model {out / 'genres.onnx'}")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from onesheet.cli.evaluate_command import print_evaluation
    from onesheet.cli.predict_command import print_genres
    from onesheet.drawn import draw_catalogue
    from onesheet.evaluation.predictions_file import read_predictions
    from onesheet.predict import load

    out = Path(arguments.out)
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{str(out)!r} is not empty; delete it or choose another --out")
    recipe, films = (QUICK, QUICK_FILMS) if arguments.quick else (DEMO, DEMO_FILMS)
    evaluation: Evaluation | None
    with Console() as console:
        console.notify(f"drawing a catalogue of {films:,} posters, with the faults real ones have, into {out}")
        table = draw_catalogue(out / "catalogue", films=films, progress=console.progress)
        recipe = replace(recipe, catalogue=(str(table),))
        if arguments.quick:
            from onesheet.pipeline import adapt_recipe

            evaluation = adapt_recipe(recipe, out / "run", progress=console.progress, notify=console.notify)
        else:
            from onesheet.pipeline import train  # PyTorch takes seconds to load

            evaluation = train(recipe, out / "run", progress=console.progress, notify=console.notify)
    assert evaluation, "one process alone"
    print_evaluation(evaluation, out / "run", as_json=False)
    unseen = read_predictions(out / "run" / "predictions.csv").posters[:5]  # of the test set: not learnt from
    posters = [str(out / "catalogue" / "posters" / Path(poster).name) for poster in unseen]
    model = str(out / "run" / "genres.onnx")
    print(f"\n$ onesheet predict {' '.join(posters)} --model {model}")
    print_genres(load(model).predict_many(posters), posters)
    print(f"\nmodel:  {model}\nreport: {out / 'run' / 'report.html'}\naudit:  {out / 'run' / 'audit.html'}")
    return 0
