"""The heads of an adapted model: one convex problem per genre, on the embedding and the source's own logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from onesheet.adaptation.logistic import Floats, Solutions, solve
from onesheet.errors import CatalogueError
from onesheet.packed.store import let_go
from onesheet.packed.stratification import count_items, least_films, stratify
from onesheet.progress import Progress, silent

# How far weights may move a logit: its variance by them, before any film is seen. The first leaves it where it is.
VARIANCES = np.array([1e-6, 0.05, 0.17, 0.5, 1.7, 5, 17], np.float32)
SLOPE_PENALTY = 3.0
FOLDS = 5
LEAST_FILMS = 2 * FOLDS  # with a genre, and without it: two in each fold
COMPONENTS = 1024
BASIS_FILMS = 4096  # whose embeddings set the mean, the deviation and the components
CHOICE_FILMS = 20_000  # on which variances are compared
LEAST_GAIN = 0.5  # standard errors by which held-out log loss falls before the source's answer is left
OWN_GAIN = 2.0  # and before a genre takes another variance than the others
_CHUNK = 2048
_CELLS = 16 << 20  # film-problem pairs solved at once, which bounds the memory

Bools = NDArray[np.bool_]


class Groups(Protocol):
    """The group of each film: a list of names, or what reads them."""

    def __getitem__(self, row: int, /) -> str: ...


@dataclass(frozen=True, eq=False)
class Heads:
    """Linear heads: logits = embedding @ weights + source logits @ mixing + bias.

    Attributes:
        weights: float32 D×G.
        mixing: float32 S×G, on the source's logits before its calibration.
        bias: float32 G.
        variances: float32 G, one of `VARIANCES`: how far each genre's weights may move its logit; 0 where it is kept.
        kept: bool G, the genres for which the source's answer is kept.
        known: bool G, the genres that the source knows.
        gains: float64 G, nats per film by which held-out log loss falls below that of the least of `VARIANCES`: the
            source's answer where it knows the genre, the genre's frequency where not.
        held_out: float32 N×G, each film's logits from heads that did not learn from it.
    """

    weights: Floats
    mixing: Floats
    bias: Floats
    variances: Floats
    kept: Bools
    known: Bools
    gains: NDArray[np.float64]
    held_out: Floats = field(repr=False)

    def logits(self, embedding: NDArray[np.floating], source: Floats) -> NDArray[np.float64]:
        """Embedding N×D and the source's logits N×S -> logits, float64 N×G."""
        wide = np.asarray(embedding, np.float64)
        return np.asarray(wide @ self.weights + np.asarray(source, np.float64) @ self.mixing + self.bias)


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal components of standardised embeddings: uncorrelated features with the variances of the embedding.

    Attributes:
        mean: float32 D.
        directions: float32 D×K, standardisation included.
    """

    mean: Floats
    directions: Floats

    def features(self, embedding: NDArray[np.float16], rows: NDArray[np.int64]) -> Floats:
        """Rows of an embedding N×D, some at a time -> float32 n×K."""
        found = np.empty((len(rows), self.directions.shape[1]), np.float32)
        for start in range(0, len(rows), _CHUNK):
            chunk = embedding[rows[start : start + _CHUNK]].astype(np.float32)
            found[start : start + len(chunk)] = (chunk - self.mean) @ self.directions
            let_go(embedding)
        return found


def fit_basis(embedding: NDArray[np.float16], rows: NDArray[np.int64]) -> Basis:
    """The components of at most `BASIS_FILMS` of the rows, evenly drawn, that hold nearly all variance."""
    drawn = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), BASIS_FILMS)).astype(int))]
    sample = embedding[drawn].astype(np.float32)
    mean = sample.mean(0)
    sample -= mean
    deviation = np.sqrt(np.square(sample).mean(0))
    deviation[deviation <= 1e-6 * max(float(deviation.max()), 1e-30)] = 1  # a constant feature is 0 already
    sample /= deviation
    variances, vectors = np.linalg.eigh((sample @ sample.T).astype(np.float64))
    used = np.flatnonzero(variances > 1e-6 * variances[-1])[::-1][:COMPONENTS]
    directions = sample.T @ (vectors[:, used] / np.sqrt(variances[used])).astype(np.float32)
    return Basis(mean, directions / deviation[:, None])


def fit_heads(
    embedding: NDArray[np.floating],
    source: Floats,
    labels: Bools,
    *,
    columns: Sequence[int | None],
    calibration: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
    rows: NDArray[np.int64] | None = None,
    groups: Groups | None = None,
    known: Bools | None = None,
    progress: Progress = silent,
) -> Heads:
    """Fit one head per genre and choose, by cross-validation, how far it may move.

    A genre that the source knows starts from the source's calibrated logit s: its logit is slope · s + bias +
    weights · features. Other genres start from nothing, and have the source's logits as features beside the
    embedding's, with the same total variance. Weights have a Gaussian prior whose variance is the one of `VARIANCES`
    with the least log loss on held-out folds, summed over all genres of a kind; a genre takes another one only where
    that is better by `OWN_GAIN` standard errors. Where weights lower the held-out loss of a known genre by less than
    `LEAST_GAIN` standard errors, the source's answer is kept.

    Args:
        embedding: float N×D, memory-mapped or not.
        source: float32 N×S, the source's logits.
        labels: bool N×G.
        columns: for each genre its column in `source`; None where the source does not know it.
        calibration: the source's scale and bias, float S each; None = its logits are calibrated.
        rows: the films to learn from, int64 n, ascending; None = all.
        groups: for each film the name of its group, which stays in one fold; "" = a film of its own.
        known: bool N×G, the labels to learn from; None = all.
        progress: reports the folds that were solved.

    Returns:
        Heads, `held_out` in the order of `rows`.

    Raises:
        CatalogueError: fewer than `LEAST_FILMS` of the films have a genre, or lack it; films of a group count as one.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    scale, shift = calibration or (np.ones(source.shape[1]), np.zeros(source.shape[1]))
    if known is not None:
        labels, known = labels & known, known[rows]
    films = _Films(embedding, (source[rows] * scale + shift).astype(np.float32), labels[rows], rows, groups, known)
    places = [np.flatnonzero([(column is not None) == kind for column in columns]) for kind in (True, False)]
    parts = []
    if len(places[0]):
        parts.append(_known_heads(films, places[0], [column for column in columns if column is not None], progress))
    if len(places[1]):
        parts.append(_new_heads(films, places[1], progress))
    order = np.argsort(np.concatenate(places))
    weights, mixing, bias, variances, kept, gains, held_out = (
        np.concatenate(of_kinds, axis=-1)[..., order] for of_kinds in zip(*parts, strict=True)
    )
    return Heads(
        weights=films.basis.directions @ weights,
        mixing=(scale[:, None] * mixing).astype(np.float32),
        bias=(bias - films.basis.mean @ (films.basis.directions @ weights) + shift @ mixing).astype(np.float32),
        variances=variances,
        kept=kept,
        known=np.array([column is not None for column in columns]),
        gains=gains,
        held_out=held_out,
    )


class _Part(NamedTuple):
    """The heads of some genres: as in `Heads`, but of the basis' features and the source's calibrated logits."""

    weights: Floats
    mixing: Floats
    bias: Floats
    variances: Floats
    kept: Bools
    gains: NDArray[np.float64]
    held_out: Floats


class _Films:
    """The films to learn from, as the problems see them."""

    def __init__(
        self,
        embedding: NDArray[np.floating],
        source: Floats,
        labels: Bools,
        rows: NDArray[np.int64],
        groups: Groups | None,
        known: Bools | None,
    ) -> None:
        names = [groups[row] for row in rows] if groups else [""] * len(rows)
        few = least_films(labels, names, known=known)
        if few.min(initial=LEAST_FILMS) < LEAST_FILMS:
            raise CatalogueError(
                f"each genre needs {LEAST_FILMS} training films that have it and {LEAST_FILMS} that do not, those of "
                f"one group counted once; genre {int(few.argmin()) + 1} of {len(few)} has {few.min()} of one kind; "
                "add films or leave it out"
            )
        self.source, self.labels, self.known = source, labels, known
        self.basis = fit_basis(embedding, rows)
        self.features = self.basis.features(embedding, rows)
        self.total = np.float32(np.square(self.features).sum() / len(labels))  # variance of all features together
        self.folds = fold_of(labels, names)

    def known_of(self, genres: NDArray[np.int64]) -> Bools | None:
        """Where the labels of some genres are known."""
        return None if self.known is None else self.known[:, genres]


def _known_heads(films: _Films, genres: NDArray[np.int64], columns: list[int], progress: Progress) -> _Part:
    """Heads that start from the source's logits."""
    start, labels, known = films.source[:, columns], films.labels[:, genres], films.known_of(genres)
    variances, gains, errors = _choose(films, films.features, labels, start, known, progress)
    kept = ~(gains > LEAST_GAIN * errors)
    penalties = films.total / variances
    held_out = _held_out(films.features, labels, start, penalties, films.folds, known, progress)
    found = _solved(films.features, labels, start, penalties, known=known)
    mixing = np.zeros((films.source.shape[1], len(columns)), np.float32)
    mixing[columns, range(len(columns))] = np.where(kept, 1, found.slope)
    return _Part(
        np.where(kept, 0, found.weights),
        mixing,
        np.where(kept, 0, found.bias),
        np.where(kept, 0, variances),
        kept,
        gains,
        np.where(kept, start, held_out),
    )


def _new_heads(films: _Films, genres: NDArray[np.int64], progress: Progress) -> _Part:
    """Heads that start from nothing."""
    labels, start = films.labels[:, genres], np.zeros((len(films.labels), len(genres)), np.float32)
    known = films.known_of(genres)
    centre, width = films.source.mean(0), films.features.shape[1]
    share = films.total / films.source.shape[1]
    stretch = (np.sqrt(share) / np.maximum(films.source.std(0), 1e-3)).astype(np.float32)
    inputs = np.concatenate([films.features, (films.source - centre) * stretch], axis=1)
    variances, gains, _ = _choose(films, inputs, labels, start, known, progress)
    penalties = films.total / variances
    held_out = _held_out(inputs, labels, start, penalties, films.folds, known, progress)
    found = _solved(inputs, labels, start, penalties, known=known)
    mixing = stretch[:, None] * found.weights[width:]
    bias = found.bias - centre @ mixing
    return _Part(found.weights[:width], mixing, bias, variances, np.zeros(len(genres), bool), gains, held_out)


def fold_of(labels: Bools, groups: Sequence[str]) -> NDArray[np.int64]:
    """The fold of each film, int64 N in 0..FOLDS-1: every genre in all folds alike, films of a group in one."""
    item_of, counts = count_items(labels, groups)
    return np.asarray(stratify(counts, np.bincount(item_of), (1 / FOLDS,) * FOLDS)[item_of])


def _choose(
    films: _Films, features: Floats, labels: Bools, start: Floats, known: Bools | None, progress: Progress
) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
    """Each genre's variance, the nats it saves a film over the first of `VARIANCES`, and their standard error."""
    drawn = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), CHOICE_FILMS)).astype(int))
    features, labels, start, folds = features[drawn], labels[drawn], start[drawn], films.folds[drawn]
    genres, count = labels.shape[1], len(VARIANCES)
    many = np.repeat(labels, count, axis=1)
    counted = None if known is None else np.repeat(known[drawn], count, axis=1)
    penalties = np.tile(films.total / VARIANCES, genres)
    logits = _held_out(features, many, np.repeat(start, count, axis=1), penalties, folds, counted, progress)
    losses = np.logaddexp(0, np.where(many, -logits, logits))
    losses = np.where(True if counted is None else counted, losses, np.nan).reshape(-1, genres, count)
    means, places = np.asarray(np.nanmean(losses, 0, dtype=np.float64)), np.arange(genres)
    common = 1 + int(means[:, 1:].sum(0).argmin())
    own = 1 + means[:, 1:].argmin(1)

    def saved(than: NDArray[np.int64] | int, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        difference = losses[:, places, than] - losses[:, places, chosen]
        films = (~np.isnan(difference)).sum(0)
        deviation = np.nanstd(difference, 0, dtype=np.float64)
        return np.asarray(np.nanmean(difference, 0, dtype=np.float64)), np.asarray(deviation / np.sqrt(films))

    gain, error = saved(common, own)
    chosen = np.where(gain > OWN_GAIN * error, own, common)
    return VARIANCES[chosen], *saved(0, chosen)


def _held_out(
    features: Floats,
    labels: Bools,
    start: Floats,
    penalties: Floats,
    folds: NDArray[np.int64],
    known: Bools | None,
    progress: Progress,
) -> Floats:
    """Logits of each film from heads that did not learn from its fold, float32 N×C."""
    logits = np.empty(labels.shape, np.float32)
    for fold in range(FOLDS):
        out = folds == fold
        found = _solved(features, labels, start, penalties, used=~out, known=known)
        logits[out] = found.logits(features[out], start[out])
        progress("heads", fold + 1, FOLDS)
    return logits


def _solved(
    features: Floats,
    labels: Bools,
    start: Floats,
    penalties: Floats,
    *,
    used: Bools | None = None,
    known: Bools | None,
) -> Solutions:
    """`solve`, some columns at a time."""
    size = max(1, _CELLS // len(labels))
    parts = [
        solve(
            features,
            labels[:, at : at + size],
            start[:, at : at + size],
            penalties[at : at + size],
            slope_penalty=SLOPE_PENALTY,
            used=used,
            known=None if known is None else known[:, at : at + size],
        )
        for at in range(0, labels.shape[1], size)
    ]
    return Solutions(*(np.concatenate(values, axis=-1) for values in zip(*parts, strict=True)))
