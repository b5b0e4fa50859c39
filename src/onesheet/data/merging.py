"""Several rows of one film, and several catalogues, made one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from onesheet.data.catalogue import Film
from onesheet.data.cells import imdb_id
from onesheet.data.findings import Finding
from onesheet.data.own_splits import SPLITS
from onesheet.data.readers.layouts import same_contents

EXPECTED = 10  # films that a catalogue would have of a genre by the others' share: none by chance in 1 of 20,000


def join_rows(films: Sequence[Film], *, say: bool) -> tuple[list[Film], list[Finding]]:
    """Rows of one catalogue with the same film id -> one film: first poster and title kept, genres united.

    Args:
        films: one a row, in order.
        say: whether every further row is a finding "repeated-id" (score 1 where they differ, else 0.2), or only
            one that adds no genre.
    """
    joined: dict[str, Film] = {}
    findings = []
    for film in films:
        if film.film_id not in joined:
            joined[film.film_id] = film
            continue
        first = joined[film.film_id]
        joined[film.film_id] = _united(first, film)
        differs = _difference(first, film)
        if say or set(film.genres) <= set(first.genres):
            findings.append(
                Finding(
                    flag="repeated-id",
                    score=1.0 if differs else 0.2,
                    film_id=film.film_id,
                    poster=film.poster,
                    detail=differs or "the same genres and poster again",
                    action="made one film: first poster kept, genres united",
                )
            )
        if first.split != film.split and first.split and film.split:
            findings.append(_leak(first, film))
    return list(joined.values()), findings


def _leak(first: Film, film: Film) -> Finding:
    return Finding(
        flag="leak",
        score=1.0,
        film_id=film.film_id,
        poster=film.poster,
        detail=f"the film is both {first.split} and {film.split}",
        action=f"kept as {_later(first.split, film.split)} alone",
    )


def _later(first: str, other: str) -> str:
    """Of two splits the later: a film that is tested on is not trained on."""
    return max(first, other, key=("", *SPLITS).index)


def merge(sources: Sequence[Sequence[Film]]) -> tuple[list[Film], list[Finding]]:
    """Several catalogues -> one: films joined by IMDb id, then by identical poster; ids made unique.

    Films with different IMDb ids stay apart even when their posters are identical: the audit says those.
    So do films of one catalogue that share a poster, such as a placeholder.

    Args:
        sources: the films of each catalogue, ids unique within each.

    Returns:
        The films (first poster and title kept, genres united), and a finding "merged-film" for each join.
    """
    if len(sources) == 1:
        return list(sources[0]), []
    films = [film for source in sources for film in source]
    origin = [number for number, source in enumerate(sources) for _ in source]
    into: dict[int, int] = {}  # position -> the earlier position it is joined to
    first: dict[str, int] = {}
    for position, film in enumerate(films):
        if imdb_id(film.film_id) and first.setdefault(film.film_id, position) != position:
            into[position] = first[film.film_id]
    by_id = dict(into)
    left = [position for position in range(len(films)) if position not in into]
    if all(imdb_id(films[position].film_id) for position in left):
        left = []  # no need to read the posters
    for same in same_contents([films[position].poster for position in left]):
        alive = [left[number] for number in same]
        once = Counter(origin[position] for position in alive)
        alive = [position for position in alive if once[origin[position]] == 1]
        for position in alive[1:]:
            if not (imdb_id(films[position].film_id) and imdb_id(films[alive[0]].film_id)):
                into[position] = alive[0]
    findings = []
    for position, target in into.items():
        kept, film = films[target], films[position]
        if imdb_id(film.film_id) and not imdb_id(kept.film_id):
            kept = replace(kept, film_id=film.film_id)
        films[target] = _united(kept, film)
        how = "the same IMDb id" if position in by_id else "the same poster file"
        findings.append(_merged(kept, film, how))
        if kept.split != film.split and kept.split and film.split:
            findings.append(_leak(kept, film))
    left = [position for position in range(len(films)) if position not in into]
    return _with_unique_ids([films[position] for position in left], [origin[position] for position in left]), findings


def absent_genres(sources: Sequence[Sequence[Film]]) -> list[frozenset[str]]:
    """For each catalogue the genres that it does not have, so that of its films they are unknown.

    A catalogue does not have a genre if none of its films has it, where by the other catalogues' share at least
    `EXPECTED` of them would.

    Example:
        >>> some = [Film(str(number), "a.jpg", ("Drama",)) for number in range(100)]
        >>> others = [Film(str(number), "a.jpg", ("Drama", "Short")[: 1 + number % 2]) for number in range(100)]
        >>> absent_genres([some, others]) == [frozenset({"Short"}), frozenset()]
        True
    """
    counts = [Counter(genre for film in source for genre in film.genres) for source in sources]
    total, films = sum(counts, Counter()), sum(map(len, sources))
    found = []
    for source, own in zip(sources, counts, strict=True):
        others = max(1, films - len(source))
        found.append(frozenset(g for g, n in total.items() if g not in own and n * len(source) >= EXPECTED * others))
    return found


def _merged(kept: Film, film: Film, how: str) -> Finding:
    differs = _difference(kept, film)
    return Finding(
        flag="merged-film",
        score=1.0 if differs else 0.2,
        film_id=kept.film_id,
        poster=film.poster,
        detail=f"{how} in {kept.source} and {film.source}" + (f"; {differs}" if differs else ""),
        action="made one film: first poster kept, genres united",
    )


def _united(first: Film, other: Film) -> Film:
    return replace(
        first,
        genres=tuple(sorted({*first.genres, *other.genres})),
        title=first.title or other.title,
        year=first.year or other.year,
        group=first.group or other.group,
        split=_later(first.split, other.split),
        unknown=(first.unknown & other.unknown).difference(first.genres, other.genres),
    )


def _difference(first: Film, other: Film) -> str:
    """What sets two rows of one film apart, "" when nothing does."""
    details = []
    if set(first.genres) != set(other.genres):
        details.append(f"genres {'|'.join(first.genres)} and {'|'.join(other.genres)}")
    if first.poster != other.poster:
        details.append(f"poster kept: {first.poster}")
    return "; ".join(details)


def _with_unique_ids(films: list[Film], origin: list[int]) -> list[Film]:
    """Different films that share an id get their catalogue's name before it, numbered if need be."""
    shared = Counter(film.film_id for film in films)
    sources = {number: film.source for film, number in zip(films, origin, strict=True)}
    clashes = Counter(sources.values())
    names = {n: source if clashes[source] == 1 else f"{source}-{n + 1}" for n, source in sources.items()}
    return [
        replace(film, film_id=f"{names[number]}:{film.film_id}") if shared[film.film_id] > 1 else film
        for film, number in zip(films, origin, strict=True)
    ]
