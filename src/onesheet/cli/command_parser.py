"""The parser of every command: help in groups, errors in one line with the nearest right option."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

HELP_ALL = "--help-all"


class Help(argparse.HelpFormatter):
    """Help that shows the common options; the usage line names only what a call must have."""

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, max_help_position=26, **settings)

    def add_argument(self, action: argparse.Action) -> None:
        """Leave a rare option to `--help-all`."""
        if not is_rare(action):
            super().add_argument(action)

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Iterable[Any], prefix: str | None = None
    ) -> None:
        """Required options, then [options], then positional arguments."""
        actions = list(actions)
        needed = [action for action in actions if action.required or not action.option_strings]
        if len(needed) < len(actions):
            needed.insert(0, argparse.Action([], "options", metavar="[options]"))
        super().add_usage(usage, needed, [group for group in groups if group.required], prefix)


class FullHelp(Help):
    """Help that shows every option."""

    def add_argument(self, action: argparse.Action) -> None:
        """Leave nothing out."""
        argparse.HelpFormatter.add_argument(self, action)


class HelpAll(argparse.Action):
    """`--help-all`: print help with every option and leave."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print and leave."""
        parser.formatter_class, parser.epilog = FullHelp, None
        parser.print_help()
        parser.exit()


def hide(parser: argparse.ArgumentParser, rare: Iterable[argparse.Action]) -> None:
    """Show some options of a command by `--help-all` only."""
    for action in rare:
        action.rare = True  # type: ignore[attr-defined]
    parser.add_argument(HELP_ALL, action=HelpAll, nargs=0, help="show every option and exit")
    parser.epilog = f"These are the common options. All of them: {parser.prog} {HELP_ALL}"


def is_rare(action: argparse.Action) -> bool:
    """Whether `--help` leaves an option out."""
    return getattr(action, "rare", False)


class Parser(argparse.ArgumentParser):
    """Reports what is wrong with the arguments in one line, with the nearest right option."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": Help, "allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Reject unknown arguments here, where the command's own options are known."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Print the line and leave with status 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        near, takes = [], []
        if choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(choice[1], re.findall(r"[^', ]+", choice[2]), n=1, cutoff=0.75)
        elif unknown != message:
            word = unknown.split("=")[0].split(" ")[0]
            near = difflib.get_close_matches(word, self._option_string_actions, n=1, cutoff=0.75)
            if not word.startswith("-"):
                takes = [str(each.metavar) for each in self._positionals._group_actions if each.nargs is None]
        if near:
            cure = f"did you mean {near[0]}?"
        elif takes:
            cure = f"{self.prog} takes one {' and one '.join(takes)} at a time"
        else:
            cure = f"see: {self.prog} --help"
        self.exit(print_error(f"{message}; {cure}"))


def print_error(message: str) -> int:
    """Print an error as one line.

    Returns:
        2, the exit status.
    """
    print(f"onesheet: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
