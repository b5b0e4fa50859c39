"""The recipe's options as command-line arguments, and back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from onesheet.cli.command_parser import hide
from onesheet.options import GROUPS, Option, options_of, read_config
from onesheet.pipeline.recipe import OPTIONS, REMOVED, Recipe
from onesheet.training.config import TrainConfig

CATALOGUE = (
    *("posters", "poster_column", "genre_column", "genre_delimiter", "genres", "id_column", "genre_map", "min_films"),
)
AUDIT = ("keep", "threads")
SPLIT = ("split", "resplit", "validation", "test", "seed")
PACK = ("size", "resize", "threads")
FIT = tuple(options_of(TrainConfig))
EXPORT = ("precision", "precision_target", "recall_target")
EVALUATE = ("draws", "threads")


def add_options(parser: argparse.ArgumentParser, *names: str, short: bool = False, **helps: str) -> None:
    """Add options of the recipe, in their groups, common ones first; and `--config`.

    Args:
        parser: of the command.
        names: of the options; a repeated one counts once.
        short: whether `--help` shows the common options only.
        helps: name -> what the option means in this command, default included.
    """
    parser.add_argument("--config", metavar="FILE.toml", help="file of options; those of the command line win")
    rare = []
    for title in GROUPS:
        chosen = [one for name, one in OPTIONS.items() if name in names and one.group == title]
        if chosen:
            group = parser.add_argument_group(title)
            for one in sorted(chosen, key=lambda one: not one.common):
                action = _add(group, one, helps.get(one.name))
                rare += [] if one.common else [action]
    if short:
        hide(parser, rare)


def add_catalogue(parser: argparse.ArgumentParser) -> None:
    """Add the catalogues that a command reads."""
    parser.add_argument(
        "catalogue", metavar="CATALOGUE", nargs="*", default=argparse.SUPPRESS, help=OPTIONS["catalogue"].help
    )


def recipe_from(arguments: argparse.Namespace, **defaults: Any) -> Recipe:
    """The recipe of a command line.

    Args:
        arguments: parsed; their options win over those of `--config`.
        defaults: values over which both win.

    Raises:
        ConfigError: an unknown key or a value out of range.
    """
    values = dict(defaults)
    if arguments.config:
        values |= read_config(arguments.config, OPTIONS, removed=REMOVED)
    given = vars(arguments)
    return Recipe.of(values | {name: given[name] for name in OPTIONS if name in given and given[name] != []})


def _add(group: Any, option: Option, own_help: str | None) -> argparse.Action:
    shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": (own_help or _help(option)).replace("%", "%%")}
    if option.kind == "bool":
        shared["action"] = argparse.BooleanOptionalAction
    elif option.separate:
        shared |= {"action": "append", "metavar": "PATH"}
    elif option.choices:
        shared["choices"] = option.choices
    else:
        parse, metavar = PARSERS[option.kind]
        shared |= {"type": parse, "metavar": metavar or option.name.rsplit("_", 1)[-1].upper()}
    action: argparse.Action = group.add_argument(option.flag, **shared)
    return action


def _help(option: Option) -> str:
    """What an option does, its range and its default."""
    known = [option.range] if option.kind == "float" else []
    known += [f"default: {option.shown_default}"] if option.shown_default else []
    return f"{option.help} ({'; '.join(known)})" if known else option.help


def parse_size(text: str) -> tuple[int, int]:
    """ "224x160" -> (224, 160), H×W in pixels."""
    height, _, width = text.lower().replace("×", "x").partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH in pixels, such as 224x160; got {text!r}") from None


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers separated by commas; got {text!r}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "int": (int, "N"),
    "float": (float, "X"),
    "str": (str, ""),
    "tuple[int, int]": (parse_size, "HxW"),
    "tuple[int, ...]": (_integers, "N,N"),
    "tuple[str, ...]": (_words, ""),
}
"""Kind of an option -> how its text is read, and the value's name in help; "" = the name's last word."""
