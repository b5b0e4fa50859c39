"""Progress of long steps: a callable, so that the library itself never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long steps, from the calling thread, with the work done so far."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Report progress.

        Args:
            task: what is being done ("audit", "pack", "fit"); a new name starts a new bar.
            done: units finished, 0..total.
            total: units in all.
            note: text shown beside the bar.
        """


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """The default: report nothing."""
