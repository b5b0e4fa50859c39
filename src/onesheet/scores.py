"""What a model file's graph says of posters, and whether it may be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """What the graph says of N posters.

    Attributes:
        probabilities: float32 N×G, calibrated, in [0, 1].
        logits: float32 N×G, before calibration.
        embedding: float32 N×D.
        evidence: float32 N×G×h×w, or None where the network has no class activation map.
    """

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    evidence: NDArray[np.float32] | None


def wrong_with(scores: Scores, answers: tuple[int, int]) -> str:
    """What a graph's answers are that they should not be, whatever it says of itself; "" where nothing is wrong.

    Args:
        scores: the answers.
        answers: N, G.
    """
    fitting = scores.probabilities.shape == scores.logits.shape == answers
    fitting = fitting and scores.embedding.ndim == 2 and len(scores.embedding) == answers[0]
    if scores.evidence is not None:
        fitting = fitting and scores.evidence.ndim == 4 and scores.evidence.shape[:2] == answers
    if not fitting:
        return "of another shape than it says"
    given = (scores.probabilities, scores.logits, scores.embedding, scores.evidence)
    if not all(np.isfinite(values).all() for values in given if values is not None):
        return "no numbers"
    outside = ((scores.probabilities < 0) | (scores.probabilities > 1)).any()
    return "no probabilities" if outside else ""
