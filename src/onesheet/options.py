"""Options: declared once, as a dataclass's fields; checks, configuration files, `--help` and docs are made from them.

A new option is one line in its dataclass::

    cutmix: float = option(0.0, "share of the batches mixed by CutMix", group="augmentation", bounds=(0, 1))
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError

GROUPS = ("catalogue", "audit and split", "model", "optimisation", "augmentation", "output")

# The types an option may have: the type of its value (or of a list's items), and what a person calls it.
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text in quotes"),
    "tuple[int, ...]": (int, "a list of whole numbers"),
    "tuple[int, int]": (int, "two whole numbers, [height, width]"),
    "tuple[str, ...]": (str, "a list of texts"),
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: of the field, and the key in a configuration file.
        kind: its type without None, as text: a key of `_KINDS`.
        default: its default; None where `unset` says what is used.
        help: what it does, without default and range.
        group: one of `GROUPS`.
        choices: the values allowed; () = any.
        bounds: lowest and highest value, of each item where it is a list; None = any.
        unset: what is used where the default is None.
        common: shown by `--help`; the others by `--help-all`.
        separate: given on the command line once for each item, as a path may contain commas.
        formerly: names it had; a configuration file that has one is rejected with the new name.
    """

    name: str
    kind: str
    default: Any
    help: str
    group: str
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    unset: str = ""
    common: bool = False
    separate: bool = False
    formerly: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def value(self) -> str:
        """What its value is, for a person: "a whole number"."""
        return f"one of {', '.join(self.choices)}" if self.choices else _KINDS[self.kind][1]

    @property
    def range(self) -> str:
        """The numbers allowed, "0 to 0.95"; "" where any is."""
        return f"{self.bounds[0]:g} to {self.bounds[1]:g}" if self.bounds else ""

    @property
    def shown_default(self) -> str:
        """The default as `--help` and the docs show it; "" where there is nothing to show."""
        if self.kind == "bool":
            return "on" if self.default else "off"
        return self.unset if self.default in (None, ()) else str(self.default)

    def check(self, value: Any, *, name: str = "") -> Any:
        """A value, as a tuple where it is a list.

        Args:
            value: the value; a list passes for a tuple, a whole number for a number.
            name: what the error calls the option; "" = its flag.

        Raises:
            ConfigError: of another type, out of range, or not one of the choices.
        """
        requirement = self._requirement(value)
        if requirement:
            raise ConfigError(f"{name or f'the {self.flag} option'} must be {requirement}; got {value!r}")
        return tuple(value) if isinstance(value, list) else value

    def _requirement(self, value: Any) -> str:
        """What a value should be and is not; "" where it may be used."""
        kind, in_words = _KINDS[self.kind]
        items = value if self.kind.startswith("tuple") else [value]
        if not isinstance(items, list | tuple) or not all(
            isinstance(item, kind) and (self.kind == "bool" or not isinstance(item, bool)) for item in items
        ):
            return in_words
        if self.kind == "tuple[int, int]" and len(items) != 2:
            return in_words
        if self.bounds and not all(self.bounds[0] <= item <= self.bounds[1] and math.isfinite(item) for item in items):
            return f"between {self.bounds[0]:g} and {self.bounds[1]:g}"
        if self.choices and not all(item in self.choices for item in items):
            return f"one of {', '.join(self.choices)}"
        return ""


def option(default: Any, help: str, *, group: str, **declared: Any) -> Any:
    """A dataclass's field that is an option.

    Args:
        default: its default; None = as `unset` says.
        help: what it does; default and range are added where it is shown.
        group: one of `GROUPS`.
        declared: further attributes of `Option`.
    """
    return field(default=default, metadata={"help": help, "group": group, **declared})


def options_of(*classes: Any) -> dict[str, Option]:
    """Name -> option of dataclasses whose fields are made by `option`; fields of another making are left out."""
    return {
        item.name: Option(
            name=item.name, kind=str(item.type).removesuffix(" | None"), default=item.default, **item.metadata
        )
        for kind in classes
        for item in fields(kind)
        if "help" in item.metadata
    }


def check_options(choices: Any) -> None:
    """Check every option of a frozen dataclass's instance, and make its lists tuples.

    Raises:
        ConfigError: a value of another type, out of range, or not one of the choices.
    """
    for name, declared in options_of(type(choices)).items():
        value = getattr(choices, name)
        if value is not None or declared.default is not None:
            object.__setattr__(choices, name, declared.check(value))


def read_config(path: str | Path, known: Mapping[str, Option], *, removed: Iterable[str] = ()) -> dict[str, Any]:
    """Read a flat TOML file of options.

    Args:
        path: the file.
        known: the options it may contain, by name.
        removed: names of options that are no more.

    Raises:
        ConfigError: not there, not TOML, an unknown key, or a value that its option does not take.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"configuration {str(path)!r} is not TOML: {error}") from error
    for key in values:
        if key in removed:
            raise ConfigError(f"key {key!r} in configuration {str(path)!r} is no option any more; leave it out")
        if key not in known:
            raise ConfigError(f"unknown key {key!r} in configuration {str(path)!r}; {_cure(key, known)}")
    return {key: known[key].check(value, name=f"{key} in {str(path)!r}") for key, value in values.items()}


def check_names(values: Iterable[str], known: Mapping[str, Option]) -> None:
    """Every name is an option's.

    Raises:
        ConfigError: one is not; with the nearest one that is.
    """
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}; {_cure(name, known)}")


def _cure(key: str, known: Mapping[str, Option]) -> str:
    """The new name of an old key, else the nearest name, else all of them."""
    for declared in known.values():
        if key in declared.formerly:
            return f"its name is {declared.name!r} now"
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"


def to_toml(values: Mapping[str, Any]) -> str:
    """Flat TOML text of strings, numbers, booleans and lists; None left out.

    Raises:
        ConfigError: a text that cannot be written as UTF-8.
    """
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items() if value is not None)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(f"{text!r} has bytes that are not UTF-8 and cannot be written to a configuration; rename it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def plain_values(choices: Any, names: Iterable[str]) -> dict[str, Any]:
    """The named attributes as TOML and JSON know them: lists for tuples, None left out."""
    values = {name: getattr(choices, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }
