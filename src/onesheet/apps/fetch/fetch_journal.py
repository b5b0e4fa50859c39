"""What has been fetched, one line a film, so that a fetch that is stopped or killed goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from onesheet.errors import FetchError
from onesheet.files import whole_records


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one wish.

    Attributes:
        key: the wish.
        flag: "" where there is a film with its poster, else a finding's flag.
        detail: why there is none.
        film_id: the film's id.
        title: its title.
        year: its year, None where unknown.
        genres: its genres.
        poster: its poster, relative to the journal's folder.
        final: whether asking again is no use; others are not written down.
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
    """The journal of one folder: a first line with the order, then a line for each entry.

    Raises:
        FetchError: it is of another order, or damaged.
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
        """Keep an entry; on the disk only if it is final."""
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
        """Take over the entries whose posters are there; returns how many bytes are whole lines."""
        good = 0
        try:
            for number, (record, end) in enumerate(whole_records(self.path)):
                if number:
                    self._take(record)
                elif record != order:
                    raise FetchError(
                        f"{str(self.path.parent)!r} holds films of another fetch ({_in_words(record)}); "
                        "choose another folder"
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
