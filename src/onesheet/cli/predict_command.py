"""`onesheet predict`: posters to genres."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onesheet.errors import require
from onesheet.spreadsheets import Writer

if TYPE_CHECKING:
    from onesheet.predict import Failure, Prediction

Answers = Iterable["Prediction | Failure"]


def add_commands(commands: Any) -> None:
    """Add `predict`."""
    parser = commands.add_parser(
        "predict",
        help="the genres of posters",
        description="The genres of posters, from a model file. Unreadable posters are listed at the end (exit 1).",
        allow_abbrev=False,
    )
    add_posters(parser)
    add_model(parser)
    add_point(parser)
    parser.add_argument("--top", type=positive, metavar="K", help="the K most probable genres instead")
    add_threads(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="CSV: path, genres, one column a genre, error")
    form.add_argument("--parquet", metavar="FILE", help="write the same columns to a Parquet file")
    add_verbose(parser)
    parser.set_defaults(run=run)


def add_posters(parser: argparse.ArgumentParser) -> None:
    """Add the posters that a command reads."""
    parser.add_argument(
        "posters", nargs="+", metavar="POSTER", help="files, folders or patterns such as 'posters/*.jpg'"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument(
        "--threads", type=positive, metavar="THREADS", help="posters at the same time; default: all cores"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument(
        "--model", metavar="FILE", help="model file, written by train or export (default: the bundled model)"
    )


def add_point(parser: argparse.ArgumentParser, *, default: str = "balanced") -> None:
    """Add `--at`."""
    parser.add_argument(
        "--at",
        default=default,
        choices=("balanced", "precise", "generous", "exact"),
        help=f"operating point: how sure a genre must be to be given (default: {default})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict and print; 1 if a poster was unreadable."""
    from onesheet.predict import Failure, find_posters, left_out, load

    predictor = load(arguments.model, threads=arguments.threads)
    names = predictor.genres.names
    failures: list[Failure] = []

    posters = find_posters(arguments.posters)

    predictions = predictor.predict_many(posters, at=arguments.at, top=arguments.top)

    def answers() -> Iterator[Prediction | Failure]:
        for answer in predictions:
            if isinstance(answer, Failure):
                failures.append(answer)
            yield answer

    if arguments.json:
        for answer in answers():
            print(json.dumps(answer.to_dict()), flush=True)
    elif arguments.csv:
        _print_csv(answers(), names)
    elif arguments.parquet:
        _write_parquet(arguments.parquet, answers(), names)
        print(f"wrote {arguments.parquet}, {len(posters):,} posters")
    else:
        print_genres(answers(), posters)
    if failures:
        print(f"{len(failures)} unreadable:", file=sys.stderr)
    for failure in failures:
        print(f"  {failure.error}", file=sys.stderr)
    print_left_out(left_out(arguments.posters), verbose=arguments.verbose)
    return 1 if failures else 0


def print_left_out(files: Mapping[str, Sequence[str]], *, verbose: bool) -> None:
    """How many files of folders were left out, by reason, on standard error; `verbose` lists them."""
    for why, paths in files.items():
        print(f"left out: {len(paths):,} {'file' if len(paths) == 1 else 'files'} {why}", file=sys.stderr)
        for path in paths if verbose else ():
            print(f"  {shown(path)}", file=sys.stderr)


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Add `--verbose`."""
    parser.add_argument("--verbose", action="store_true", help="list the files that are left out, and why")


def _print_csv(answers: Answers, names: tuple[str, ...]) -> None:
    from onesheet.predict.predictions import table_columns, table_row

    columns = table_columns(names)
    writer = Writer(sys.stdout)
    writer.write(columns)
    writer.write_all(table_row(answer, names).values() for answer in answers)


def _write_parquet(path: str, answers: Answers, names: tuple[str, ...]) -> None:
    from onesheet.files import whole_file
    from onesheet.predict.predictions import table_row, write_parquet

    require("pyarrow", purpose="writing Parquet", extra="parquet")  # before any poster is read
    with whole_file(path) as part:
        write_parquet(part, (table_row(answer, names) for answer in answers), names)


def print_genres(answers: Answers, posters: list[str]) -> None:
    """A line per poster as it is predicted, so that a large folder shows its first predictions at once."""
    from onesheet.predict import Failure
    from onesheet.predict.predictions import percent

    width = min(60, max(len(shown(poster)) for poster in posters))
    print(f"{'poster':<{width}}  genres")
    for answer in answers:
        if not isinstance(answer, Failure):
            genres = ", ".join(f"{name} {percent(value)}" for name, value in answer.genres.items())
            print(f"{shown(answer.path):<{width}}  {genres or '(none is sure enough)'}")


def shown(name: str) -> str:
    """A name that keeps to its line and leaves the terminal alone."""
    return name if name.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def positive(text: str) -> int:
    """An option's value as a whole number from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on; got {text!r}")
    return value
