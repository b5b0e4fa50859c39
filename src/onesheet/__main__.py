"""The `onesheet` command: its parser, and the one place where errors are caught."""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from onesheet.apps.batch import batch_command
from onesheet.apps.fetch import fetch_command
from onesheet.apps.library import library_command
from onesheet.apps.review import review_command
from onesheet.apps.serving import serve_command
from onesheet.cli import (
    adopt_command,
    compare_command,
    completion_command,
    doctor_command,
    evaluate_command,
    explain_command,
    predict_command,
    similar_command,
    step_commands,
    train_command,
)
from onesheet.errors import Interrupted, OnesheetError, install
from onesheet.speed.thread_policy import let_waiting_threads_sleep


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, with the nearest right option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here, where the command's own options are known."""
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
        self.exit(_fail(f"{message}; {cure}"))


class Version(argparse.Action):
    """As argparse's own, but that the package's metadata are read only when they are asked for: that takes 26 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print the version and leave."""
        from onesheet import __version__

        print(f"onesheet {__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="onesheet",
        description="Predict a film's genres from its poster: train, calibrate, evaluate, ship one file.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    predict_command.add_command(commands)
    batch_command.add_command(commands)
    explain_command.add_command(commands)
    similar_command.add_command(commands)
    fetch_command.add_command(commands)
    train_command.add_commands(commands)
    step_commands.add_commands(commands)
    evaluate_command.add_command(commands)
    adopt_command.add_command(commands)
    compare_command.add_command(commands)
    serve_command.add_command(commands)
    review_command.add_command(commands)
    library_command.add_command(commands)
    doctor_command.add_command(commands)
    completion_command.add_command(commands, parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 = done; 1 = done, but some posters were unreadable; 2 = an error, said in one line; 130 = interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are no letters
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module="PIL")  # what matters about a poster becomes a finding or a failure
    arguments = build_parser().parse_args(argv)
    try:
        let_waiting_threads_sleep()  # torch reads the policy as it loads
        return int(arguments.run(arguments))
    except Interrupted as error:
        _fail(str(error))
        return 130
    except OnesheetError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader went away: not an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _fail("interrupted; start again with the same command, and --resume if it has left a run")
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "onesheet":
            raise
        return _fail(f"this command needs {error.name}; {install('train')}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail("disk full; free some space and run it again (with --resume where there is one)")
        return _fail(f"{error.strerror or error}: {error.filename!r}" if error.filename else str(error))


def _fail(message: str) -> int:
    line = " ".join(message.split())
    print(f"onesheet: error: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
