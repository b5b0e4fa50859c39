"""Weighted sums over films, and 95% intervals from films drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import EvaluationError
from onesheet.evaluation.array_checks import Floats
from onesheet.evaluation.results import Score
from onesheet.progress import Progress, silent

Key = TypeVar("Key", bound=Hashable)

_CHUNK_FILMS = 4096  # columns of a chunk stay in the processor's cache
_BLOCK_BYTES = 64_000_000
_BLOCK_DRAWS = 256


def weighted_sums(weights: NDArray[np.generic], columns: Callable[[slice], Floats]) -> Floats:
    """Sum columns over films under each weighting, `weights @ columns`, in chunks so that memory stays flat.

    Args:
        weights: B×N.
        columns: from a slice of films to their float n×C columns.

    Returns:
        float B×C.
    """
    total: Floats | None = None
    for start in range(0, weights.shape[1], _CHUNK_FILMS):
        chunk = slice(start, start + _CHUNK_FILMS)
        part = weights[:, chunk].astype(np.float64) @ columns(chunk)
        total = part if total is None else total + part
    assert total is not None  # as_labels rejects N = 0
    return total


@dataclass(frozen=True, slots=True)
class Intervals:
    """One metric, or G of them: value and 95% percentile bounds, float () or G each."""

    value: Floats
    low: Floats
    high: Floats

    def score(self) -> Score:
        """The metric as a Score."""
        return Score(float(self.value), float(self.low), float(self.high))

    def scores(self) -> list[Score]:
        """The G metrics as Scores."""
        return [Score(*triple) for triple in np.stack([self.value, self.low, self.high], axis=-1).tolist()]


def bootstrap(
    measure: Callable[[NDArray[np.generic]], dict[Key, Floats]],
    films: int,
    *,
    draws: int,
    seed: int,
    signed: Callable[[Key], bool] = lambda key: False,
    progress: Progress = silent,
) -> dict[Key, Intervals]:
    """Measure once with weights of one, then on `draws` samples of the films drawn with replacement.

    The interval is between the 2.5 and 97.5 percentiles of the draws in which the metric is defined, both moved by
    the bootstrap's own estimate of its bias, the draws' median less the value (Efron and Tibshirani 1993, chapter 10):
    average precision and calibration error come out too high on films drawn twice. So the value is inside. It is NaN
    where there is no such draw, so also for `draws=0`: not measured is not the same as certain.

    Args:
        measure: from weights B×N to metrics, float B or B×G each.
        films: N.
        draws: 0 or more. Draws are the same whatever the memory, and shared by all metrics.
        seed: of the draws.
        signed: which metrics may be negative, as differences are.
        progress: called after each block of draws.

    Raises:
        EvaluationError: `draws` is negative.

    Example:
        >>> heights = np.array([1.0, 2.0, 3.0])
        >>> mean = lambda weights: {"mean": weights @ heights / weights.sum(axis=1)}
        >>> bootstrap(mean, 3, draws=100, seed=0)["mean"].score().value
        2.0
    """
    if draws < 0:
        raise EvaluationError(f"draws must be 0 or more; got {draws}")
    value = {key: metric[0] for key, metric in measure(np.ones((1, films))).items()}
    found: dict[Key, list[Floats]] = {key: [] for key in value}
    rng = np.random.default_rng(seed)
    block = max(1, min(_BLOCK_DRAWS, _BLOCK_BYTES // (2 * films)))
    for start in range(0, draws, block):
        weights = np.empty((min(block, draws - start), films), dtype=np.uint16)
        for draw in weights:
            draw[:] = np.bincount(rng.integers(films, size=films), minlength=films)
        for key, metric in measure(weights).items():
            found[key].append(metric)
        progress("evaluate", start + len(weights), draws)
    return {key: Intervals(value[key], *_bounds(found[key], value[key], signed=signed(key))) for key in value}


def _bounds(found: list[Floats], value: Floats, *, signed: bool) -> tuple[Floats, Floats]:
    """2.5 and 97.5 percentiles over the leading axis less the bootstrap's bias; NaN draws do not count."""
    bounds = np.full((2, value.size), np.nan)
    if found:
        drawn = np.concatenate(found).reshape(-1, value.size)
        defined = ~np.isnan(drawn).all(axis=0)
        if defined.any():
            low, middle, high = np.nanpercentile(drawn[:, defined], [2.5, 50, 97.5], axis=0)
            bias = middle - value.reshape(-1)[defined]
            floor = np.minimum(np.nanmin(drawn[:, defined], axis=0), -1.0 if signed else 0.0)
            ceiling = np.maximum(np.nanmax(drawn[:, defined], axis=0), 1.0)
            bounds[:, defined] = np.maximum(low - bias, floor), np.minimum(high - bias, ceiling)
    low, high = bounds.reshape(2, *value.shape)
    return low, high
