"""Choices as a file of flat TOML, and a run's choices compared with those it was started with; free of torch."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError, RunError


def read_config(path: str | Path, known: Iterable[str]) -> dict[str, Any]:
    """Read a flat TOML file of options.

    Args:
        path: the file.
        known: the keys that may stand in it.

    Raises:
        ConfigError: not there, not TOML, or with an unknown key.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"configuration {str(path)!r} is not TOML: {error}") from error
    known = list(known)
    for key in values:
        if key not in known:
            raise _unknown_key(key, known, where=f"configuration {str(path)!r}")
    return values


def _unknown_key(key: str, known: list[str], *, where: str) -> ConfigError:
    """The error for a key nobody knows, with the nearest right name."""
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1, cutoff=0.5)
    cure = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
    return ConfigError(f"unknown key {key!r} in {where}; {cure}")


def refuse_other_choices(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """A run goes on with the choices it was started with; the numbers of threads and processes may change.

    Raises:
        RunError: another choice differs.
    """
    for key in sorted((old.keys() | new.keys()) - {"threads", "devices", "nodes"}):
        if old.get(key) != new.get(key):
            raise RunError(
                f"the run in {str(folder)!r} was started with {key} = {old.get(key)!r}, not {new.get(key)!r}; "
                "resume it with that or choose another --out"
            )


def to_toml(values: Mapping[str, Any]) -> str:
    """Flat TOML text of strings, numbers, booleans and lists; None left out."""
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
        raise ConfigError(f"{text!r} has bytes that are no UTF-8 and cannot stand in a configuration; rename it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
