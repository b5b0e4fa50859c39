"""Iterative stratification of grouped items into splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratify(counts: NDArray[np.integer], sizes: NDArray[np.integer], shares: Sequence[float]) -> NDArray[np.int64]:
    """Give each item to a split so that every genre is shared out alike.

    The rarest genre's items go first, each to the split that still wants most of that genre, then to the one
    that wants most films (Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data",
    algorithm 1). Three things are added: a split wants at least one item of a genre that has an item for every
    split; at the end, items are moved where that evens out genres and sizes; and what a split still misses is
    moved there.

    Args:
        counts: items × genres, how many films of an item have a genre; ties fall to the earlier item.
        sizes: films of each item.
        shares: what each split should get, summing to 1.

    Returns:
        The split of each item.

    Example:
        >>> stratify(np.array([[1], [1], [1], [1]]), np.ones(4, int), (0.5, 0.25, 0.25)).tolist()
        [0, 0, 1, 2]
    """
    targets = _targets(counts, shares)
    room = [share * float(sizes.sum()) for share in shares]
    splits = np.full(len(counts), -1, dtype=np.int64)
    remaining = counts.sum(axis=0)
    while True:
        left = np.flatnonzero(remaining)
        genre = int(left[np.argmin(remaining[left])]) if len(left) else None
        free = splits < 0
        for item in np.flatnonzero(free if genre is None else free & (counts[:, genre] > 0)).tolist():
            here = room if genre is None else targets[genre]
            split = max(range(len(room)), key=lambda p: (here[p], room[p], -p))
            splits[item] = split
            room[split] -= int(sizes[item])
            for g in np.flatnonzero(counts[item]).tolist():
                targets[g][split] -= int(counts[item, g])
        if genre is None:
            break
        remaining = counts[splits < 0].sum(axis=0)
    _even_out(counts, sizes, splits, shares)
    _move_missing(counts, splits, len(room))
    return splits


def _targets(counts: NDArray[np.integer], shares: Sequence[float]) -> list[list[float]]:
    """Films each split should get of each genre: its share, but one at least where there are items for all."""
    targets = []
    for films, items in zip(counts.sum(axis=0).tolist(), (counts > 0).sum(axis=0).tolist(), strict=True):
        row = [share * films for share in shares]
        if items >= len(row):
            row = [max(want, 1.0) for want in row]
            row[row.index(max(row))] -= sum(row) - films
        targets.append(row)
    return targets


def _even_out(
    counts: NDArray[np.integer], sizes: NDArray[np.integer], splits: NDArray[np.int64], shares: Sequence[float]
) -> None:
    """Move items, each looked at once, where that lowers the squared error of genres and sizes; changes `splits`."""
    columns = np.column_stack([counts, sizes])  # the size is one more thing to share out
    targets = [*_targets(counts, shares), [share * float(sizes.sum()) for share in shares]]
    errors = [
        [float(columns[splits == split, column].sum()) - want for split, want in enumerate(row)]
        for column, row in enumerate(targets)
    ]
    for item, row in enumerate(columns):
        own = int(splits[item])
        films = [(int(row[column]), errors[column]) for column in np.flatnonzero(row)]
        gains = [sum(n * (error[own] - error[split] - n) for n, error in films) for split in range(len(shares))]
        best = max(range(len(shares)), key=gains.__getitem__)
        if best != own and gains[best] > 0:
            splits[item] = best
            for n, error in films:
                error[own] -= n
                error[best] += n


def _move_missing(counts: NDArray[np.integer], splits: NDArray[np.int64], split_count: int) -> None:
    """Move single items into splits that lack a genre, from where no genre gets lost; changes `splits`."""
    has = counts > 0
    present = np.stack([has[splits == split].sum(axis=0) for split in range(split_count)])
    for genre in np.argsort(has.sum(axis=0), kind="stable"):
        for split in np.flatnonzero(present[:, genre] == 0):
            items = np.flatnonzero(has[:, genre])
            spare = [item for item in items if (present[splits[item]][has[item]] > 1).all()]
            if spare:
                item = max(spare, key=lambda item: (present[splits[item], genre], -int(has[item].sum()), -int(item)))
                present[splits[item]] -= has[item]
                present[split] += has[item]
                splits[item] = split


def least_films(
    labels: NDArray[np.bool_], groups: Sequence[str], *, known: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Films that have a genre, or films that lack it, whichever are fewer, int64 G; a group counts once.

    Args:
        labels: bool N×G.
        groups: for each film the name of its group; "" = a film of its own.
        known: bool N×G, the labels that count; None = all.
    """
    counts = count_items(labels, groups)[1]
    lacking = count_items(~labels if known is None else known & ~labels, groups)[1]
    return np.asarray(np.minimum((counts > 0).sum(0), (lacking > 0).sum(0)))


def count_items(labels: NDArray[np.bool_], groups: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Films as items that are not divided: a group of films, or a film of its own.

    Args:
        labels: bool N×G.
        groups: for each film the name of its group; "" = a film of its own.

    Returns:
        The item of each film, int64 N, and each item's films per genre, int64 items×G.
    """
    items: dict[object, int] = {}
    item_of = np.array([items.setdefault(group or film, len(items)) for film, group in enumerate(groups)], np.int64)
    counts = np.zeros((len(items), labels.shape[1]), np.int64)
    np.add.at(counts, item_of, labels)
    return item_of, counts
