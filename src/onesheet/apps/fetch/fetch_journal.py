"""The journal of a fetch, one line per film, so that a stopped or killed fetch resumes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from onesheet.errors import FetchError
from onesheet.files import whole_records


@dataclass(frozen=True, slots=True)
class Entry:
    """The result for one film query.

    Attributes:
        key: the key of the query.
        flag: "" if the film has a poster and genres, else a finding's flag.
        detail: the reason for the flag.
        film_id: the film's id.
        title: its title.
        year: its year; None if unknown.
        genres: its genres.
        poster: its poster, relative to the journal's folder.
        final: whether a retry is useless; only final entries are written to the journal.
    """

    key: str
    flag: str = ""
    detail: str = ""
    film_id: str = ""
    title: str = ""
    year: int | None = None
    genres: tuple[str, ...] = ()
    poster: str = ""
    final: bool = True


class Journal:
    """The journal of one folder: a first line with the options, then a line for each entry.

    Raises:
        FetchError: it has other options, or is damaged.
    """

    def __init__(self, path: Path, order: dict[str, Any]) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        good = self._read(order) if path.exists() else 0
        self._lines: IO[bytes] = path.open("r+b" if good else "w+b")
        self._lines.seek(good)
        self._lines.truncate()
        if not good:
            self._write(order)

    def add(self, entry: Entry) -> None:
        """Add an entry; it is written to the file only if it is final."""
        self.entries[entry.key] = entry
        if entry.final:
            self._write(asdict(entry))

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._lines.write(json.dumps(record).encode() + b"\n")
        self._lines.flush()

    def _read(self, order: dict[str, Any]) -> int:
        """Add the entries whose posters exist; returns the number of bytes in complete lines."""
        good = 0
        try:
            for number, (record, end) in enumerate(whole_records(self.path)):
                if number:
                    self._take(record)
                elif record != order:
                    raise FetchError(
                        f"{str(self.path.parent)!r} contains films of another fetch ({_in_words(record)}); "
                        "pass another folder"
                    )
                good = end
        except (KeyError, TypeError, ValueError) as error:
            raise FetchError(f"{str(self.path)!r} is damaged; delete it and run the same command again") from error
        return good

    def _take(self, record: dict[str, Any]) -> None:
        entry = Entry(**(record | {"genres": tuple(record["genres"])}))
        if not entry.poster or (self.path.parent / entry.poster).is_file():
            self.entries[entry.key] = entry


def _in_words(order: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in order.items())
