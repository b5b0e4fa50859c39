"""Decisions about films, in an SQLite file: each is on the disk before it is answered, and none is ever changed."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onesheet.errors import ReviewError, StaleDecision

ACTIONS = ("accept", "correct", "skip")
UNDO = "undo"
APPLICATION = 0x6F6E6531  # in the file's header: these decisions are ours
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  film TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('accept', 'correct', 'skip', 'undo')),
  genres TEXT NOT NULL,
  undoes INTEGER UNIQUE REFERENCES history (id),
  at TEXT NOT NULL,
  CHECK ((action = 'undo') = (undoes IS NOT NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS history_of_film ON history (film, id);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON history
  BEGIN SELECT RAISE (ABORT, 'history is never changed'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON history
  BEGIN SELECT RAISE (ABORT, 'history is never changed'); END;
"""
_CURRENT = f"""
SELECT * FROM history AS made WHERE action != '{UNDO}'
  AND NOT EXISTS (SELECT 1 FROM history WHERE undoes = made.id)
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the history.

    Attributes:
        id: rises with time.
        film: the film's id.
        action: "accept", "correct", "skip", or "undo", which takes an earlier decision back.
        genres: the genres of the film; () for "skip" and "undo".
        undoes: id of the decision taken back, None unless `action` is "undo".
        at: when, UTC, ISO 8601.
    """

    id: int
    film: str
    action: str
    genres: tuple[str, ...]
    undoes: int | None
    at: str

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "id": self.id,
            "film": self.film,
            "action": self.action,
            "genres": list(self.genres),
            "undoes": self.undoes,
            "at": self.at,
        }


class DecisionStore:
    """The decisions file. Safe to share between threads and between processes.

    Raises:
        ReviewError: the file cannot be opened, or is not one of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            # isolation_level None: transactions begin and end where they are written here
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._database.row_factory = sqlite3.Row
            self._open()
        except sqlite3.Error as error:
            raise ReviewError(
                f"cannot use {str(path)!r} for decisions: {error}; name another file with --decisions"
            ) from error

    def _open(self) -> None:
        empty = not self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not empty and self._database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
            raise ReviewError(f"{str(self.path)!r} holds other data than decisions; name another with --decisions")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")  # in WAL mode a power cut could take back commits without
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def decide(self, film: str, action: str, *, genres: tuple[str, ...] = (), version: int) -> Decision:
        """Write a decision; it is on the disk when this returns.

        Args:
            film: the film's id.
            action: one of `ACTIONS`.
            genres: what the film has; () for "skip".
            version: of the film, as it was when the decision was made.

        Raises:
            StaleDecision: the film has another version by now.
            ReviewError: the file cannot be written.
        """
        with self._writing():
            if (now := self._version(film)) != version:
                raise StaleDecision(f"{film!r} was decided elsewhere meanwhile; look at it again (version {now})")
            return self._add(film, action, genres, None)

    def undo(self, decision: int) -> Decision:
        """Take a decision back, by a new row; the one before it is current again.

        Args:
            decision: id of the film's current decision.

        Raises:
            StaleDecision: it is not current, or there is none.
            ReviewError: the file cannot be written.
        """
        with self._writing():
            row = self._database.execute("SELECT film FROM history WHERE id = ?", (decision,)).fetchone()
            current = self._decisions("AND film = ? ORDER BY id DESC LIMIT 1", row["film"]) if row else []
            if not current or current[0].id != decision:
                raise StaleDecision(f"decision {decision} is not current (any more); look at the history")
            return self._add(row["film"], UNDO, (), decision)

    def standing(self) -> dict[str, Decision]:
        """Film id -> the current decision, for every film that has one."""
        with self._reading():
            return {decision.film: decision for decision in self._decisions("ORDER BY id")}

    def versions(self) -> dict[str, int]:
        """Film id -> version, for every film in the history; all others have version 0."""
        with self._reading():
            return dict(map(tuple, self._database.execute("SELECT film, MAX(id) FROM history GROUP BY film")))

    def history(self, *, last: int) -> list[Decision]:
        """The last so many rows, newest first."""
        with self._reading():
            rows = self._database.execute("SELECT * FROM history ORDER BY id DESC LIMIT ?", (last,))
            return [_decision(row) for row in rows]

    def _version(self, film: str) -> int:
        newest = self._database.execute("SELECT COALESCE(MAX(id), 0) FROM history WHERE film = ?", (film,))
        return int(newest.fetchone()[0])

    def _decisions(self, which: str, *values: str) -> list[Decision]:
        """The decisions not taken back."""
        return [_decision(row) for row in self._database.execute(f"{_CURRENT} {which}", values)]

    def _add(self, film: str, action: str, genres: tuple[str, ...], undoes: int | None) -> Decision:
        row = (
            film,
            action,
            json.dumps(genres, ensure_ascii=False),
            undoes,
            datetime.now(UTC).isoformat("T", "seconds"),
        )
        added = self._database.execute(
            "INSERT INTO history (film, action, genres, undoes, at) VALUES (?, ?, ?, ?, ?) RETURNING *", row
        )
        return _decision(added.fetchall()[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that no other writer can come between."""
        with self._reading():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise ReviewError(f"cannot use {str(self.path)!r}: {error}; nothing was decided") from error


def _decision(row: Any) -> Decision:
    return Decision(row["id"], row["film"], row["action"], tuple(json.loads(row["genres"])), row["undoes"], row["at"])
