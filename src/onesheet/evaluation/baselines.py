"""The baselines to compare every result with."""

from __future__ import annotations

import numpy as np

from onesheet.evaluation.array_checks import Floats, Labels
from onesheet.evaluation.label_sets import count_label_sets


def baseline_decisions(train_labels: Labels) -> dict[str, Labels]:
    """What each baseline predicts for every film: name -> bool G.

    "nothing"; "every genre"; "commonest genre"; "prior", the genres that half of the training films or more have; and
    "commonest label set".

    Args:
        train_labels: bool M×G, from the training set.

    Example:
        >>> predictions = baseline_decisions(np.array([[True, False], [True, True], [True, True]]))
        >>> predictions["commonest genre"].tolist(), predictions["commonest label set"].tolist()
        ([True, False], [True, True])
    """
    share = prior(train_labels)
    sets, _ = count_label_sets(train_labels)
    return {
        "nothing": np.zeros(len(share), dtype=bool),
        "every genre": np.ones(len(share), dtype=bool),
        "commonest genre": np.arange(len(share)) == share.argmax(),
        "prior": share >= 0.5,
        "commonest label set": sets[0],
    }


def prior(train_labels: Labels) -> Floats:
    """Each genre's share of the training films, float G: the "prior" probability of every film."""
    return np.asarray(train_labels.mean(axis=0), dtype=np.float64)
