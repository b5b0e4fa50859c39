"""`onesheet batch`: predict a catalogue of any size into a folder of tables."""

from __future__ import annotations

import argparse
from typing import Any

from onesheet.cli.console import Console
from onesheet.cli.predict_command import add_model, add_point, add_threads, add_verbose, positive
from onesheet.errors import without_passwords


def add_commands(commands: Any) -> None:
    """Add `batch`."""
    parser = commands.add_parser(
        "batch",
        help="predict a whole catalogue, in parts",
        description="Predict every poster of SOURCE into PATH, part by part. After any stop, the same command resumes "
        "with the missing parts. Unreadable posters become rows with an error (exit code 1).",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder, table (CSV, TSV, JSON lines, Parquet) of paths or URLs, or shards (.tar, .parquet); path or URL",
    )
    parser.add_argument("--out", required=True, metavar="PATH", help="folder for the parts; path or URL")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="this machine or a Ray cluster (default: local)"
    )
    add_model(parser)
    add_point(parser)
    parser.add_argument(
        "--format",
        choices=("parquet", "csv", "jsonl"),
        default="parquet",
        help="format of the parts (default: parquet)",
    )
    parser.add_argument(
        "--part-rows",
        type=positive,
        default=1024,
        metavar="N",
        help="posters per part, a multiple of 8; a stop loses unfinished parts (default: 1024); a shard is one part",
    )
    add_threads(parser)
    add_verbose(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict into parts; 1 if a poster was unreadable."""
    from onesheet.apps.batch.batch_run import run_batch

    with Console() as console:
        done = run_batch(
            arguments.source,
            arguments.out,
            model=arguments.model,
            engine=arguments.engine,
            form=arguments.format,
            at=arguments.at,
            part_rows=arguments.part_rows,
            threads=arguments.threads,
            verbose=arguments.verbose,
            progress=console.progress,
            notify=console.notify,
        )
    before = f"; {done.found:,} existed already" if done.found else ""
    print(
        f"{done.parts - done.found:,} of {done.parts:,} parts written, {done.posters:,} posters, "
        f"{done.unreadable:,} of them unreadable{before}: {without_passwords(arguments.out)}"
    )
    return 1 if done.unreadable else 0
