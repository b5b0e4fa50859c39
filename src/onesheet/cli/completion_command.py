"""`onesheet completion`: the script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from onesheet.errors import require

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_commands(commands: Any) -> None:
    """Add `completion`."""
    parser = commands.add_parser(
        "completion",
        help="a script that completes this command in a shell",
        description="Print the script that completes onesheet's commands and options. In bash: "
        'eval "$(onesheet completion bash)", once or in ~/.bashrc.',
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    shtab = require("shtab", purpose="completion", extra="completion")
    for action in _actions(arguments.root):
        if action.nargs != 0 and not action.choices and action.type is None:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(arguments.root, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of every command."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
