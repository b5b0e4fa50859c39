"""`onesheet review export`: the catalogue as people have decided it to be."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onesheet.apps.review.review_source import Source


def add_commands(commands: Any) -> None:
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
    export.add_argument("--out", required=True, metavar="PATH", help="the corrected catalogue (.csv, .tsv or .parquet)")
    export.set_defaults(run=run)


def add_source(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add what is reviewed, and where the decisions are stored."""
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument(
        "--run", dest="run_folder", metavar="RUN", help="review the films of a run's validation and test sets"
    )
    source.add_argument("--catalogue", metavar="CATALOGUE", help="review a table or folder of posters and genres")
    parser.add_argument(
        "--decisions", metavar="FILE", help="where decisions are kept (default: decisions.sqlite in RUN or beside)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, correct, write and print."""
    from onesheet.apps.review.corrected_catalogue import about_export, corrected, export
    from onesheet.apps.review.decision_store import DecisionStore
    from onesheet.apps.review.review_source import decisions_path, read_source
    from onesheet.data import write_catalogue
    from onesheet.data.tables import DELIMITED
    from onesheet.errors import ReviewError
    from onesheet.files import whole_file

    named = {"run": arguments.run_folder, "catalogue": arguments.catalogue}
    path, out = Path(arguments.decisions or decisions_path(**named)), Path(arguments.out)
    if not path.is_file():
        raise ReviewError(f"no decisions in {str(path)!r}; make some with: onesheet serve, or name --decisions")
    source = read_source(**named)
    decisions = DecisionStore(path).standing()
    if source.table and out.suffix.lower() in DELIMITED:
        data = export(source, decisions)
        with whole_file(out) as part:
            part.write_bytes(data)
    else:
        source = replace(source, table=None)
        write_catalogue(corrected(source.catalogue, source.bare, decisions), out)
    skipped = sum(decision.action == "skip" for decision in decisions.values())
    print(f"wrote {out}: decided {len(decisions) - skipped:,}, skipped {skipped:,}\n{about_export(source)}")
    print(f"train on it: {_training(source, out)}")
    return 0


def _training(source: Source, out: Path) -> str:
    """The command that repeats the run on the corrected catalogue, with the same films in the same parts."""
    words = ["onesheet", "train", str(out)]
    if source.run:
        words += ["--config", str(source.run / "config.toml"), "--split", str(source.run / "split.csv")]
    if source.table and "posters" not in source.options and out.absolute().parent != source.table.absolute().parent:
        words += ["--posters", str(source.table.parent)]
    return shlex.join([*words, "--out", "better"])
