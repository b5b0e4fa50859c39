"""Progress of long steps: a callable. By default a terminal or a notebook shows one line, anything else nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

BETWEEN = 0.5  # seconds between two changes of the line
WIDTH = 79  # a longer line would wrap, and then not change in place


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
    """Report nothing."""


class _Shown:
    """A `Progress`: a line that changes in place, where a person looks."""

    def __init__(self) -> None:
        self._task = ""
        self._begun = self._last = 0.0
        self._before = 0
        self._handle: Any = None  # of the notebook's line

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if new := task != self._task or done < self._before:
            self._task, self._begun, self._handle = task, now, None
        self._before = done
        if not new and done < total and now - self._last < BETWEEN:
            return
        self._last = now
        left = (now - self._begun) * (total - done) / done if 0 < done < total else 0
        rest = f", {in_words(left)} left" if left >= 1 else ""
        line = f"{task}: {done:,} of {total:,}{rest}{'  ' + note if note else ''}"
        if hasattr(sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None, "kernel"):
            self._in_notebook(line)
        elif sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line[:WIDTH]}" + ("\n" if done >= total else ""))
            sys.stderr.flush()

    def _in_notebook(self, line: str) -> None:
        from IPython.display import display

        content = {"text/plain": line}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)


shown: Progress = _Shown()
"""The default of the library's long functions; pass `silent` to see nothing."""


def in_words(seconds: float) -> str:
    """A length of time, as exactly as a guess may be.

    Example:
        >>> in_words(40), in_words(400), in_words(40_000)
        ('40 s', '7 min', '11.1 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
