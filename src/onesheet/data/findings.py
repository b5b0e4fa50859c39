"""Findings: what is wrong with a catalogue, each with a score, a flag, the poster and what to do."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from onesheet.errors import CatalogueError
from onesheet.files import whole_file
from onesheet.markup import table
from onesheet.spreadsheets import Writer, original

FLAGS: dict[str, str] = {
    # reading the table
    "no-poster": "a row whose poster file is not there",
    "ambiguous-poster": "a row whose poster may be any of several files",
    "no-row": "a poster file that no row names",
    "no-genre": "a row without a usable genre, or with rare ones alone",
    "repeated-id": "a film id in several rows",
    "merged-film": "the same film in two catalogues, made one",
    "rare-genre": "a genre with too few films to learn",
    "mapped-genre": "a genre renamed or dropped by the mapping file",
    "bad-row": "a row that cannot be read",
    "odd-cell": "a cell of a one-hot column that is neither 0 nor 1",
    "odd-genre": "a name that does not look like a genre's",
    "unused-column": "a column of 0 and 1 that was not taken for a genre",
    "unlabelled": "a table or folder of a split without genres",
    "not-fetched": "a film or poster that a service does not have or did not give",
    # looking at the posters
    "missing": "the file is gone or is a folder",
    "unreadable": "the file cannot be read or decoded",
    "truncated": "the file ends before the picture does",
    "not-an-image": "the file is not an image of a known format",
    "too-large": "more pixels than any poster has",
    "too-small": "fewer pixels than a network can learn from",
    "odd-shape": "not the shape of a poster",
    "blank": "one colour all over",
    "placeholder": "one picture used for many films",
    "exact-duplicate": "the very same file as another film's",
    "near-duplicate": "nearly the same picture as another film's",
    "conflicting-duplicate": "the same picture as another film's, with other genres",
    "mis-encoded-title": "a title whose letters were decoded wrongly",
    "imbalance": "a genre far rarer than the commonest",
    # splitting
    "leak": "the same film or nearly the same poster in two splits",
    "not-in-split": "a film that the given split file does not name",
}


LISTED_APART = frozenset({"no-poster", "no-row", "leak", "not-in-split"})
"""The flags of which a catalogue may have as many findings as films, as where a table names a part of a folder."""

MANY = 100
"""More findings than this of a flag of `LISTED_APART` are a file of their own."""

AUDIT_FLAGS = tuple(FLAGS)[tuple(FLAGS).index("missing") : tuple(FLAGS).index("imbalance") + 1]
"""The flags that looking at the posters gives, as opposed to reading tables and splitting."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        flag: what kind of finding, a key of `FLAGS`.
        score: how sure or how severe, in [0, 1]; 1 is certain.
        film_id: the film, "" where none is concerned.
        poster: path of the poster, "" where none is concerned.
        detail: what was seen.
        action: what was done or what to do.
        drops: whether `Catalogue.without` leaves the film out.
        group: near-duplicates share a group, which a split keeps together; "" = none.
        count: how many findings it counts, which are listed in a file of their own.
    """

    flag: str
    score: float
    film_id: str = ""
    poster: str = ""
    detail: str = ""
    action: str = ""
    drops: bool = False
    group: str = ""
    count: int = 1

    def __post_init__(self) -> None:
        if self.flag not in FLAGS:
            raise ValueError(f"unknown flag {self.flag!r}; use one of {', '.join(FLAGS)}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"the score of a finding must be in [0, 1]; got {self.score}")


@dataclass(frozen=True)
class Findings:
    """A sequence of findings that counts, joins, and goes to and from `findings.csv`."""

    items: tuple[Finding, ...] = ()

    def __init__(self, items: Iterable[Finding] = ()) -> None:
        object.__setattr__(self, "items", tuple(items))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.items + other.items)

    def _repr_html_(self) -> str:
        """For notebooks: how many of which flag."""
        rows = [(flag, f"{count:,}", FLAGS[flag]) for flag, count in self.counts.items()]
        dropped = len({finding.film_id for finding in self.items if finding.drops})
        return table(
            ("flag", "findings", "what it says"), rows, title=f"{len(self):,} findings; {dropped:,} films to leave out"
        )

    def of(self, *flags: str) -> Findings:
        """Those with one of the flags."""
        return Findings(finding for finding in self.items if finding.flag in flags)

    @property
    def counts(self) -> dict[str, int]:
        """Flag -> how many, in the order of `FLAGS`."""
        counted: Counter[str] = Counter()
        for finding in self.items:
            counted[finding.flag] += finding.count
        return {flag: counted[flag] for flag in FLAGS if counted[flag]}

    def write_csv(self, path: str | Path) -> None:
        """Write `findings.csv`: one row a finding, columns as `Finding`'s attributes, UTF-8.

        Many "no-poster", "no-row", "leak" or "not-in-split" are one row, and a file beside: `findings-no-row.csv`.
        """
        path = Path(path)
        written = []
        long = {flag for flag, count in Counter(finding.flag for finding in self.items).items() if count > MANY}
        for flag in FLAGS:
            if flag in long & LISTED_APART:
                apart = path.with_name(f"{path.stem}-{flag}{path.suffix}")
                found = self.of(flag)
                found._write_rows(apart)
                detail = f"{len(found):,} of these, such as {found.items[0].poster or found.items[0].detail}"
                written.append(Finding(flag, 1.0, detail=detail, action=f"see {apart.name}", count=len(found)))
        rest = [finding for finding in self.items if finding.flag not in long & LISTED_APART]
        Findings([*written, *rest])._write_rows(path)

    def _write_rows(self, path: Path) -> None:
        with whole_file(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = Writer(file)
            writer.write(field.name for field in fields(Finding))
            for finding in self.items:
                writer.write(f"{value:.4f}" if isinstance(value, float) else value for value in astuple(finding))

    @classmethod
    def read_csv(cls, path: str | Path) -> Findings:
        """Read what `write_csv` wrote.

        Raises:
            CatalogueError: the file is not a findings file.
        """
        try:
            with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                return cls(
                    _finding({name: original(cell) for name, cell in row.items()}) for row in csv.DictReader(file)
                )
        except OSError as error:
            raise CatalogueError(f"cannot read findings file {str(path)!r}: {error.strerror}") from error
        except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
            raise CatalogueError(
                f"{str(path)!r} is not a findings file; write one with: onesheet audit CATALOGUE --out FOLDER"
            ) from error


def _finding(row: dict[str, str]) -> Finding:
    values = {"score": float(row["score"]), "drops": row["drops"] == "True", "count": int(row.get("count", 1))}
    return Finding(**{**row, **values})  # type: ignore[arg-type]
