"""Scores of a whole split of a packed store, or of a catalogue's posters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import BundleError
from onesheet.packed.store import Packed, let_go
from onesheet.predict.predictor import Predictor
from onesheet.progress import Progress, silent


class SplitScores(NamedTuple):
    """A model's scores of one split of a packed store, rows as in `packed.rows(split)`.

    Attributes:
        probabilities: float32 N×G, calibrated, in [0, 1].
        logits: float32 N×G, before calibration.
    """

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]


def score_split(
    predictor: Predictor, packed: Packed, split: str, *, any_size: bool = False, progress: Progress = silent
) -> SplitScores:
    """Score one split of a packed store.

    Args:
        predictor: the model.
        packed: the posters.
        split: "train", "validation" or "test".
        any_size: posters packed at another size are stretched to the model's; they have then been resized twice.
        progress: reports the posters scored.

    Raises:
        BundleError: the store was packed by another rule than the model takes, or at another size without `any_size`.
    """
    card = predictor.card
    if packed.resize != card.resize or (packed.size != card.size and not any_size):
        raise BundleError(
            f"the model takes posters of {card.size[0]}×{card.size[1]} by {card.resize!r}, {str(packed.folder)!r} has "
            f"{packed.size[0]}×{packed.size[1]} by {packed.resize!r}; pack again with "
            f"--size {card.size[0]}x{card.size[1]} --resize {card.resize}"
        )
    rows = packed.rows(split)
    probabilities = np.empty((len(rows), len(card.genres)), dtype=np.float32)
    logits = np.empty_like(probabilities)
    done = 0
    for scores in predictor.score_posters(packed.posters, rows):
        end = done + len(scores.logits)
        probabilities[done:end], logits[done:end] = scores.probabilities, scores.logits
        done = end
        let_go(packed.posters)
        progress(f"score {split}", done, len(rows))
    return SplitScores(probabilities, logits)
