"""What a person sees: progress bars and notices on standard error, results on standard output."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from onesheet.progress import in_words

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

QUIET_SECONDS = 15  # between two lines of progress where there is no terminal


class Console:
    """Progress bars in a terminal; elsewhere a line every few seconds.

    Used as `with Console() as console: step(..., progress=console.progress); console.notify("done")`.
    """

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        self._begun: dict[str, tuple[float, int]] = {}  # when a task was first reported, and how far it was

    def __enter__(self) -> Console:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console as RichConsole
            from rich.table import Column

            self._bars = progress.Progress(
                progress.TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=12)),
                progress.BarColumn(12),
                progress.MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=11)),
                progress.TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
                progress.TextColumn(
                    "{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
                ),
                expand=True,
                console=RichConsole(stderr=True),
                transient=False,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def progress(self, task: str, done: int, total: int, note: str = "") -> None:
        """A `Progress`: move the task's bar."""
        if self._bars:
            if task not in self._tasks:
                self._tasks[task] = self._bars.add_task(task, total=total, note=note)
            self._bars.update(self._tasks[task], completed=done, total=total, note=note)
            return
        now = time.monotonic()
        since, before = self._begun.setdefault(task, (now, done))
        if now - self._last_line >= QUIET_SECONDS and done < total:
            self._last_line = now
            left = f", {in_words((now - since) * (total - done) / (done - before))} left" if done > before else ""
            print(f"  {task}: {done:,} of {total:,}{left}{'  ' + note if note else ''}", file=sys.stderr, flush=True)

    def notify(self, line: str) -> None:
        """A notice."""
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)


def print_table(title: str, columns: list[str], rows: list[list[Any]], *, left: bool = False) -> None:
    """A table on standard output: its first column to the left, the others to the right, or all to the `left`.

    Cells are anything, or rich's Text for one in colour; rich heeds NO_COLOR, FORCE_COLOR and where output goes.
    """
    from rich import box
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if left or number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    RichConsole(width=None if sys.stdout.isatty() else 140).print(table)
