"""`onesheet compare`: two evaluations of the same films side by side."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.cli.arguments import add_options, recipe_from
from onesheet.cli.console import Console, print_table

if TYPE_CHECKING:
    from onesheet.evaluation.comparison import Comparison, Paired


def add_commands(commands: Any) -> None:
    """Add `compare`."""
    compare = commands.add_parser(
        "compare",
        help="two runs side by side, with paired differences",
        description="Compare two folders that train or evaluate wrote, on the same films; write compare.html.",
        allow_abbrev=False,
    )
    compare.add_argument("one", metavar="RUN_A", help="folder with predictions.csv, written by train or evaluate")
    compare.add_argument("other", metavar="RUN_B", help="the other; differences are this one less RUN_A")
    compare.add_argument(
        "--out", default="comparison", metavar="FOLDER", help="folder for compare.html (default: comparison)"
    )
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")
    add_options(compare, "draws")
    compare.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, write and print."""
    from onesheet.data.genre_synonyms import match
    from onesheet.evaluation.comparison import compare_predictions
    from onesheet.evaluation.predictions_file import read_predictions
    from onesheet.reporting.comparison_page import write_comparison

    recipe = recipe_from(arguments)
    one, other = (read_predictions(Path(folder) / "predictions.csv") for folder in (arguments.one, arguments.other))
    other = other.in_genres(one.genres, match(other.genres.names, one.genres.names))  # Science Fiction is Sci-Fi
    with Console() as console:
        comparison = compare_predictions(one, other, draws=recipe.draws, progress=console.progress)
    name_one, name_other = _names(arguments.one, arguments.other)
    path = Path(arguments.out) / "compare.html"
    write_comparison(path, comparison, name_one=name_one, name_other=name_other)
    if arguments.json:
        print(json.dumps(_plain(comparison)))
    else:
        _print(comparison, name_one, name_other)
        print(f"see {path}")
    return 0


def _names(one: str, other: str) -> tuple[str, str]:
    """The folders' last names, with as many above them as tell the two apart; A and B where they are one folder."""
    parts, more = Path(one).resolve().parts, Path(other).resolve().parts
    for length in range(1, max(len(parts), len(more)) + 1):
        names = str(Path(*parts[-length:])), str(Path(*more[-length:]))
        if names[0] != names[1]:
            return names
    return f"{parts[-1]} (A)", f"{parts[-1]} (B)"


def _print(comparison: Comparison, name_one: str, name_other: str) -> None:
    from onesheet.evaluation.results import FEW_FILMS
    from onesheet.reporting.comparison_page import conclusion, paired_headlines, who_is_better

    names = {"one": name_one, "other": name_other, "": ""}
    rows = [[each.name, *_cells(each.paired), names[each.better]] for each in paired_headlines(comparison)]
    heads = [name_one, name_other, "difference", "95% interval", "surely better"]
    print_table(f"{len(comparison.one):,} films, {len(comparison.genres)} genres", ["metric", *heads], rows)
    precision = comparison.per_genre["average_precision"]
    genres = [
        [genre, f"{films:,}", *_cells(paired), names[who_is_better(paired)] if films >= FEW_FILMS else "too few films"]
        for genre, films, paired in zip(comparison.genres, comparison.support, precision, strict=True)
    ]
    print_table("average precision", ["genre", "films", *heads], genres)
    print(
        f"all genres right at balanced: both {comparison.both:,}, {name_one} alone {len(comparison.only_one):,}, "
        f"{name_other} alone {len(comparison.only_other):,}, neither {comparison.neither:,}"
    )
    print(conclusion(comparison, name_one, name_other))


def _cells(paired: Paired) -> list[str]:
    """Both values, their difference and its interval; an undefined metric is a dash."""
    values = [f"{paired.one.value:.3f}", f"{paired.other.value:.3f}", f"{paired.difference.value:+.3f}"]
    cells = [*values, f"{paired.difference.low:+.3f} to {paired.difference.high:+.3f}"]
    return [cell if "nan" not in cell else "–" for cell in cells]


def _plain(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON's types, films by id, undefined metrics as null."""
    from onesheet.evaluation.results import without_nan

    film_ids = comparison.one.film_ids
    plain: dict[str, Any] = without_nan({
        "films": len(film_ids),
        "draws": comparison.draws,
        "ranking": {name: asdict(paired) for name, paired in comparison.ranking.items()},
        "at": {
            point: {name: asdict(paired) for name, paired in metrics.items()}
            for point, metrics in comparison.at.items()
        },
        "per_genre": {
            genre: {name: asdict(metrics[column]) for name, metrics in comparison.per_genre.items()}
            for column, genre in enumerate(comparison.genres)
        },
        "only_one": [film_ids[row] for row in comparison.only_one],
        "only_other": [film_ids[row] for row in comparison.only_other],
        "both": comparison.both,
        "neither": comparison.neither,
    })  # fmt: skip
    return plain
