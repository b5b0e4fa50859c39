"""Which genres are predicted for the films of which, which come together, and an order that puts like beside like."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onesheet.evaluation.array_checks import Labels


def count_together(one: Labels, other: Labels) -> NDArray[np.int64]:
    """Films that have genre g in `one` and h in `other`: int64 G×G, from bool N×G each.

    Of labels and predictions it is what the confusion table counts: on the diagonal films found, which divided by the
    row's films is recall. With the same table twice it is the co-occurrence matrix.

    Example:
        >>> both = np.array([[True, True], [True, False]])
        >>> count_together(both, both).tolist()
        [[2, 1], [1, 1]]
    """
    # float32 goes through BLAS; its counts are exact up to 2**24 films, so sum chunk by chunk
    total = np.zeros((one.shape[1], other.shape[1]), dtype=np.int64)
    for start in range(0, len(one), 1 << 16):
        part = slice(start, start + (1 << 16))
        total += (one[part].T.astype(np.float32) @ other[part].astype(np.float32)).astype(np.int64)
    return total


def similarity_order(counts: ArrayLike) -> list[int]:
    """An order of genres in which those that are predicted for each other's films are neighbours.

    By the second eigenvector of the similarities, as in spectral clustering, with a small similarity of all added so
    that a genre apart from the others does not hide how these are alike (Amini et al., "Pseudo-likelihood methods for
    community detection in large sparse networks", Annals of Statistics 41, 2013).

    Args:
        counts: G×G, >= 0: what `count_together` returned.

    Returns:
        The G columns, in order.

    Example:
        >>> similarity_order([[9, 0, 8], [0, 9, 1], [8, 1, 9]])
        [0, 2, 1]
    """
    table = np.asarray(counts, np.float64)
    if len(table) < 3:
        return list(range(len(table)))
    scale = np.sqrt(np.maximum(table.diagonal(), 1))
    alike = table / scale[:, None] / scale
    alike = alike + alike.T
    np.fill_diagonal(alike, 0)
    alike += max(0.1 * alike.mean(), 1e-9)
    root = np.sqrt(alike.sum(axis=0))
    _, vectors = np.linalg.eigh(alike / root[:, None] / root)
    places = vectors[:, -2] / root
    sign = 1 if places[0] <= places[-1] else -1  # the catalogue's first genre comes first
    order: list[int] = np.argsort(sign * places.round(9), kind="stable").tolist()
    return order
