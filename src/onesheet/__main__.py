"""The `onesheet` command: its parser, and the one place where errors are caught."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
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
from onesheet.cli.command_parser import Parser, print_error
from onesheet.errors import Interrupted, OnesheetError, install
from onesheet.speed.thread_policy import let_waiting_threads_sleep

COMMANDS: dict[str, tuple[Any, ...]] = {
    "use a model": (predict_command, explain_command, similar_command, batch_command, serve_command),
    "train one": (
        train_command,
        fetch_command,
        step_commands,
        evaluate_command,
        compare_command,
        adopt_command,
        review_command,
    ),
    "film libraries": (library_command,),
    "machine": (doctor_command, completion_command),
}
"""Title in `onesheet --help` -> the modules that add its commands."""


class Version(argparse.Action):
    """As argparse's own, but that the package's metadata are read with the first use only: that takes a moment."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Print the version and leave."""
        from onesheet import __version__

        print(f"onesheet {__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="onesheet",
        usage="onesheet [options] COMMAND ...",
        description="Predict a film's genres from its poster: train, calibrate, evaluate, ship one file.",
        epilog="Help on a command: onesheet COMMAND --help",
        add_help=False,
    )
    commands = parser.add_subparsers(prog="onesheet", dest="command", required=True, metavar="COMMAND")
    parser._positionals._group_actions.clear()  # listed in groups instead, which argparse does not know for commands
    for title, modules in COMMANDS.items():
        group, before = parser.add_argument_group(title), len(commands._choices_actions)
        for module in modules:
            module.add_commands(commands)
        group._group_actions += commands._choices_actions[before:]
    parser.set_defaults(root=parser)  # what `completion` completes
    options = parser.add_argument_group("options")
    options.add_argument("-h", "--help", action="help", help="show this help and exit")
    options.add_argument("--version", action=Version, nargs=0, help="show the version and exit")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 = done; 1 = done, but some posters were unreadable; 2 = an error, reported in one line; 130 = interrupted.
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
        print_error(str(error))
        return 130
    except OnesheetError as error:
        return print_error(str(error))
    except BrokenPipeError:  # the reader went away: not an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print_error("interrupted; start again with the same command, and --resume if it has left a run")
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "onesheet":
            raise
        return print_error(f"this command needs {error.name}; {install('train')}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return print_error("disk full; free some space and run it again (with --resume where there is one)")
        return print_error(f"{error.strerror or error}: {error.filename!r}" if error.filename else str(error))


def run_command() -> NoReturn:
    """Run the command of the process's arguments, and end the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have its jobs ignore it
        signal.signal(signal.SIGINT, Interruption())
    try:
        status = main()
    except KeyboardInterrupt:  # while an error was printed
        status = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the interpreter's own end is left
    raise SystemExit(status)


class Interruption:
    """Handles Ctrl-C: the first raises KeyboardInterrupt, and those that follow within two seconds change nothing.

    A command that has not ended by then is stuck: the next one ends the process.
    """

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self, *_: object) -> None:
        """The signal's handler."""
        if self._first is None:
            self._first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._first > 2:
            os._exit(130)


if __name__ == "__main__":
    run_command()
