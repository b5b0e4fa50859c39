"""`onesheet library`: scan a film library, suggest genres from its posters, write them, and undo that."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from onesheet.cli.console import Console, print_table
from onesheet.cli.predict_command import add_model, add_point, add_threads, positive, shown
from onesheet.errors import ConfigError
from onesheet.spreadsheets import Writer

if TYPE_CHECKING:
    from onesheet.apps.library.changes import Change, Skipped
    from onesheet.apps.library.suggesting import Suggestion
    from onesheet.data.film_library import Library, LibraryFilm, Remark

POLICIES = {
    "only-missing": "write genres only to films that have none (the default)",
    "add": "also add missing genres to films that have some; nothing is removed",
    "replace": "replace each film's genres by the predicted ones; genres that the model does not know stay",
}

UNREAD = "unreadable or unclear"
MAP_FILE = "genre-map.toml"
MAP_NEEDED = 3
"""Exit code if a genre map is needed before anything is written."""


def add_commands(commands: Any) -> None:
    """Add `library`."""
    parser = commands.add_parser(
        "library",
        help="genres for a film library of Kodi, Jellyfin or Plex",
        description="Reads posters and NFO files. Only write --apply, clean --apply and undo change files.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    scan = _add_action(actions, "scan", _scan, "list the films and what each lacks")
    _add_forms(
        scan, "film, title, year, poster, nfo, genres, missing, locked_by, ids, outside, unclear, web_address, fault"
    )
    suggest = _add_action(
        actions, "suggest", _suggest, "list films without genres, and films that lack a predicted genre"
    )
    _add_forms(suggest, "film, title, year, reason, poster, nfo, genres, suggested, and one per genre")
    _add_suggesting(suggest)
    write = _add_action(
        actions,
        "write",
        _write,
        "write genres to NFO files, or to a file for Kometa; without --apply, show the changes",
    )
    policy = write.add_mutually_exclusive_group()
    for name, help_text in POLICIES.items():
        policy.add_argument(f"--{name}", dest="policy", action="store_const", const=name, help=help_text)
    write.add_argument("--apply", action="store_true", help="write the changes; without it they are only shown")
    write.add_argument(
        "--create-nfo",
        action="store_true",
        help="make an NFO (title, year, genres) where there is none; Kodi then reads no web site for the film",
    )
    write.add_argument(
        "--even-locked", action="store_true", help="also change genres that lockdata or lockedfields lock"
    )
    write.add_argument(
        "--lock",
        action="store_true",
        help="lock the written genres in Jellyfin: add Genres to lockedfields",
    )
    write.add_argument("--kometa", metavar="FILE", help="write a metadata file for Kometa (YAML) instead of NFO files")
    _add_suggesting(write)
    write.set_defaults(policy="only-missing")
    clean = _add_action(
        actions, "clean", _clean, "unify the spellings of genres and apply a genre map, without a prediction"
    )
    clean.add_argument("--apply", action="store_true", help="write the changes; without it they are only shown")
    clean.add_argument(
        "--even-locked", action="store_true", help="also change genres that lockdata or lockedfields lock"
    )
    _add_genre_map(clean)
    undo = _add_action(actions, "undo", _undo, "undo the last write, byte for byte; run it again for the write before")
    for action in (write, clean):
        action.add_argument("--kodi", metavar="URL", help="have Kodi read what was written; KODI_USER, KODI_PASSWORD")
        action.add_argument("--jellyfin", metavar="URL", help="have Jellyfin read what was written; JELLYFIN_API_KEY")
    for action in (write, clean, undo):
        action.add_argument(
            "--backups", metavar="FOLDER", help="folder for the backups (default: .onesheet-backup in the library)"
        )
    for action in (scan, suggest, write, clean):
        action.add_argument(
            "--kind",
            choices=("movies", "shows"),
            default="movies",
            help="films, or TV shows by tvshow.nfo (default: movies)",
        )
        action.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="PATTERN",
            help="pattern of names or paths to leave out; repeatable",
        )


def _add_action(actions: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    description = (
        f"{help_text[0].upper()}{help_text[1:]}. What cannot be read or written is listed at the end (exit code 1)."
    )
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=help_text, description=description, allow_abbrev=False
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of the library")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--verbose", action="store_true", help="list what is left out, and why")
    amount.add_argument("--quiet", action="store_true", help="print one summary line, and errors")
    parser.set_defaults(run=run)
    return parser


def _add_forms(parser: argparse.ArgumentParser, columns: str) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument("--csv", action="store_true", help=f"CSV with the columns {columns}")


def _add_suggesting(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_point(parser, default="precise")
    parser.add_argument("--max-genres", type=positive, metavar="N", help="at most N genres per film")
    parser.add_argument(
        "--at-least", type=_share, default=0.0, metavar="P", help="only genres of at least this probability, 0 to 1"
    )
    _add_genre_map(parser)
    add_threads(parser)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1; got {text!r}")
    return value


def _add_genre_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--genre-map",
        metavar="FILE",
        help="genre names to replace, and the new names (CSV, TSV, JSON or TOML; '' drops a genre)",
    )


def _scan(arguments: argparse.Namespace) -> int:
    from onesheet.data.film_library import scan_library, unreadable_posters

    with Console() as console:
        library = scan_library(
            arguments.folder, kind=arguments.kind, exclude=arguments.exclude, progress=console.progress
        )
        posters = unreadable_posters(library.films, progress=console.progress)
    counts = [
        f"{sum(name in film.missing for film in library.films):,} without {word}"
        for name, word in (("poster", "poster"), ("nfo", "NFO"), ("genres", "genres"))
    ]
    word = "film" if arguments.kind == "movies" else "show"
    summary = f"{len(library.films):,} {word}{'' if len(library.films) == 1 else 's'}: {', '.join(counts)}"
    if arguments.quiet:
        print(summary)
    elif arguments.json:
        for film in library.films:
            print(json.dumps(film.to_dict()))
    elif arguments.csv:
        _print_csv([film.to_dict() for film in library.films])
    else:
        rows = [[shown(film.name), film.year or "", *_cells(film)] for film in library.films]
        print_table("", ["film", "year", "poster", "NFO", "genres"], rows)
        print(summary)
    _print_left_out(arguments, library)
    return _print_list(UNREAD, [*_lines(library.unread), *(remark.why for remark in posters)])


def _print_left_out(arguments: argparse.Namespace, library: Library) -> None:
    """Print how many files and folders were left out, by reason; with --verbose, which."""
    if arguments.quiet:
        return
    for why, count in library.left_out_counts.items():
        print(f"left out ({count:,}): {why}", file=sys.stderr)
        if arguments.verbose:
            for remark in library.left_out:
                if remark.why == why:
                    print(f"  {shown(str(remark.path))}", file=sys.stderr)


def _cells(film: LibraryFilm) -> list[str]:
    """The poster, NFO and genres of a film, for a table."""
    nfo, genres = film.nfo.name if film.nfo else "-", ", ".join(film.genres) or "-"
    return [
        shown(film.poster.name if film.poster else "unclear" if film.unclear else "-"),
        "unusable" if film.fault else shown(f"{nfo} (web address)" if film.web_address else nfo),
        shown(f"{genres} (locked)" if film.lock else genres),
    ]


def _suggest(arguments: argparse.Namespace) -> int:
    with Console() as console:
        suggestions = _Suggestions(arguments, console)
        found = sorted(
            (one for one in suggestions if one.reason),
            key=lambda one: (one.reason != "missing", -max(one.added.values(), default=0)),
        )
    if arguments.json:
        for one in found:
            print(json.dumps(one.to_dict()))
    elif arguments.csv:
        _print_csv([_row(one) for one in found])
    elif not found:
        print(f"films: {suggestions.films:,}; none lacks a predicted genre")
    else:
        table = [
            [shown(one.film.name), one.reason, _percent(one.existing), _percent(one.added) or "(none is sure enough)"]
            for one in found
        ]
        print_table("", ["film", "genres", "has", "predicted besides"], table)
    return suggestions.print_problems()


def _row(one: Suggestion) -> dict[str, Any]:
    """One row of CSV."""
    row = one.to_dict() | {"genres": list(one.existing), "suggested": list(one.added)}
    del row["probabilities"]
    return row | dict(sorted(one.probabilities.items()))


def _percent(genres: Any) -> str:
    return ", ".join(shown(name) if value is None else f"{shown(name)} {value:.0%}" for name, value in genres.items())


class _Suggestions:
    """The suggestions for a library, predicted while iterating."""

    def __init__(self, arguments: argparse.Namespace, console: Console) -> None:
        from onesheet.data.film_library import scan_library
        from onesheet.predict import load

        self._library = scan_library(
            arguments.folder, kind=arguments.kind, exclude=arguments.exclude, progress=console.progress
        )
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
            most=self._arguments.max_genres,
            at_least=self._arguments.at_least,
            progress=self._console.progress,
        ):
            if isinstance(answer, Failure):
                self._failures.append(answer.error)
            else:
                if answer.reason == "missing" and not answer.added:
                    self._unsure.append(answer.film.name)
                yield answer

    def map_needed(self) -> bool:
        """Whether a genre map is needed before anything is written; if so, a draft is written."""
        from onesheet.apps.library.suggesting import draft_genre_map
        from onesheet.files import write_text

        arguments = self._arguments
        if not arguments.apply or arguments.genre_map or arguments.policy == "only-missing":
            return False
        draft = draft_genre_map(self._library.films, self._predictor.genres.names)
        if draft is None:
            return False
        if not os.path.lexists(MAP_FILE):
            write_text(MAP_FILE, draft, cure="change to another folder")
        print(
            f"nothing was written: many films have only genres that the model does not know; edit {MAP_FILE}, "
            f"then add: --genre-map {MAP_FILE}",
            file=sys.stderr,
        )
        return True

    @property
    def films(self) -> int:
        """Number of films in the library."""
        return len(self._library.films)

    def print_problems(self) -> int:
        """Print what was left out, unreadable or without poster, after the last suggestion; 1 if something was."""
        _print_left_out(self._arguments, self._library)
        no_poster = [
            f"{film.name} (several videos beside {', '.join(film.unclear)})" if film.unclear else film.name
            for film in self._library.films
            if {"poster", "genres"} <= set(film.missing)
        ]
        unread = _print_list(UNREAD, [*_lines(self._library.unread), *self._failures])
        return max(unread, _print_list("without genres and without a poster", no_poster))

    def print_all_problems(self) -> int:
        """The same, and the films for which no genre is sure enough."""
        unsure = _print_list(f"without genres, as none is sure enough at {self._arguments.at}", self._unsure)
        return max(unsure, self.print_problems())


def _write(arguments: argparse.Namespace) -> int:
    from onesheet.apps.library.changes import plan_changes

    if arguments.kometa:
        return _write_kometa(arguments)
    with Console() as console:
        suggestions = _Suggestions(arguments, console)
        if suggestions.map_needed():
            return MAP_NEEDED
        steps = plan_changes(
            suggestions,
            policy=arguments.policy,
            locked=arguments.even_locked,
            create=arguments.create_nfo,
            lock=arguments.lock,
        )
        skipped = _carry_out(arguments, steps)
    return max(suggestions.print_all_problems(), _print_list("skipped", skipped))


def _clean(arguments: argparse.Namespace) -> int:
    from onesheet.apps.library.changes import plan_clean
    from onesheet.data.film_library import scan_library

    with Console() as console:
        library = scan_library(
            arguments.folder, kind=arguments.kind, exclude=arguments.exclude, progress=console.progress
        )
        steps = plan_clean(library.films, genre_map=arguments.genre_map, locked=arguments.even_locked)
        skipped = _carry_out(arguments, steps)
    _print_left_out(arguments, library)
    return max(_print_list(UNREAD, _lines(library.unread)), _print_list("skipped", skipped))


def _carry_out(arguments: argparse.Namespace, steps: Iterable[Change | Skipped]) -> list[str]:
    """Write the changes, or only show them; returns the skipped films, and why."""
    from onesheet.apps.library.backups import apply_changes
    from onesheet.apps.library.changes import Change

    diffs: list[list[str]] = []
    skipped: list[str] = []
    written: list[str] = []
    try:
        for step in apply_changes(arguments.folder, steps, backups=arguments.backups) if arguments.apply else steps:
            if isinstance(step, Change):
                diffs.append([] if arguments.quiet else list(step.diff()))
                written.append(step.film.name)
            else:
                skipped.append(f"{step.film.name}: {step.why}")
    except BaseException:
        if arguments.apply and diffs:
            _print_changes(arguments, diffs)
        raise
    _print_changes(arguments, diffs)
    return skipped + _refresh(arguments, written)


def _refresh(arguments: argparse.Namespace, written: list[str]) -> list[str]:
    """Have players read what was written; returns the films that they do not have."""
    from onesheet.apps.library.players import refresh_jellyfin, refresh_kodi

    missing = []
    for player, url, refresh in (
        ("Kodi", arguments.kodi, refresh_kodi),
        ("Jellyfin", arguments.jellyfin, refresh_jellyfin),
    ):
        if arguments.apply and url and written:
            missing += [f"{film}: not refreshed, as {player} does not have it" for film in refresh(url, written)]
    return missing


def _print_changes(arguments: argparse.Namespace, diffs: list[list[str]]) -> None:
    """Print what was or would be changed, and how to undo it."""
    for line in itertools.chain.from_iterable(diffs):
        print(shown(line.expandtabs()))
    if arguments.apply:
        elsewhere = ["--backups", arguments.backups] if arguments.backups else []
        undo = shlex.join(["onesheet", "library", "undo", arguments.folder, *elsewhere])
        cure = f"undo with: {undo}" if diffs else "nothing to change"
        print(f"NFO files written: {len(diffs):,}; {cure}", file=sys.stderr)
    else:
        print(f"NFO files that would change: {len(diffs):,}; pass --apply to write them", file=sys.stderr)


def _write_kometa(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from onesheet.apps.library.kometa import kometa_metadata
    from onesheet.files import write_text

    path = Path(arguments.kometa)
    if arguments.create_nfo or arguments.even_locked or arguments.lock:
        raise ConfigError("--kometa changes no NFO file; leave out --create-nfo, --even-locked and --lock")
    if path.exists():
        raise ConfigError(f"{str(path)!r} exists already and may contain your own lines; pass another file to --kometa")
    with Console() as console:
        suggestions = _Suggestions(arguments, console)
        if suggestions.map_needed():
            return MAP_NEEDED
        text = kometa_metadata(suggestions, policy=arguments.policy)
    if arguments.apply:
        write_text(path, text, cure="pass another file to --kometa")
        print(f"wrote {path}; add it to metadata_files of the Kometa library", file=sys.stderr)
    else:
        print(text, end="")
        print(f"{path} would contain this; pass --apply to write it", file=sys.stderr)
    return suggestions.print_all_problems()


def _undo(arguments: argparse.Namespace) -> int:
    from onesheet.apps.library.backups import undo_write

    undone = undo_write(arguments.folder, backups=arguments.backups)
    print(f"files restored: {len(undone.restored):,}; the backups stay in {undone.folder}")
    return _print_list("skipped", _lines(undone.skipped))


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys; a list becomes "A|B"."""
    if not rows:
        return
    writer = Writer(sys.stdout)
    writer.write(rows[0])
    writer.write_all(["|".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows)


def _lines(remarks: Iterable[Remark]) -> list[str]:
    return [f"{remark.path}: {remark.why}" for remark in remarks]


def _print_list(what: str, lines: Iterable[str]) -> int:
    lines = list(lines)
    if lines:
        print(f"{len(lines):,} {what}:", file=sys.stderr)
    for line in lines:
        print(f"  {shown(line)}", file=sys.stderr)
    return 1 if lines else 0
