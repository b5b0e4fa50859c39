"""How a table was understood, and which genres came of it, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 20  # genres in a line


@dataclass(frozen=True)
class SourceSummary:
    """How one table was understood.

    Attributes:
        name: the file's or folder's name.
        rows: rows that were read.
        columns: what was looked for ("ids", "posters", "genres" …) -> the headings taken for it.
        separators: what separates genres in cells ("list", "|" …), the commonest first.
        one_hot: the number of one-hot columns of genres, 0 = none.
        unused: headings of columns of 0 and 1 that were not taken for genres.
        unread: why rows could not be read -> how many.
        notes: other decisions, each a clause.
    """

    name: str
    rows: int
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    separators: tuple[str, ...] = ()
    one_hot: int = 0
    unused: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All of it in one line, for a person.

        Example:
            >>> SourceSummary("a.csv", 20, {"ids": ("imdb_id",), "genres": ("Genre",)}, ("|",)).line
            "a.csv: 20 rows; ids in imdb_id; genres in Genre, separated by '|'"
        """
        text = [f"{self.name}: {self.rows:,} rows"]
        text += [f"{meaning} in {_listed(headings)}" for meaning, headings in self.columns.items()]
        if self.separators:
            how = [f"separated by {s!r}" if s != "list" else "as lists" for s in self.separators]
            text[-1] += f", {' and '.join(how)}"
        if self.one_hot:
            text.append(f"{self.one_hot} one-hot columns of genres")
        if self.unused:
            text.append(f"not taken for genres: {_listed(self.unused)} (--genre-column A,B,C takes them)")
        text += [f"{count:,} rows not read: {reason}" for reason, count in self.unread.items()]
        return "; ".join((*text, *self.notes))


def understood_lines(understood: Mapping[str, Any]) -> Iterator[str]:
    """A line per source and one on the genres, of what `Catalogue.understood` returned."""
    for source in understood.get("sources", ()):
        yield SourceSummary(**source).line
    if "genre_films" in understood:
        yield genres_line(understood["genre_films"], understood["genres_left_out"])


def genres_line(counts: Mapping[str, int], left_out: Mapping[str, int]) -> str:
    """The genres kept and left out, with the number of their films, the commonest first.

    Example:
        >>> genres_line({"Drama": 78, "Comedy": 46}, {"War": 1})
        'genres (2): Drama 78, Comedy 46; left out: War 1'
    """
    text = f"genres ({len(counts)}): {_counted(counts)}"
    return text + (f"; left out: {_counted(left_out)}" if left_out else "")


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return ", ".join(f"{name} {count:,}" for name, count in ordered[:_SHOWN]) + more


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
