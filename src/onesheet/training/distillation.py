"""Knowledge distillation: targets halfway between a training film's labels and what teachers predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onesheet.genres import check_genres
from onesheet.packed.store import Packed
from onesheet.predict import load, score_split
from onesheet.progress import Progress, silent

SHARE = 0.5  # of a target that the teachers predict


def soft_targets(
    packed: Packed, teachers: Sequence[str], *, threads: int | None = None, progress: Progress = silent
) -> NDArray[np.float32] | NDArray[np.bool_]:
    """Labels of the store, those of the training films halfway to the mean of the teachers' probabilities.

    Catalogues list three genres per film at most, so that some negatives are false, and teachers predict which (Hinton
    et al. 2015; between networks of one size, Furlanello et al. 2018).

    Args:
        packed: the posters.
        teachers: model files that know the store's genres, for posters of any size.
        threads: cores to use; None = all.
        progress: reports the posters scored.

    Returns:
        float32 N×G in [0, 1]: the teachers' mean alone where a training film's label is unknown, NaN where another
        film's is. Without teachers `packed.truth`, as a copy would take memory.

    Raises:
        BundleError: a teacher cannot be read, or has other genres or another way of resizing.
    """
    if not teachers:
        return packed.truth
    targets, rows = packed.truth.astype(np.float32), packed.rows("train")
    predicted = np.zeros((len(rows), len(packed.genres)), np.float32)
    for path in teachers:
        teacher = load(path, threads=threads)
        check_genres(teacher.genres, packed.genres, packed.folder, model_may_have_more=True)
        columns = [teacher.genres.column(name) for name in packed.genres.names]
        scores = score_split(teacher, packed, "train", any_size=True, progress=progress)
        predicted += scores.probabilities[:, columns]
    predicted /= len(teachers)
    labels = targets[rows]
    targets[rows] = np.where(np.isnan(labels), predicted, labels + SHARE * (predicted - labels))
    return targets
