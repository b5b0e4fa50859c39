"""Adopting: image classifiers trained elsewhere become our one model file. Importing it costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onesheet.adopting.adoption import adopt
    from onesheet.adopting.conventions import Conventions, read_genres

__all__ = ["Conventions", "adopt", "read_genres"]

_HOMES = {"Conventions": "conventions", "read_genres": "conventions", "adopt": "adoption"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'onesheet.adopting' has no attribute {name!r}")
    return getattr(import_module(f"onesheet.adopting.{_HOMES[name]}"), name)
