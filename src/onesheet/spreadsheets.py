"""The one CSV writer: text that a spreadsheet would run, such as =HYPERLINK(…), is written so that it does not."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO, TypeVar

Cell = TypeVar("Cell")
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a formula of a cell (OWASP, "CSV Injection"), the wide forms too."""


def neutral(cell: Cell) -> Cell | str:
    """A cell as it is written: text that would be a formula gets an apostrophe in front; numbers stay numbers.

    Example:
        >>> neutral("=1+1"), neutral("Heat"), neutral(-0.5)
        ("'=1+1", 'Heat', -0.5)
    """
    return f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell


def original(cell: str) -> str:
    """A cell as it was before `neutral`.

    Example:
        >>> original("'=1+1"), original("'Til There Was You")
        ('=1+1', "'Til There Was You")
    """
    return cell[1:] if cell[:1] == "'" and _is_formula(cell) else cell


def _is_formula(cell: str) -> bool:
    """Also after apostrophes, so that every cell can be had back."""
    return cell.lstrip("'").startswith(_BEGINNINGS)


class Writer:
    """Writes rows as CSV, their cells neutral, to a file opened with newline="" or to standard output."""

    def __init__(self, file: IO[str]) -> None:
        self._plain = csv.writer(file, lineterminator="\n")
        self._quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, row: Iterable[object]) -> None:
        """Write one row; None becomes an empty cell."""
        cells = [neutral(cell) for cell in row]
        ends_a_line = any(isinstance(cell, str) and "\r" in cell for cell in cells)  # to others, where it is not quoted
        (self._quoted if ends_a_line else self._plain).writerow(cells)

    def write_all(self, rows: Iterable[Iterable[object]]) -> None:
        """Write many rows."""
        for row in rows:
            self.write(row)
