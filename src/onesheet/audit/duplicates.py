"""Films that share a picture: placeholders, exact, conflicting and near-duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from onesheet.audit.measurements import Measurements
from onesheet.audit.perceptual_hashes import RADIUS, near_pairs
from onesheet.data.catalogue import Film
from onesheet.data.components import connected
from onesheet.data.findings import Finding

PLACEHOLDER_FILMS = 5
LOW_DETAIL = 6.0
"""Grey levels; 1 % of real posters have less. Their hashes say less: only `LOW_DETAIL_RADIUS` bits may differ."""
LOW_DETAIL_RADIUS = 12

_NAMED = 3


def duplicate_findings(
    films: Sequence[Film], measured: Measurements, usable: NDArray[np.bool_]
) -> list[tuple[int, Finding]]:
    """Findings about posters that several films share, each with the index of its film.

    Posters belong together when they are the same file or their hashes differ in at most `RADIUS` bits
    (`LOW_DETAIL_RADIUS` where one of them has little detail), and so do films the catalogue already grouped; whatever
    belongs together directly or over others is one group.

    - "placeholder": one picture (the same file, or hashes within `LOW_DETAIL_RADIUS` bits) for at least
      `PLACEHOLDER_FILMS` films of different titles, that is low in detail (below `LOW_DETAIL`) or whose films agree
      little on their genres (mean Jaccard similarity of pairs below 0.5). Drops all of them.
    - "conflicting-duplicate": the same file, and the genres differ. Drops all of them.
    - "exact-duplicate": the same file, same genres. The first film stays, the others drop.
    - "near-duplicate": others that share a group. None drops.

    Args:
        films: the catalogue's films.
        measured: their posters' measurements.
        usable: films whose posters are worth comparing, bool N.
    """
    rows = np.flatnonzero(usable)
    files = _same_file(measured.digest, rows)
    pairs, bits = _near(measured, rows)
    group_of = _components(len(films), files, pairs, _given_groups(films))
    picture_of = _components(len(films), files, pairs[bits <= LOW_DETAIL_RADIUS])
    file_of = _components(len(films), files)

    findings: list[tuple[int, Finding]] = []
    placeholders: set[int] = set()
    for members in _clusters(picture_of, rows, PLACEHOLDER_FILMS):
        found = _placeholder(films, members, measured.detail)
        findings += found
        placeholders.update(index for index, _ in found)
    group_names: dict[int, str] = {}
    for members in _clusters(group_of, rows, 2):
        given = [films[index].group for index in members if films[index].group]
        name = given[0] if given else f"same-poster:{films[members[0]].film_id}"
        group_names.update(dict.fromkeys(members, name))
    exact: set[int] = set()
    for members in _clusters(file_of, rows, 2):
        exact.update(members)
        if members[0] not in placeholders:
            findings += _same_picture(films, members, group_names)
    findings += _near_findings(films, pairs, bits, group_names, skip=placeholders | exact)
    return findings


def _same_file(digest: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (first of its kind, another) of posters that are byte for byte the same, int64 P×2."""
    _, first, kind = np.unique(digest[rows], axis=0, return_index=True, return_inverse=True)
    pairs = np.column_stack((rows[first[kind.ravel()]], rows)) if len(rows) else np.empty((0, 2), np.int64)
    others: NDArray[np.int64] = pairs[pairs[:, 0] != pairs[:, 1]]
    return others


def _near(measured: Measurements, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of films whose posters are nearly the same, and the bits that differ."""
    pairs, bits = near_pairs(measured.hash[rows], radius=RADIUS)
    pairs = rows[pairs]
    plain = measured.detail[pairs].min(axis=1, initial=np.inf) < LOW_DETAIL
    keep = (bits <= LOW_DETAIL_RADIUS) | ~plain
    return pairs[keep], bits[keep]


def _given_groups(films: Sequence[Film]) -> NDArray[np.int64]:
    """Pairs (first of its group, another) of films that the catalogue already holds together, int64 P×2."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(film.group, index), index) for index, film in enumerate(films) if film.group]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _components(count: int, *pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each film the first of those that it shares a picture with, int64 N; pairs P×2."""
    return np.array(connected(count, np.concatenate(pairs).tolist()), np.int64)


def _clusters(root: NDArray[np.int64], rows: NDArray[np.int64], least: int) -> list[list[int]]:
    """Members of each component with at least `least` usable films, in order."""
    large = np.bincount(root[rows], minlength=len(root)) >= least
    members: dict[int, list[int]] = defaultdict(list)
    for index in rows[large[root[rows]]].tolist():
        members[int(root[index])].append(index)
    return list(members.values())


def _placeholder(films: Sequence[Film], members: list[int], detail: NDArray[np.float32]) -> list[tuple[int, Finding]]:
    titles = {films[index].title or films[index].film_id for index in members}
    if len(titles) < PLACEHOLDER_FILMS:
        return []
    agreement = _agreement([films[index].genres for index in members[:100]])
    plain = float(np.median(detail[members])) < LOW_DETAIL
    if agreement >= 0.5 and not plain:
        return []
    why = "has hardly any detail" if plain else f"their genres agree only {agreement:.0%}"
    return [
        (
            index,
            Finding(
                flag="placeholder",
                score=1 - agreement / 2 if plain else 1 - agreement,
                film_id=films[index].film_id,
                poster=films[index].poster,
                detail=f"one picture for {len(members)} films; {'it ' if plain else ''}{why}",
                action="left out; find the film's own poster",
                drops=True,
            ),
        )
        for index in members
    ]


def _agreement(genres: list[tuple[str, ...]]) -> float:
    """Mean Jaccard similarity over pairs of films, in [0, 1]."""
    sets = [set(names) for names in genres]
    return float(np.mean([len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]))


def _same_picture(films: Sequence[Film], members: list[int], group_names: dict[int, str]) -> list[tuple[int, Finding]]:
    """The findings of films that share one file, conflicting or exact."""
    conflict = len({frozenset(films[index].genres) for index in members}) > 1
    agreement = _agreement([films[index].genres for index in members[:100]]) if conflict else 1.0
    found = []
    for place, index in enumerate(members):
        others = [films[other] for other in members[: _NAMED + 1] if other != index][:_NAMED]  # those that are named
        if conflict:
            listed = [f"{film.film_id} ({', '.join(film.genres)})" for film in others]
            action = (
                f"left out; correct the genres of "
                f"{_some([film.film_id for film in (films[index], *others)], len(members))} "
                "in the table, or give each its own poster"
            )
            own = f"{', '.join(films[index].genres)} here, the same file as {_some(listed, len(members) - 1)}"
        else:
            own = f"the same file as {_some([film.film_id for film in others], len(members) - 1)}"
            action = f"left out, {films[members[0]].film_id} stays" if place else "stays, the others are left out"
        found.append(
            (
                index,
                Finding(
                    flag="conflicting-duplicate" if conflict else "exact-duplicate",
                    score=1 - agreement / 2 if conflict else 1.0,
                    film_id=films[index].film_id,
                    poster=films[index].poster,
                    detail=own,
                    action=action,
                    drops=conflict or place > 0,
                    group=group_names.get(index, ""),
                ),
            )
        )
    return found


def _near_findings(
    films: Sequence[Film],
    pairs: NDArray[np.int64],
    bits: NDArray[np.int64],
    group_names: dict[int, str],
    *,
    skip: set[int],
) -> list[tuple[int, Finding]]:
    """One finding for each film that has a near-duplicate, naming the nearest, or whose given group got larger."""
    nearest: dict[int, tuple[int, int]] = {}
    for (a, b), distance in zip(pairs.tolist(), bits.tolist(), strict=True):
        for one, other in ((a, b), (b, a)):
            nearest[one] = min(nearest.get(one, (257, 0)), (distance, other))
    details = {
        index: (
            1 - distance / (2 * RADIUS),
            f"nearly the picture of {films[other].film_id} ({distance} of 256 bits differ)",
        )
        for index, (distance, other) in nearest.items()
    }
    for index, name in group_names.items():  # groups of the catalogue that a picture joins
        if films[index].group not in ("", name):
            details.setdefault(index, (0.5, f"a film of its group {films[index].group} has a picture of {name}"))
    return [
        (
            index,
            Finding(
                flag="near-duplicate",
                score=score,
                film_id=films[index].film_id,
                poster=films[index].poster,
                detail=detail,
                action="kept; a split keeps its group on one side",
                group=group_names[index],
            ),
        )
        for index, (score, detail) in sorted(details.items())
        if index not in skip
    ]


def _some(names: list[str], count: int) -> str:
    """The first names of so many."""
    more = count - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
