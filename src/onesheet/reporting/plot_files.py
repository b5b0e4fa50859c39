"""`plots/`: every plot of the report as PNG and its numbers as CSV, the same bytes for the same input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.predictions_file import Predictions
from onesheet.evaluation.results import Bin, Evaluation, Score
from onesheet.evaluation.slices import METRICS, Slice
from onesheet.evaluation.threshold_steps import ThresholdSteps
from onesheet.files import whole_file
from onesheet.reporting import plot_sheets as panels
from onesheet.reporting.plots import BY_FILMS, CURVES, house_style, write_png
from onesheet.reporting.verdict import headlines
from onesheet.spreadsheets import Writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTERVAL = ("value", "low", "high")
Row = Sequence[object]


@dataclass(frozen=True)
class Sheet:
    """One plot and its numbers.

    Attributes:
        heads: of the columns.
        rows: of the CSV; without any the sheet is left out.
        draw: makes the plot; None where the report has a list in its place.
    """

    heads: tuple[str, ...]
    rows: Iterable[Row]
    draw: Callable[[], Figure] | None = None


def write_sheets(
    folder: Path,
    *,
    evaluation: Evaluation,
    history: Sequence[Mapping[str, float]],
    by_films: Sequence[Mapping[str, float]],
    balance: Mapping[str, Sequence[int]],
    steps: Mapping[str, ThresholdSteps],
    slices: Mapping[str, Sequence[Slice]],
    suspects: Sequence[SuspectLabel] | None,
    predictions: Predictions,
) -> None:
    """Write the sheets that have something to show, and take away those of an earlier evaluation that do not.

    Args:
        folder: made where it is not there.
        predictions: of the suspects' films.
        evaluation, history, by_films, balance, steps, slices, suspects: as `report.write_report`.

    Raises:
        MissingExtra: matplotlib is not installed.
        OnesheetError: the folder cannot be written.
    """
    sheets = {
        **_measured(evaluation),
        **_tables(evaluation),
        "learning": _learning(history),
        "films": Sheet(
            heads := ("films", "draw", *BY_FILMS),
            [[row[head] for head in heads] for row in by_films],
            lambda: panels.by_films(by_films),
        ),
        "balance": Sheet(
            ("genre", *balance),
            list(zip(evaluation.genres, *balance.values(), strict=True)),
            lambda: panels.balance(evaluation.genres, balance),
        ),
        "thresholds": _thresholds(steps),
        "slices": _slices(slices),
        "suspects": _suspects(suspects or (), predictions),
    }
    with house_style(on_paper=True):
        for name, sheet in sheets.items():
            rows = list(sheet.rows)
            for suffix in (".csv", ".png"):
                (folder / name).with_suffix(suffix).unlink(missing_ok=True)
            if rows:
                _write_csv(folder / f"{name}.csv", sheet.heads, rows)
            if rows and sheet.draw:
                write_png(folder / f"{name}.png", sheet.draw())


def _measured(evaluation: Evaluation) -> dict[str, Sheet]:
    """Headline metrics, genres, operating points and curves."""
    heads = list(headlines(evaluation))
    results = evaluation.per_genre
    metrics = ("average_precision", "roc_auc", "calibration_error")
    return {
        "headline": Sheet(
            ("metric", *INTERVAL, "baseline", *(f"its {name}" for name in INTERVAL)),
            [
                [h.name, *_three(h.score), *([h.baseline[0], *_three(h.baseline[1])] if h.baseline else [])]
                for h in heads
            ],
            lambda: panels.headline(heads),
        ),
        "genres": Sheet(
            ("genre", "films", "share", *(f"{metric} {name}" for metric in metrics for name in INTERVAL)),
            [[r.genre, r.support, r.share, *(x for f in metrics for x in _three(getattr(r, f)))] for r in results],
            lambda: panels.genres(results),
        ),
        "operating-points": Sheet(
            ("genre", "point", "threshold", "predicted", *(f"{f} {n}" for f in panels.AT_POINT for n in INTERVAL)),
            [
                [
                    r.genre,
                    name,
                    at.threshold,
                    at.predicted,
                    *(x for f in panels.AT_POINT for x in _three(getattr(at, f))),
                ]
                for r in results
                for name, at in r.at.items()
            ],
        ),
        "precision-recall": Sheet(
            ("genre", "recall", "precision", "threshold"),
            [[result.genre, *point] for result in results for point in result.curve],
            lambda: panels.precision_recall(results),
        ),
        "reliability": Sheet(
            ("genre", "low", "high", "pairs", "mean probability", "true share"),
            [*_bins("all", evaluation.reliability), *(row for r in results for row in _bins(r.genre, r.reliability))],
            lambda: panels.reliability(evaluation),
        ),
    }


def _tables(evaluation: Evaluation) -> dict[str, Sheet]:
    """What is taken for what, and what goes together."""
    genres = evaluation.genres
    both = zip(evaluation.cooccurrence_true, evaluation.cooccurrence_predicted, strict=True)
    return {
        "confusion": Sheet(
            ("films with", *genres),
            [[name, *row] for name, row in zip(genres, evaluation.confusion, strict=True)],
            lambda: panels.confusion(evaluation),
        ),
        "co-occurrence": Sheet(
            ("genre", "other genre", "films", "films predicted both"),
            [
                [genre, other, true, predicted]
                for genre, rows in zip(genres, both, strict=True)
                for other, true, predicted in zip(genres, *rows, strict=True)
            ],
            lambda: panels.cooccurrence(evaluation),
        ),
    }


def _learning(history: Sequence[Mapping[str, float]]) -> Sheet:
    """What is drawn, without the seconds of `history.csv`, which no two runs share."""
    heads = ("epoch", *(f"{split}_{metric}" for metric in CURVES for split in ("train", "validation")), "best")
    rows = [[row.get(head, math.nan) for head in heads] for row in history]
    return Sheet(heads, rows, lambda: panels.learning(history))


def _thresholds(steps: Mapping[str, ThresholdSteps]) -> Sheet:
    return Sheet(
        ("genre", "threshold", "predicted", "right", "support"),
        [
            [genre, *row, one.support]
            for genre, one in steps.items()
            for row in zip(one.thresholds, one.predicted, one.right, strict=True)
        ],
        lambda: panels.thresholds(steps),
    )


def _slices(slices: Mapping[str, Sequence[Slice]]) -> Sheet:
    return Sheet(
        ("kind", "slice", "films", *(f"{metric} {name}" for metric in METRICS for name in INTERVAL)),
        [
            [kind, one.name, one.films, *(x for metric in METRICS for x in _three(one.metrics[metric]))]
            for kind, group in slices.items()
            for one in group
        ],
        lambda: panels.slices(slices),
    )


def _suspects(suspects: Sequence[SuspectLabel], predictions: Predictions) -> Sheet:
    return Sheet(
        ("film_id", "title", "genre", "labelled", "probability", "score"),
        [
            [
                predictions.film_ids[one.film], predictions.titles[one.film], predictions.genres.names[one.genre],
                "yes" if one.labelled else "no", f"{one.probability:.6g}", f"{one.score:.6g}",
            ]
            for one in suspects
        ],
    )  # fmt: skip


def _bins(genre: str, bins: Sequence[Bin]) -> list[Row]:
    return [[genre, one.low, one.high, one.pairs, one.mean_probability, one.true_share] for one in bins if one.pairs]


def _three(score: Score) -> tuple[float, float, float]:
    return score.value, score.low, score.high


def _write_csv(path: Path, heads: Row, rows: Sequence[Row]) -> None:
    def plain(value: Any) -> Any:
        return "" if isinstance(value, float) and value != value else value

    with whole_file(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = Writer(file)
        writer.write(heads)
        for row in rows:
            writer.write(plain(value) for value in row)
