"""Connected components: items that belong together directly or through others."""

from __future__ import annotations

from collections.abc import Iterable


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Components by union-find.

    Args:
        count: number of items.
        pairs: items that belong together.

    Returns:
        For each item the smallest item of its component.

    Example:
        >>> connected(5, [(1, 3), (3, 4)])
        [0, 1, 2, 1, 1]
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(item) for item in range(count)]
