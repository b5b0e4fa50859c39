"""Which genre is taken for which, when a film has several; and which genres come together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.array_checks import Labels


def confusion_matrix(labels: Labels, predicted: Labels) -> NDArray[np.int64]:
    """The multi-label confusion matrix of Heydarian, Doyle and Samavi, "MLCM" (IEEE Access 10, 2022).

    Rows are true genres and a last row "no true genre"; columns are predicted genres and a last column "none
    predicted". A film with true set T and predicted set D counts:

    - each genre in both: once on the diagonal;
    - T has missed genres and D has extra ones: each missed genre against each extra one;
    - only missed ones: each missed genre against "none predicted";
    - only extra ones: each genre of T against each extra one; if T is empty, "no true genre" against each;
    - both sets empty: once in the last corner.

    So the diagonal counts what is right and the last column what was left out with nothing put in its place.
    Divide a row by its sum to read it as shares.

    Args:
        labels: bool N×G.
        predicted: bool N×G.

    Returns:
        int64 (G+1)×(G+1).

    Example:
        >>> confusion_matrix(np.array([[True, False]]), np.array([[False, True]])).tolist()
        [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    genres = labels.shape[1]
    right, missed, extra = labels & predicted, labels & ~predicted, predicted & ~labels
    any_missed = np.asarray(missed.any(axis=1))
    any_extra = np.asarray(extra.any(axis=1))
    no_truth = ~labels.any(axis=1)
    matrix = np.zeros((genres + 1, genres + 1), dtype=np.int64)
    source = np.where(any_missed[:, None], missed, labels)
    matrix[:genres, :genres] = count_together(source, extra) + np.diag(right.sum(axis=0))
    matrix[:genres, genres] = missed[~any_extra].sum(axis=0)
    matrix[genres, :genres] = extra[no_truth].sum(axis=0)
    matrix[genres, genres] = (no_truth & ~any_extra).sum()
    return matrix


def count_together(one: Labels, other: Labels) -> NDArray[np.int64]:
    """Films that have genre g in `one` and h in `other`: int64 G×G, from bool N×G each.

    With the same table twice it is the co-occurrence matrix, films with the genre on the diagonal.

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
