"""Genre names made one: spellings joined, a mapping applied, what is no genre left out."""

from __future__ import annotations

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from onesheet.data.findings import Finding
from onesheet.data.genre_synonyms import genre_key, synonym_key
from onesheet.data.tables import DELIMITED, MAX_LINE_BYTES, read_delimited
from onesheet.errors import CatalogueError
from onesheet.files import parse_json, read_within

NOT_GENRES = frozenset(
    {
        *("", "n/a", "na", "nan", "nat", "<na>", "#n/a", "#na", "none", "null", "nil", "-", "--", r"\n"),
        *("(no genres listed)", "no genres listed", "no genre", "no genres", "unknown", "undefined", "not available"),
    }
)


def read_genre_map(source: str | Path | Mapping[str, str]) -> dict[str, str]:
    """A mapping "Science Fiction" -> "Sci-Fi"; an empty right side drops the genre, "A|B" makes two of it.

    Args:
        source: a mapping, or a file: CSV or TSV of two columns (headings or none), JSON or TOML.

    Raises:
        CatalogueError: the file cannot be read or is no such mapping.
    """
    if isinstance(source, Mapping):
        return _checked(dict(source), "the genre mapping")
    path = Path(source)
    if not path.is_file():
        raise CatalogueError(f"no such genre mapping file: {str(path)!r}; check its spelling")
    where = f"the genre mapping {str(path)!r}"
    try:
        if path.suffix.lower() == ".json":
            return _checked(parse_json(read_within(path, MAX_LINE_BYTES).decode("utf-8-sig")), where)
        if path.suffix.lower() == ".toml":
            return _checked(tomllib.loads(read_within(path, MAX_LINE_BYTES).decode("utf-8-sig")), where)
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{where} cannot be read: {str(error).splitlines()[0]}; repair the file") from error
    if path.suffix.lower() not in DELIMITED:
        raise CatalogueError(f"{where} is of an unknown kind; use .csv, .tsv, .json or .toml")
    table = read_delimited(path)
    if len(table.columns) != 2 or table.bad:
        wrong = table.bad[0] if table.bad else f"got {len(table.columns)}"
        raise CatalogueError(f"{where} must have two columns, from and to; {wrong}")
    pairs = [table.columns, *table.rows]  # headings are a pair that no genre matches
    return _checked({str(left).strip(): str(right).strip() for left, right in pairs}, where)


def _checked(mapping: object, where: str) -> dict[str, str]:
    if not isinstance(mapping, dict) or not all(isinstance(v, str) for pair in mapping.items() for v in pair):
        raise CatalogueError(f'{where} must map names to names, as in {{"Science Fiction": "Sci-Fi"}}')
    return {tidy(left): right.strip() for left, right in mapping.items()}


def tidy(name: str) -> str:
    """A genre name with single spaces and composed letters.

    Example:
        >>> tidy("  Film  Noir ")
        'Film Noir'
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def is_no_genre(name: str) -> bool:
    """Whether a name means that the genre is missing.

    Example:
        >>> is_no_genre("N/A"), is_no_genre("Drama")
        (True, False)
    """
    return tidy(name).casefold() in NOT_GENRES


def settle_genres(
    films: Sequence[Iterable[str]], mapping: Mapping[str, str]
) -> tuple[list[tuple[str, ...]], list[Finding]]:
    """Each film's genre names, made one and sorted, and a finding for each name that changed.

    Spellings and exact synonyms of one genre become the commonest of them; the mapping's names win.

    Args:
        films: names as written, one collection a film.
        mapping: what `read_genre_map` returned.

    Example:
        >>> settle_genres([["drama", "N/A"], ["Drama"], ["Drama", "SF"]], {"SF": "Science fiction"})[0]
        [('Drama',), ('Drama',), ('Drama', 'Science fiction')]
    """
    written = Counter(name for names in films for name in set(names))
    counts: Counter[str] = Counter()
    for name, count in written.items():
        counts[tidy(name)] += count
    mapped = {genre_key(left): [tidy(name) for name in right.split("|")] for left, right in mapping.items()}
    common: dict[str, str] = {}  # what spellings and synonyms share -> the mapping's own name, or the commonest
    for targets in mapped.values():
        common |= {synonym_key(target): target for target in targets}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        if genre_key(name) not in mapped:
            common.setdefault(synonym_key(name), name)

    def settle(name: str) -> tuple[str, ...]:
        if is_no_genre(name):
            return ()
        targets = mapped.get(genre_key(name), [common.get(synonym_key(name), name)])
        return tuple(target for target in targets if not is_no_genre(target))

    settled = {name: settle(tidy(name)) for name in written}
    findings = [_finding(name, settle(name), counts[name]) for name in sorted(counts) if settle(name) != (name,)]
    present = {genre_key(name) for name in counts}
    findings += [_finding(left, settle(left), 0) for left in sorted(mapping) if genre_key(left) not in present]
    united: dict[tuple[str, ...], tuple[str, ...]] = {}
    for names in map(tuple, films):
        if names not in united:
            united[names] = tuple(sorted({new for name in names for new in settled[name]}))
    return [united[tuple(names)] for names in films], [finding for finding in findings if finding is not None]


def _finding(name: str, settled: tuple[str, ...], count: int) -> Finding | None:
    if is_no_genre(name) and not settled:
        return None  # films left without a genre are listed one by one
    become = " and ".join(settled) or "dropped"
    return Finding(
        flag="mapped-genre",
        score=1.0 if count else 0.0,
        detail=f"{name} -> {become}: {count} rows",
        action="renamed" if settled else "left out as the mapping says",
    )
