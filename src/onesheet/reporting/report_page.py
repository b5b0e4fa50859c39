"""`report.html`: one page in one file: how good a model is, in three minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.confusion import similarity_order
from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.results import FEW_FILMS, Evaluation, GenreResult
from onesheet.evaluation.slices import Slice
from onesheet.evaluation.threshold_steps import ThresholdSteps
from onesheet.reporting import plots
from onesheet.reporting.page import write_page
from onesheet.reporting.plots import house_style
from onesheet.reporting.verdict import JUDGEMENTS, always, headlines, judge, tiles, verdict


@dataclass(frozen=True)
class Example:
    """A poster shown in the report.

    Attributes:
        poster: uint8 h×w×3.
        title: the film's title.
        true, predicted: genre names; predicted at the balanced point.
        probabilities: genre -> probability.
        kind: the group it is shown in; "sample" for the threshold explorer and the confusion table.
        heat: a genre and its heat map over the poster, uint8 h×w×3; None where the model has none.
        doubted: genres whose labels are suspect.
    """

    poster: NDArray[np.uint8]
    title: str
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: Mapping[str, float]
    kind: Literal["best", "worst", "suspect", "sample"]
    heat: tuple[str, NDArray[np.uint8]] | None = None
    doubted: tuple[str, ...] = ()


def write_report(
    path: str | Path,
    *,
    evaluation: Evaluation,
    history: Sequence[Mapping[str, float]],
    by_films: Sequence[Mapping[str, float]],
    balance: Mapping[str, Sequence[int]],
    steps: Mapping[str, ThresholdSteps],
    slices: Mapping[str, Sequence[Slice]],
    suspects: Sequence[SuspectLabel] | None,
    examples: Sequence[Example],
    findings: Mapping[str, tuple[int, str]] | None,
    audit: str | None,
    facts: Mapping[str, str],
) -> None:
    """Write the report: self-contained, the same bytes for the same input.

    Args:
        path: the HTML file.
        evaluation: the metrics.
        history: one row per epoch, `history.csv` as numbers; empty where nothing was trained.
        by_films: one row per draw, with what heads from so many films reach; empty where that was not measured.
        balance: split -> films per genre, in the evaluation's genre order.
        steps: genre -> what its thresholds give, for the threshold explorer.
        slices: what films have in common ("Decade") -> its slices; empty where nothing is known.
        suspects: suspected label errors; None where the films are not held out.
        examples: posters, in the order to be shown.
        findings: flag -> how many, and the flag in a sentence; None where no audit is known.
        audit: the audit page, as a path from the report's folder; None where there is none.
        facts: what else to state, in order (model, posters, training time, …).

    Raises:
        MissingExtra: jinja2 or matplotlib is not installed.
        OnesheetError: the file cannot be written.
    """
    order = similarity_order(evaluation.confusion)
    values = {
        "evaluation": evaluation,
        "verdict": verdict(evaluation),
        "judgements": JUDGEMENTS,
        "tiles": list(tiles(evaluation)),
        "chart": _by_f1(evaluation),
        "headlines": list(headlines(evaluation)),
        "genres": _by_average_precision(evaluation),
        "order": order,
        "confusion": _shares(evaluation.confusion, [one.support for one in evaluation.per_genre], order),
        "pairs": [
            ("True", _shares(evaluation.cooccurrence_true, None, order)),
            ("Predicted", _shares(evaluation.cooccurrence_predicted, None, order)),
        ],
        "box": plots.SMALL_BOX,
        "few_films": FEW_FILMS,
        "history": history,
        "balance": _balance(balance),
        "steps": steps,
        "slices": slices,
        "suspects": suspects,
        "examples": [(example, _bars(example)) for example in examples if example.kind != "sample"],
        "sample": [_sampled(example, evaluation.genres) for example in examples if example.kind == "sample"],
        "findings": findings,
        "audit": audit,
        "facts": facts,
    }
    write_page(path, "report.html", values | _drawings(evaluation, history, by_films))


def _drawings(
    evaluation: Evaluation, history: Sequence[Mapping[str, float]], by_films: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    results = evaluation.per_genre
    with house_style():
        return {
            "curves": {name: plots.learning_curve(history, key) for key, name in plots.CURVES.items() if history},
            "by_films": {name: plots.curve_by_films(by_films, key) for key, name in plots.BY_FILMS.items() if by_films},
            "precision_recall": {result.genre: plots.precision_recall(result) for result in results},
            "reliability": plots.reliability(evaluation.reliability),
            "genre_reliability": {result.genre: plots.genre_reliability(result) for result in results},
        }


def _by_f1(evaluation: Evaluation) -> list[tuple[GenreResult, float]]:
    """(genre, the F1 of predicting it for every film), best F1 at the balanced point first, too few films last."""
    scores = {one.genre: np.nan_to_num(one.at["balanced"].f1.value, nan=-1.0) for one in evaluation.per_genre}
    results = sorted(evaluation.per_genre, key=lambda one: (judge(one) == "few", -scores[one.genre]))
    return [(result, always(result)) for result in results]


def _by_average_precision(evaluation: Evaluation) -> list[tuple[Any, str]]:
    results = sorted(evaluation.per_genre, key=lambda one: -np.nan_to_num(one.average_precision.value, nan=-1.0))
    return [(result, judge(result)) for result in results]


def _shares(
    counts: Sequence[Sequence[float]], wholes: Sequence[int] | None, order: Sequence[int]
) -> list[list[tuple[float, float]]]:
    """Each cell as (count, share of its row's whole, or of its row's diagonal), genres in an order."""
    table = np.array(counts, dtype=float)[np.ix_(order, order)]
    whole = table.diagonal() if wholes is None else np.array(wholes, dtype=float)[order]
    shares = np.divide(table, whole[:, None], out=np.zeros_like(table), where=whole[:, None] > 0)
    return [list(zip(*rows, strict=True)) for rows in zip(table.tolist(), shares.tolist(), strict=True)]


def _balance(balance: Mapping[str, Sequence[int]]) -> dict[str, list[tuple[int, float, float]]]:
    """Split -> per genre (films, share of the split's labels, the same scaled so that the longest bar is 1)."""
    shares = {split: np.array(films) / max(sum(films), 1) for split, films in balance.items()}
    longest = max((float(share.max(initial=0)) for share in shares.values()), default=0) or 1
    return {
        split: [(n, share, share / longest) for n, share in zip(films, shares[split].tolist(), strict=True)]
        for split, films in balance.items()
    }


def _bars(example: Example, *, most: int = 5) -> list[tuple[str, float, str]]:
    """(genre, probability, "hit" | "missed" | "wrong" | ""): the most probable, and all true or predicted ones."""
    ranked = sorted(example.probabilities, key=lambda genre: -example.probabilities[genre])
    always = {*example.true, *example.predicted, *example.doubted}
    shown = [genre for place, genre in enumerate(ranked) if place < most or genre in always]
    marks = {(True, True): "hit", (True, False): "missed", (False, True): "wrong", (False, False): ""}
    return [
        (genre, example.probabilities[genre], marks[genre in example.true, genre in example.predicted])
        for genre in shown
    ]


def _sampled(example: Example, genres: Sequence[str]) -> tuple[Example, list[int], list[int], list[float]]:
    """A poster of the sample, the columns of its true and of its predicted genres, its probabilities by column."""
    true, predicted = (
        [column for column, genre in enumerate(genres) if genre in chosen]
        for chosen in (example.true, example.predicted)
    )
    return example, true, predicted, [example.probabilities[genre] for genre in genres]
