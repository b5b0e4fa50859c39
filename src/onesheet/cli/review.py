"""`onesheet review export`: the catalogue as people have decided it to be."""

from __future__ import annotations

import argparse
from typing import Any


def add_command(commands: Any) -> None:
    """Add `review`."""
    parser = commands.add_parser(
        "review",
        help="what was decided in review, as a catalogue",
        description="Decisions are made on the page of: onesheet serve --run RUN.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser(
        "export",
        help="write the corrected catalogue",
        description="Write the catalogue with the genres that were decided in review; train reads it.",
        allow_abbrev=False,
    )
    add_source(export, required=True)
    export.add_argument("--out", required=True, metavar="PATH", help="the corrected catalogue (.csv or .parquet)")
    export.set_defaults(run=run)


def add_source(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add what is reviewed, and where the decisions lie."""
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--run", dest="run_folder", metavar="RUN", help="review a run's held-out films")
    source.add_argument("--catalogue", metavar="CATALOGUE", help="review a table or folder of posters and genres")
    parser.add_argument(
        "--decisions", metavar="FILE", help="where decisions are kept (default: decisions.sqlite in RUN or beside)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, correct, write and print."""
    from pathlib import Path

    from onesheet.data import write_catalogue
    from onesheet.errors import ReviewError
    from onesheet.review import DecisionStore, corrected, decisions_path, read_source

    named = {"run": arguments.run_folder, "catalogue": arguments.catalogue}
    path = Path(arguments.decisions or decisions_path(**named))
    if not path.is_file():
        raise ReviewError(f"no decisions in {str(path)!r}; make some with: onesheet serve, or name --decisions")
    source = read_source(**named)
    decisions = DecisionStore(path).standing()
    catalogue = corrected(source.catalogue, source.bare, decisions)
    write_catalogue(catalogue, arguments.out)
    decided = sum(film.film_id in decisions for film in catalogue.films)
    print(f"wrote {arguments.out}, {len(catalogue):,} films, {decided:,} of them decided")
    return 0
