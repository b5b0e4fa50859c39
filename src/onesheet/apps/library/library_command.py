"""`onesheet library`: what a film library lacks, what its posters suggest, and genres written with care."""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from onesheet.cli.console import Console, print_table
from onesheet.cli.predict_command import add_model, add_point, add_threads, shown
from onesheet.errors import ConfigError
from onesheet.spreadsheets import Writer

if TYPE_CHECKING:
    from onesheet.apps.library.suggesting import Suggestion
    from onesheet.data.film_library import LibraryFilm, Remark

POLICIES = {
    "only-missing": "give genres to films that have none, and to no other (the default)",
    "add": "give films that have genres those they lack, too; nothing is taken away",
    "replace": "give every film the model's genres in place of its own; those the model does not know stay",
}

UNREAD = "unreadable or unclear"


def add_commands(commands: Any) -> None:
    """Add `library`."""
    parser = commands.add_parser(
        "library",
        help="genres for a film library of Kodi, Jellyfin or Plex",
        description="Reads posters and NFO files. Nothing is changed but by write --apply and undo.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    scan = _add_action(actions, "scan", _scan, "the films, what is there and what is missing")
    _add_forms(scan, "film, title, year, poster, nfo, genres, missing, locked_by, address_only, fault")
    suggest = _add_action(
        actions, "suggest", _suggest, "films without genres, and those to which the model gives one they have not"
    )
    _add_forms(suggest, "film, title, year, reason, poster, nfo, genres, suggested, one column a genre")
    _add_suggesting(suggest)
    write = _add_action(
        actions, "write", _write, "write genres into NFO files, or into a file for Kometa; without --apply only show"
    )
    policy = write.add_mutually_exclusive_group()
    for name, help_text in POLICIES.items():
        policy.add_argument(f"--{name}", dest="policy", action="store_const", const=name, help=help_text)
    write.add_argument("--apply", action="store_true", help="write; without it what would change is only shown")
    write.add_argument(
        "--create-nfo",
        action="store_true",
        help="make an NFO (title, year, genres) where there is none; Kodi then asks no web site about the film",
    )
    write.add_argument(
        "--even-locked", action="store_true", help="change genres that lockdata or lockedfields protect, too"
    )
    write.add_argument(
        "--lock",
        action="store_true",
        help="have Jellyfin leave alone the genres that are written: Genres is added to lockedfields",
    )
    write.add_argument(
        "--kometa", metavar="FILE", help="write a metadata file for Kometa (YAML) and leave NFO files alone"
    )
    _add_suggesting(write)
    write.set_defaults(policy="only-missing")
    _add_action(actions, "undo", _undo, "take back the last write, byte for byte; once more: the one before")


def _add_action(actions: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    description = f"{help_text[0].upper()}{help_text[1:]}. What cannot be read or done is listed at the end (exit 1)."
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=help_text, description=description, allow_abbrev=False
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of the library")
    parser.set_defaults(run=run)
    return parser


def _add_forms(parser: argparse.ArgumentParser, columns: str) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help=f"CSV: {columns}")


def _add_suggesting(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_point(parser, default="precise")
    parser.add_argument(
        "--genre-map", metavar="FILE", help="names of genres -> the library's (CSV, TSV, JSON or TOML; '' drops one)"
    )
    add_threads(parser)


def _scan(arguments: argparse.Namespace) -> int:
    from onesheet.data.film_library import scan_library, unreadable_posters

    with Console() as console:
        library = scan_library(arguments.folder, progress=console.progress)
        posters = unreadable_posters(library.films, progress=console.progress)
    if arguments.json:
        for film in library.films:
            print(json.dumps(film.to_dict()))
    elif arguments.csv:
        _print_csv([film.to_dict() for film in library.films])
    else:
        rows = [[shown(film.name), film.year or "", *_there(film)] for film in library.films]
        print_table("", ["film", "year", "poster", "NFO", "genres"], rows)
        counts = [
            f"{sum(name in film.missing for film in library.films):,} without {word}"
            for name, word in (("poster", "poster"), ("nfo", "NFO"), ("genres", "genres"))
        ]
        print(f"{len(library.films):,} films: {', '.join(counts)}")
        _tell("left out", _lines(library.left_out))
    return _tell(UNREAD, [*_lines(library.unread), *(remark.why for remark in posters)])


def _there(film: LibraryFilm) -> list[str]:
    """Poster, NFO and genres of a film, as a table shows them."""
    nfo = "unusable" if film.fault else "only an address" if film.address_only else film.nfo.name if film.nfo else "-"
    genres = ", ".join(film.genres) or "-"
    return [
        shown(film.poster.name if film.poster else "-"),
        shown(nfo),
        shown(f"{genres} (locked)" if film.lock else genres),
    ]


def _suggest(arguments: argparse.Namespace) -> int:
    with Console() as console:
        answers = _Answers(arguments, console)
        found = sorted(
            (one for one in answers if one.reason),
            key=lambda one: (one.reason != "missing", -max(one.added.values(), default=0)),
        )
    if arguments.json:
        for one in found:
            print(json.dumps(one.to_dict()))
    elif arguments.csv:
        _print_csv([_row(one) for one in found])
    elif not found:
        print(f"films: {answers.films:,}; none lacks a genre that the model is sure of")
    else:
        table = [
            [shown(one.film.name), one.reason, _percent(one.held), _percent(one.added) or "(none is sure enough)"]
            for one in found
        ]
        print_table("", ["film", "genres", "it has", "the model adds"], table)
    return answers.tell()


def _row(one: Suggestion) -> dict[str, Any]:
    """One row of CSV."""
    row = one.to_dict() | {"genres": list(one.held), "suggested": list(one.added)}
    del row["probabilities"]
    return row | dict(sorted(one.probabilities.items()))


def _percent(genres: Any) -> str:
    return ", ".join(shown(name) if value is None else f"{shown(name)} {value:.0%}" for name, value in genres.items())


class _Answers:
    """The suggestions of a library, as they come."""

    def __init__(self, arguments: argparse.Namespace, console: Console) -> None:
        from onesheet.data.film_library import scan_library
        from onesheet.predict import load

        self._library = scan_library(arguments.folder, progress=console.progress)
        self._failures: list[str] = []
        self._unsure: list[str] = []
        self._predictor = load(arguments.model, threads=arguments.threads)
        self._arguments, self._console = arguments, console

    def __iter__(self) -> Iterator[Suggestion]:
        from onesheet.apps.library.suggesting import suggest_genres
        from onesheet.predict import Failure

        for answer in suggest_genres(
            self._library.films,
            self._predictor,
            at=self._arguments.at,
            genre_map=self._arguments.genre_map,
            only_missing=getattr(self._arguments, "policy", None) == "only-missing",
            progress=self._console.progress,
        ):
            if isinstance(answer, Failure):
                self._failures.append(answer.error)
            else:
                if answer.reason == "missing" and not answer.added:
                    self._unsure.append(answer.film.name)
                yield answer

    @property
    def films(self) -> int:
        """How many the library has."""
        return len(self._library.films)

    def tell(self) -> int:
        """List what had no answer, once all have come; 1 if there is something."""
        bare = [film.name for film in self._library.films if {"poster", "genres"} <= set(film.missing)]
        unread = _tell(UNREAD, [*_lines(self._library.unread), *self._failures])
        return max(unread, _tell("without genres and no poster", bare))

    def tell_written(self) -> int:
        """The same, and the films that no genre was sure enough for."""
        unsure = _tell(f"without genres, as none is sure enough at {self._arguments.at}", self._unsure)
        return max(unsure, self.tell())


def _write(arguments: argparse.Namespace) -> int:
    from onesheet.apps.library.backups import apply_changes
    from onesheet.apps.library.changes import Change, plan_changes

    if arguments.kometa:
        return _write_kometa(arguments)
    diffs: list[list[str]] = []
    left: list[str] = []
    try:
        with Console() as console:
            answers = _Answers(arguments, console)
            steps = plan_changes(
                answers,
                policy=arguments.policy,
                locked=arguments.even_locked,
                create=arguments.create_nfo,
                lock=arguments.lock,
            )
            for step in apply_changes(arguments.folder, steps) if arguments.apply else steps:
                if isinstance(step, Change):
                    diffs.append(list(step.diff()))
                else:
                    left.append(f"{step.film.name}: {step.why}")
    except BaseException:
        if arguments.apply and diffs:
            _tell_changes(arguments, diffs)
        raise
    _tell_changes(arguments, diffs)
    return max(answers.tell_written(), _tell("left alone", left))


def _tell_changes(arguments: argparse.Namespace, diffs: list[list[str]]) -> None:
    """Print what was or would be changed, and how to take it back."""
    for line in itertools.chain.from_iterable(diffs):
        print(shown(line.expandtabs()))
    if arguments.apply:
        undo = shlex.join(["onesheet", "library", "undo", arguments.folder])
        cure = f"take it back with: {undo}" if diffs else "nothing was to change"
        print(f"NFO files written: {len(diffs):,}; {cure}", file=sys.stderr)
    else:
        print(f"NFO files that would change: {len(diffs):,}; nothing is written without --apply", file=sys.stderr)


def _write_kometa(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from onesheet.apps.library.kometa import kometa_metadata
    from onesheet.files import write_text

    path = Path(arguments.kometa)
    if arguments.create_nfo or arguments.even_locked or arguments.lock:
        raise ConfigError("--kometa leaves NFO files alone; leave out --create-nfo, --even-locked and --lock")
    if path.exists():
        raise ConfigError(f"{str(path)!r} is there already and may hold your own lines; name another file for --kometa")
    with Console() as console:
        answers = _Answers(arguments, console)
        text = kometa_metadata(answers, policy=arguments.policy)
    if arguments.apply:
        write_text(path, text, cure="choose another place with --kometa")
        print(f"wrote {path}; name it under metadata_files of the Kometa library", file=sys.stderr)
    else:
        print(text, end="")
        print(f"{path} would say this; nothing is written without --apply", file=sys.stderr)
    return answers.tell_written()


def _undo(arguments: argparse.Namespace) -> int:
    from onesheet.apps.library.backups import undo_write

    undone = undo_write(arguments.folder)
    print(f"files restored: {len(undone.restored):,}; the backups stay in {undone.folder}")
    return _tell("left alone", _lines(undone.left))


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """Rows of one form; a list becomes "A|B"."""
    if not rows:
        return
    writer = Writer(sys.stdout)
    writer.write(rows[0])
    writer.write_all(["|".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows)


def _lines(remarks: Iterable[Remark]) -> list[str]:
    return [f"{remark.path}: {remark.why}" for remark in remarks]


def _tell(what: str, lines: Iterable[str]) -> int:
    lines = list(lines)
    if lines:
        print(f"{len(lines):,} {what}:", file=sys.stderr)
    for line in lines:
        print(f"  {shown(line)}", file=sys.stderr)
    return 1 if lines else 0
