"""Targets: what a training film has by its label, softened by its genres' shares and by what trained models see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onesheet.genres import check_genres
from onesheet.packed.store import Packed
from onesheet.predict import load, score_part
from onesheet.progress import Progress, silent

SHARE = 0.5  # of a target that is the teachers' answer


def check_teachers(teachers: Sequence[str]) -> None:
    """Refuse now what `soft_targets` would refuse once a run has begun.

    Raises:
        BundleError: a teacher that is not there or cannot be read.
    """
    for path in teachers:
        load(path)


def soft_targets(
    packed: Packed,
    teachers: Sequence[str],
    *,
    smoothing: float = 0.0,
    threads: int | None = None,
    progress: Progress = silent,
) -> NDArray[np.float32] | NDArray[np.bool_]:
    """Labels of the store, float32 N×G in [0, 1]; those of the training part smoothed, then halfway to the teachers.

    Where nothing softens them they are the store's own, bool N×G: a copy in numbers takes four times the memory.

    Catalogues name three genres a film at most, so that some negatives are false; a teacher's answer says which
    (knowledge distillation, Hinton et al. 2015; between networks of one size, Furlanello et al. 2018). Without one,
    label smoothing (Szegedy et al. 2016) grants every genre a little.

    Args:
        packed: the posters.
        teachers: model files that know the store's genres, of any size of posters; none = the labels alone.
        smoothing: how far a label moves to its genre's share of the training films, in [0, 1).
        threads: cores to use; None = all.
        progress: told of the posters scored.

    Raises:
        BundleError: a teacher that cannot be read, of other genres or of another rule of resizing.
    """
    if not smoothing and not teachers:
        return packed.labels
    targets = packed.labels.astype(np.float32)
    rows = packed.rows("train")
    if smoothing:
        targets[rows] += smoothing * (targets[rows].mean(axis=0) - targets[rows])
    if not teachers:
        return targets
    answers = np.zeros((len(rows), len(packed.genres)), np.float32)
    for path in teachers:
        teacher = load(path, threads=threads)
        check_genres(teacher.genres, packed.genres, packed.folder, model_may_have_more=True)
        columns = [teacher.genres.column(name) for name in packed.genres.names]
        scores = score_part(teacher, packed, "train", any_size=True, progress=progress)
        answers += scores.probabilities[:, columns]
    targets[rows] += SHARE * (answers / len(teachers) - targets[rows])
    return targets
