"""Which column means what, and a table's rows in those terms."""

from __future__ import annotations

import difflib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from onesheet.data.cells import id_text, imdb_id, raw_text, text, title_and_year
from onesheet.data.genre_cells import GenreCells
from onesheet.data.genre_map import is_no_genre
from onesheet.data.genre_synonyms import is_known
from onesheet.data.headless_tables import is_headless
from onesheet.data.own_splits import FLAG_HEADINGS, split_in_column, split_name
from onesheet.data.poster_folders import is_image
from onesheet.data.tables import Table
from onesheet.errors import CatalogueError

# Headings are compared by their letters and digits alone: "Imdb_ID" = "imdbid". First come, first taken.
GENRES = (
    *("genres", "genre", "genrenames", "genrelist", "moviegenre", "moviegenres"),
    *("labels", "label", "category", "categories", "tags"),
)
GENRE_IDS = ("genreids", "genreid", "genresids")
IMDB_IDS = ("imdbid", "tconst", "imdbtitleid", "imdbtt")
IDS = ("filmid", *IMDB_IDS, "id", "movieid", "tmdbid", "posterid", "imageid")
POSTERS = (
    *("poster", "posterpath", "posterfile", "posterfilename", "path", "file", "filename", "filepath", "fname"),
    *("image", "imagepath", "imagefile", "imagename", "img", "imgpath", "imgs", "imgpaths"),
)
TITLES = ("title", "primarytitle", "movietitle", "filmtitle", "name", "originaltitle", "movie", "film")
YEARS = ("year", "startyear", "releaseyear", "releasedate", "released")
SPLIT_HEADINGS = ("split", "set", "part", "fold", "subset", "partition")
_ON = frozenset({"1", "true", "yes", "y", "t", "x", "on", "✓", "✔"})
_OFF = frozenset({"0", "-1", "−1", "false", "no", "n", "f", "off"})
_UNKNOWN = frozenset({"", "nan", "na", "n/a", "<na>", "#n/a", "none", "null", "?"})
_ENDS_OF_PREFIXES = re.compile(r"(?i)[\s_.:\-/\[(',]+(?:is[\s_.]+)?|(?<=[a-z])(?=[A-Z])")
_SUFFIX = re.compile(r"(?i)[\s_.:\-](genre|label|tag|flag)$")
# Columns of 0 and 1 that say something else about a film.
_NO_GENRE = re.compile(
    r"(?i)(is|has|in|on|rated|rating|won|num|no|n|count|unnamed|index|year|award|oscars?)([\s_.:\-]|$)"
    r"|.*[\s_.\-](wins?|won|nominated|nominations?|rated|count|flag|id|index)$"
    r"|(is|has|rated)[A-Z].*|level_\d+$|column\s?\d*$|\d+$|$"
)
NEVER_GENRES = frozenset({"isadult", "adult", "video", "group", "source", "train", "training", "test", "testing"}) | {
    *("val", "valid", "validation", "dev", "holdout", "color", "colour", "sequel", "remake", *SPLIT_HEADINGS)
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        table: name of the file.
        number: of the row, from 1.
        film_id: the film's id, an IMDb id where it can be one; "" where the row has none.
        ids: every id of the row as written, best first: a poster may be named by any.
        poster: the poster's path as written, "" where there is none.
        genres: names as written.
        problem: why the genres cannot be read, "" where they can.
        split: the split that the table has the film in, "" where it has none.
        unknown: one-hot genres of which the row does not say whether the film has them.
        odd: cells of one-hot columns that are neither on nor off, for a person.
    """

    table: str
    number: int
    film_id: str
    ids: tuple[str, ...]
    poster: str
    genres: tuple[str, ...]
    problem: str
    title: str
    year: int | None
    source: str
    group: str
    split: str = ""
    unknown: tuple[str, ...] = ()
    odd: str = ""

    @property
    def where(self) -> str:
        """File and row, for a person."""
        return f"{self.table}, row {self.number}"


@dataclass(frozen=True)
class Columns:
    """The columns of a table by meaning; indices, None where there is none.

    Attributes:
        genres: columns of genres as text or lists, united.
        one_hot: column -> the genre it is.
        unused: headings of columns of 0 and 1 that were not taken for genres.
    """

    ids: tuple[int, ...]
    imdb: tuple[bool, ...]
    poster: int | None
    genres: tuple[int, ...]
    one_hot: dict[int, str]
    title: int | None
    year: int | None
    split: int | None
    source: int | None
    group: int | None
    unknown: int | None = None
    unused: tuple[str, ...] = ()

    @property
    def genre(self) -> int | None:
        """The one column of genres as text, None where there is none or several."""
        return self.genres[0] if len(self.genres) == 1 else None


def plain(heading: str) -> str:
    """Letters and digits of a heading, lower-case.

    Example:
        >>> plain("Imdb_ID")
        'imdbid'
    """
    return re.sub(r"[\W_]", "", heading).lower()


def named_columns(table: Table, written: str | None) -> list[int]:
    """The columns that an option names, several separated by commas; none where the table lacks one of them."""
    if written is None or written in table.columns:
        return [] if written is None else [table.columns.index(written)]
    names = [name.strip() for name in written.split(",")]
    return [table.columns.index(name) for name in names] if set(names) <= set(table.columns) else []


def check_columns(tables: Sequence[Table], named: Sequence[str | None]) -> None:
    """Reject column names that no table has.

    Raises:
        CatalogueError: with the nearest right name.
    """
    seen = list(dict.fromkeys(column for table in tables for column in table.columns))
    for written in named:
        if written is None or any(named_columns(table, written) for table in tables):
            continue
        name = next((name for name in map(str.strip, written.split(",")) if name not in seen), written)
        near = difflib.get_close_matches(name.lower(), [column.lower() for column in seen], 1, 0.4)
        hint = next((f"did you mean {c!r}? " for c in seen if near and c.lower() == near[0]), "")
        raise CatalogueError(f"no column {name!r}; {hint}seen: {_listing(seen)}")


def find_columns(
    table: Table, *, poster_column: str | None, id_column: str | None, genre_column: str | None
) -> Columns:
    """Which column means what, by name, or as passed; one-hot genres by their values.

    Raises:
        CatalogueError: no column can be genres, or none can lead to a poster.
    """
    known = [plain(name) for name in table.columns]

    def find(names: Sequence[str], chosen: str | None = None) -> list[int]:
        return named_columns(table, chosen)[:1] or [known.index(name) for name in names if name in known]

    poster = named_columns(table, poster_column) or poster_columns(table)
    title, year = [i for i in find(TITLES) if i not in poster], find(YEARS)
    ids = list(dict.fromkeys([*find((), id_column), *find(IDS), *_links(table)]))
    ids = [i for i in ids if i not in poster or named_columns(table, id_column) == [i]]
    split = [i for i in find((*SPLIT_HEADINGS, *FLAG_HEADINGS)) if i not in poster and _is_split(table, i)]
    ours = "filmid" in known
    taken = {*poster, *title, *year, *ids, *split}
    chosen = named_columns(table, genre_column)
    genres, one_hot, unused = _genre_columns(table, chosen, taken)
    if not genres and not one_hot:
        raise CatalogueError(_no_genres(table, unused))
    if not poster and not ids:
        raise CatalogueError(
            f"{str(table.path)!r} has no column of posters or ids; seen: {_listing(table.columns)}; "
            "name it with --poster-column or --id-column"
        )
    return Columns(
        ids=tuple(ids),
        imdb=tuple(known[i] in IMDB_IDS for i in ids),
        poster=next(iter(poster), None),
        genres=tuple(genres),
        one_hot=one_hot,
        title=next(iter(title), None),
        year=next(iter(year), None),
        split=next(iter(split), None),
        source=next(iter(find(("source",))), None) if ours else None,
        group=next(iter(find(("group",))), None) if ours else None,
        unknown=next(iter(find(("unknown",))), None) if ours else None,
        unused=tuple(unused),
    )


def _genre_columns(
    table: Table, chosen: Sequence[int], taken: set[int]
) -> tuple[Sequence[int], dict[int, str], Sequence[str]]:
    """Columns of genre text, one-hot columns with their genres, and headings of 0/1 columns that are neither."""
    known = [plain(name) for name in table.columns]
    if chosen:
        flags = [i for i in chosen if _is_one_hot(table, i)]
        if len(flags) == len(chosen) > 1:
            headings = {i: table.columns[i] for i in flags}
            return (), _without_prefix(headings) or headings, ()
        return chosen, {}, ()
    named = [known.index(name) for name in GENRES if name in known]
    if named and not _is_one_hot(table, named[0]):
        family = [i for i, name in enumerate(known) if re.fullmatch(rf"{known[named[0]]}\d+", name)]
        return [named[0], *(i for i in family if not _is_one_hot(table, i))], {}, ()
    flags = [i for i in range(len(known)) if i not in taken and _is_one_hot(table, i)]
    off = (_counted_states(table.rows, i) for i in flags)
    if not any(states[_State.OFF] or states[_State.UNKNOWN] for states in off):
        flags = []
    one_hot, unused = _one_hot_genres({i: table.columns[i] for i in flags})
    text_columns = [i for i, name in enumerate(known) if "genre" in name and i not in flags and name not in GENRE_IDS]
    text_columns = [i for i in text_columns if not _is_number(table, i)] or [
        known.index(name) for name in GENRE_IDS if name in known
    ]
    if text_columns and not any(map(is_known, one_hot.values())):
        return text_columns, {}, ()
    if len(one_hot) < 2:
        return named, {}, [table.columns[i] for i in flags]
    return (), one_hot, unused


def _one_hot_genres(flags: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    """Which columns of 0 and 1 are genres, without the prefix they share, and the headings of the others."""
    prefixed = _without_prefix(flags) or _without_suffix(flags)
    if prefixed and sum(map(is_known, prefixed.values())) >= len(prefixed) / 2:
        genres = prefixed
    else:
        genres = {i: name for i, name in flags.items() if _is_genre(name) or not says_something_else(name)}
        sure = [i for i in genres if _is_genre(genres[i])]
        if len(sure) * 2 >= len(genres) and sure:  # an unknown name beside a row of known ones is no genre
            genres = {i: name for i, name in genres.items() if sure[0] <= i <= sure[-1]}
    return genres, [name for i, name in flags.items() if i not in genres and plain(name) not in NEVER_GENRES]


def _without_prefix(flags: Mapping[int, str]) -> dict[int, str]:
    """The columns that share a prefix, without it: "genre_Action", "Genre_is_Drama"; {} where no two do, or most of
    what is left is no genre."""
    prefixes: Counter[str] = Counter()
    for name in flags.values():
        prefixes.update(name[: end.end()] for end in _ENDS_OF_PREFIXES.finditer(name) if 0 < end.end() < len(name))
    best: dict[int, str] = {}
    for prefix, count in prefixes.items():
        rest = {
            i: name[len(prefix) :].rstrip("])'")
            for i, name in flags.items()
            if name.startswith(prefix) and name != prefix
        }
        sure = sum(map(is_known, rest.values()))
        if count > 1 and sure * 2 >= len(rest) and sure > sum(map(is_known, best.values())):
            best = rest
    return best if sum(map(is_known, best.values())) > sum(map(is_known, flags.values())) else {}


def _without_suffix(flags: Mapping[int, str]) -> dict[int, str]:
    """The columns "Action_genre" and the like, without the suffix; {} where there are none."""
    return {i: name[: end.start()] for i, name in flags.items() if (end := _SUFFIX.search(name))}


def _is_genre(name: str) -> bool:
    """Whether a heading is a known genre; `adult` is that of a flag."""
    return is_known(name) and plain(name) not in NEVER_GENRES


def says_something_else(name: str) -> bool:
    """Whether a heading or name says something else about a film than a genre.

    Example:
        >>> says_something_else("Rated_PG"), says_something_else("Drama")
        (True, False)
    """
    return plain(name) in NEVER_GENRES or bool(_NO_GENRE.match(name)) or is_no_genre(name)


def _no_genres(table: Table, unused: Sequence[str]) -> str:
    where = f"{str(table.path)!r} has no usable genre column"
    if is_headless(table.columns):
        return (
            f"{str(table.path)!r} has no heading, its first line is {_listing(table.columns)}; add one, or name the "
            "genres of its columns of 0 and 1 with --genres FILE"
        )
    if len(table.bad) > len(table.rows):
        return (
            f"{str(table.path)!r} has rows that do not fit its first line, {_listing(table.columns)} ({table.bad[0]}); "
            "delete the lines above the heading"
        )
    if unused:
        return f"{where}; columns of 0 and 1: {_listing(unused)}; name the genres with --genre-column A,B,C"
    named = [i for i, name in enumerate(table.columns) if is_known(name)]
    if len(named) > 1:
        values = _listing(sorted({text(row[i]) for row in table.rows[:200] for i in named})[:6])
        return f"{where}: {_listing([table.columns[i] for i in named])} hold {values}; write 1 for yes and 0 for no"
    return f"{where}; seen: {_listing(table.columns)}; name it with --genre-column"


def poster_columns(table: Table) -> list[int]:
    """The columns that name posters, best first: by their headings, or else by their values."""
    known = [plain(name) for name in table.columns]
    named = [known.index(name) for name in POSTERS if name in known]
    return named or [i for i in range(len(known)) if _names_images(table, i)]


def read_rows(table: Table, columns: Columns, cells: GenreCells) -> Iterator[Row]:
    """The table's rows by meaning, in order; equal genres are one tuple, equal sources one string.

    Args:
        table: as read.
        columns: what `find_columns` returned.
        cells: how the table's genre cells are read.
    """

    def cell(row: Sequence[object], column: int | None) -> str:
        return "" if column is None else text(row[column])

    states = _states(table, columns.one_hot)
    split_heading = "" if columns.split is None else table.columns[columns.split]
    shared: dict[tuple[str, ...], tuple[str, ...]] = {(): ()}
    for number, row in enumerate(table.rows, 1):
        ids = [(id_text(row[i]), imdb) for i, imdb in zip(columns.ids, columns.imdb, strict=True)]
        best = next(((written, imdb) for written, imdb in ids if written), ("", False))
        found = [cells.read(row[i]) for i in columns.genres]
        problem = next((str(error) for error in found if isinstance(error, ValueError)), "")
        genres = tuple(name for names in found if not isinstance(names, ValueError) for name in names)
        unknown = _listed_names(row[columns.unknown]) if columns.unknown is not None else ()
        odd = ""
        if states:
            seen = [state[row[i]] for i, state in states]
            names = columns.one_hot.values()
            genres = tuple(name for name, state in zip(names, seen, strict=True) if state >= _State.ON)
            if _State.UNKNOWN in seen or _State.ODD in seen:
                unknown = tuple(n for n, state in zip(names, seen, strict=True) if state < _State.OFF)
            if _State.ODD in seen or _State.ODD_NUMBER in seen:
                odd = ", ".join(
                    f"{table.columns[i]}={text(row[i])[:20]!r}"
                    for (i, _), state in zip(states, seen, strict=True)
                    if state in (_State.ODD, _State.ODD_NUMBER)
                )
        title, year = title_and_year(cell(row, columns.title), cell(row, columns.year))
        yield Row(
            table=table.path.name,
            number=number,
            film_id=imdb_id(best[0], numbers=best[1]) or best[0],
            ids=tuple(written for written, _ in ids if written),
            poster="" if columns.poster is None else raw_text(row[columns.poster]),
            genres=shared.setdefault(genres, genres),
            problem=problem,
            title=title,
            year=year,
            source=sys.intern(cell(row, columns.source)),
            group=cell(row, columns.group),
            split=split_in_column(split_heading, cell(row, columns.split)) or table.split,
            unknown=shared.setdefault(unknown, unknown),
            odd=odd,
        )


def _listed_names(value: object) -> tuple[str, ...]:
    found = GenreCells([value]).read(value)
    return () if isinstance(found, ValueError) else found


class _State(IntEnum):
    """What a cell of a one-hot column says."""

    ODD = 0
    UNKNOWN = 1
    OFF = 2
    ON = 3
    ODD_NUMBER = 4


def _states(table: Table, columns: Iterable[int]) -> list[tuple[int, dict[object, _State]]]:
    """Each one-hot column's cells as written -> what they say. Blank is off in a table that writes no other off."""
    values = {i: dict.fromkeys(row[i] for row in table.rows) for i in columns}
    written = {value: _state(value) for found in values.values() for value in found}
    if _State.OFF not in written.values():
        written = {v: _State.OFF if s is _State.UNKNOWN else s for v, s in written.items()}
    return [(i, {value: written[value] for value in found}) for i, found in values.items()]


def _state(value: object) -> _State:
    found = text(value).lower()
    if found in _ON:
        return _State.ON
    if found in _OFF:
        return _State.OFF
    if found in _UNKNOWN:
        return _State.UNKNOWN
    try:
        number = float(found)
    except ValueError:
        return _State.ODD
    return {0.0: _State.OFF, 1.0: _State.ON, -1.0: _State.OFF}.get(number, _State.ODD_NUMBER)


def _names_images(table: Table, column: int) -> bool:
    """Whether a column of any heading holds file names of images, judged by its first rows."""
    values = [raw_text(row[column]) for row in table.rows[:50]]
    return sum(map(is_image, values)) > len(values) / 2


def _is_one_hot(table: Table, column: int) -> bool:
    """Whether nearly all cells of a column are on or off, as judged by its first rows and then by all.

    Below a genre's name, how often it occurs is on, too.
    """
    counts = is_known(table.columns[column]) and _are_counts(table, column)
    return _mostly_flags(table.rows[:200], column, counts=counts) and _mostly_flags(table.rows, column, counts=counts)


def _are_counts(table: Table, column: int) -> bool:
    values = {text(row[column]) for row in table.rows[:200]} - {""}
    return "0" in values and all(re.fullmatch(r"\d{1,2}(\.0*)?", value) for value in values)


def _counted_states(rows: Sequence[Sequence[object]], column: int) -> Counter[_State]:
    states: Counter[_State] = Counter()
    try:
        for value, count in Counter(row[column] for row in rows).items():
            states[_state(value)] += count
    except TypeError:  # lists
        states[_State.ODD] = len(rows)
    return states


def _mostly_flags(rows: Sequence[Sequence[object]], column: int, *, counts: bool) -> bool:
    states = _counted_states(rows, column)
    flags = states[_State.ON] + states[_State.OFF] + (states[_State.ODD_NUMBER] if counts else 0)
    return flags > 0 and flags >= 0.9 * (len(rows) - states[_State.UNKNOWN])


def _first_texts(table: Table, column: int) -> list[str]:
    return [found for row in table.rows[:200] if (found := text(row[column]))]


def _is_number(table: Table, column: int) -> bool:
    values = _first_texts(table, column)
    return bool(values) and all(re.fullmatch(r"-?\d+(\.\d*)?", value) for value in values)


def _links(table: Table) -> list[int]:
    """Columns of links to IMDb."""
    columns = ((i, _first_texts(table, i)) for i in range(len(table.columns)))
    return [i for i, values in columns if sum("://" in v and bool(imdb_id(v)) for v in values) > len(values) / 2]


def _is_split(table: Table, column: int) -> bool:
    """Whether most cells of a column are the names of splits, or true and false in fastai's `is_valid`."""
    values = _first_texts(table, column)
    if plain(table.columns[column]) in FLAG_HEADINGS:
        return _is_one_hot(table, column)
    return bool(values) and sum(split_name(value) != "" for value in values) > len(values) / 2


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:30])
    return shown + (f" and {len(names) - 30} more" if len(names) > 30 else "")
