"""Adopting: image classifiers trained elsewhere become our one model file. Importing it costs nothing."""

from typing import TYPE_CHECKING

from onesheet.lazy import first_use

if TYPE_CHECKING:
    from onesheet.adopting.adoption import adopt
    from onesheet.adopting.conventions import Conventions, read_genres

__all__ = ["Conventions", "adopt", "read_genres"]

__getattr__, __dir__ = first_use(
    __name__, {"Conventions": "conventions", "read_genres": "conventions", "adopt": "adoption"}
)
