"""Options, declared once as fields of `Recipe`: to argparse and back."""

from __future__ import annotations

import argparse
from dataclasses import Field, fields
from typing import Any

from onesheet.errors import ConfigError
from onesheet.training.config import Recipe, TrainConfig, fits, flag, in_words, read_config

CATALOGUE = ("posters", "poster_column", "id_column", "genre_column", "genre_map", "min_films")
AUDIT = ("keep", "threads")
SPLIT = ("split", "validation", "test", "seed")
PACK = ("size", "resize", "threads")
FIT = tuple(item.name for item in fields(TrainConfig))
EXPORT = ("precision", "precision_target", "recall_target")
EVALUATE = ("draws", "threads")


def add_options(parser: argparse.ArgumentParser, *names: str, **helps: str) -> None:
    """Add the named fields of `Recipe` as options, and `--config`; `helps` are sentences for this command alone."""
    known = {item.name: item for item in fields(Recipe)}
    for name in dict.fromkeys(names):
        _add(parser, known[name], helps.get(name))
    parser.add_argument("--config", metavar="FILE.toml", help="file of options; those given here win")


def add_catalogue(parser: argparse.ArgumentParser) -> None:
    """Add the catalogues that a command reads."""
    parser.add_argument(
        "catalogue", nargs="*", default=argparse.SUPPRESS, help="tables or folders of posters and genres"
    )


def recipe_from(arguments: argparse.Namespace, **defaults: Any) -> Recipe:
    """The options given, over those of `--config`, over this command's `defaults`, over the recipe's.

    Raises:
        ConfigError: an unknown key or a value out of range.
    """
    known = {item.name: item for item in fields(Recipe)}
    values: dict[str, Any] = dict(defaults)
    if arguments.config:
        for name, value in read_config(arguments.config, known).items():
            values[name] = _checked(known[name], value, arguments.config)
    given = vars(arguments)
    values |= {name: given[name] for name in known if name in given and given[name] != []}
    return Recipe(**values)


def _add(parser: argparse.ArgumentParser, item: Field[Any], own_help: str | None) -> None:
    help_text = own_help or item.metadata["help"]
    kind = str(item.type)
    if not own_help and item.default is not None and item.default != ():
        shown = ("on" if item.default else "off") if kind == "bool" else item.default
        help_text += f" (default: {shown})"
    if kind == "bool":
        parser.add_argument(
            flag(item.name), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help_text
        )
        return
    if item.name in ("posters", "split"):  # may be given several times; a path may hold commas
        parser.add_argument(flag(item.name), action="append", default=argparse.SUPPRESS, metavar="PATH", help=help_text)
        return
    parser.add_argument(
        flag(item.name),
        type=_parser_of(item),
        default=argparse.SUPPRESS,
        choices=item.metadata["choices"] or None,
        metavar=None if item.metadata["choices"] else item.name.rsplit("_", 1)[-1].upper(),
        help=help_text,
    )


def _parser_of(item: Field[Any]) -> Any:
    kind = str(item.type).removesuffix(" | None")
    if item.name == "size":
        return parse_size
    if kind == "tuple[int, ...]":
        return _integers
    if kind == "tuple[str, ...]":
        return _words
    return {"int": int, "float": float}.get(kind, str)


def parse_size(text: str) -> tuple[int, int]:
    """ "224x160" -> (224, 160), H×W in pixels."""
    height, _, width = text.lower().replace("×", "x").partition("x")
    try:
        size = int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH in pixels, such as 224x160; got {text!r}") from None
    if not all(16 <= side <= 2048 for side in size):
        raise argparse.ArgumentTypeError(f"each side must be between 16 and 2048 pixels; got {text!r}")
    return size


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"whole numbers separated by commas are wanted; got {text!r}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _checked(item: Field[Any], value: Any, path: str) -> Any:
    """A value from TOML, if it is of the field's type.

    Raises:
        ConfigError: it is not.
    """
    if not fits(item, value):
        raise ConfigError(f"{item.name} in {path!r} must be {in_words(item)}; got {value!r}")
    return tuple(value) if isinstance(value, list) else value
