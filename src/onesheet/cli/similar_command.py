"""`onesheet similar`: the posters most like another."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from onesheet.cli.console import Console, print_table
from onesheet.cli.predict_command import add_model, add_threads, add_verbose, positive, print_left_out, shown
from onesheet.spreadsheets import Writer

if TYPE_CHECKING:
    from onesheet.predict import Neighbour


def add_commands(commands: Any) -> None:
    """Add `similar`."""
    parser = commands.add_parser(
        "similar",
        help="the posters most like another",
        description="The posters of a folder that are most like another, by the model's embedding. The folder is read "
        "once; what it holds is kept in an index, which follows the folder. Unreadable posters are listed (exit 1).",
        allow_abbrev=False,
    )
    parser.add_argument("poster", metavar="POSTER", help="poster to compare with, in the folder or not")
    parser.add_argument("--in", dest="folder", required=True, metavar="FOLDER", help="folder of posters")
    add_model(parser)
    parser.add_argument("--top", type=positive, default=10, metavar="N", help="how many posters (default: 10)")
    parser.add_argument(
        "--index", metavar="FOLDER", help="folder for the index (default: .onesheet-index in the posters' folder)"
    )
    add_threads(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="CSV: path, similarity")
    add_verbose(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Index, search and print; 1 if a poster of the folder was unreadable."""
    from onesheet.predict import index_posters, left_out, load

    predictor = load(arguments.model, threads=arguments.threads)
    predictor.predict(arguments.poster)  # a poster that cannot be read is rejected before the folder is read
    with Console() as console:
        index = index_posters(arguments.folder, predictor=predictor, index=arguments.index, progress=console.progress)
        if index.notice:
            console.notify(index.notice)
    _print(index.nearest(arguments.poster, top=arguments.top), arguments)
    if index.failures:
        print(f"{len(index.failures)} unreadable:", file=sys.stderr)
    for failure in index.failures:
        print(f"  {failure.error}", file=sys.stderr)
    print_left_out(left_out([arguments.folder]), verbose=arguments.verbose)
    return 1 if index.failures else 0


def _print(neighbours: list[Neighbour], arguments: argparse.Namespace) -> None:
    if arguments.json:
        for neighbour in neighbours:
            print(json.dumps(neighbour.to_dict()))
    elif arguments.csv:
        rows = [(found.path, found.similarity) for found in neighbours]
        Writer(sys.stdout).write_all([("path", "similarity"), *rows])
    else:
        shown_rows = [[shown(neighbour.path), f"{neighbour.similarity:.3f}"] for neighbour in neighbours]
        print_table("", ["poster", "similarity"], shown_rows)
