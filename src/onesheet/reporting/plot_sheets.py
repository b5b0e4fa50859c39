"""The report's plots as whole sheets, for PNG: drawn inside `house_style(on_paper=True)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from onesheet.evaluation.confusion import similarity_order
from onesheet.evaluation.results import Evaluation, GenreResult, Score
from onesheet.evaluation.slices import Slice
from onesheet.evaluation.threshold_steps import ThresholdSteps
from onesheet.reporting import plots
from onesheet.reporting.contrast import text_on
from onesheet.reporting.plots import INK, LIGHT, MODEL, MUTED, OTHER, PAPER
from onesheet.reporting.verdict import Headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AT_POINT = ("precision", "recall", "f1", "accuracy")
ACROSS = 6  # small plots a row
NAME_LETTERS = 28  # of a genre; longer ones would leave no room for the plot
Item = TypeVar("Item")


def headline(heads: Sequence[Headline]) -> Figure:
    """The headline metrics with their intervals, the baselines as strokes."""
    marks = [one.baseline[1].value if one.baseline else math.nan for one in heads]
    return _intervals({"": [(one.name, one.score, mark) for one, mark in zip(heads, marks, strict=True)]})


def genres(results: Sequence[GenreResult]) -> Figure:
    """Average precision (chance as strokes) and F1 at the balanced point (predicting it for all), by genre."""
    return _intervals({
        "Average precision": [(one.genre, one.average_precision, one.share) for one in results],
        "F1 at the balanced point": [
            (one.genre, one.at["balanced"].f1, 2 * one.share / (1 + one.share)) for one in results
        ],
    })  # fmt: skip


def slices(kinds: Mapping[str, Sequence[Slice]]) -> Figure:
    """Micro-F1 and the first guess of each slice."""
    rows = [(f"{kind}: {one.name}", one.metrics) for kind, group in kinds.items() for one in group]
    titles = {"micro_f1": "Micro-F1 at the balanced point", "top1_hit": "First guess right"}
    return _intervals({title: [(name, found[key], math.nan) for name, found in rows] for key, title in titles.items()})


def learning(history: Sequence[Mapping[str, float]]) -> Figure:
    """The four learning curves."""

    def draw(axes: Axes, item: tuple[str, str]) -> None:
        plots.draw_learning(axes, history, item[0])

    sheet = _multiples(list(plots.CURVES.items()), lambda item: item[1], draw, across=2, width=270, height=200)
    sheet.axes[0].legend(fontsize=7, frameon=False)
    return sheet


def by_films(rows: Sequence[Mapping[str, float]]) -> Figure:
    """The learning curves by films."""

    def draw(axes: Axes, item: tuple[str, str]) -> None:
        plots.draw_by_films(axes, rows, item[0])

    return _multiples(list(plots.BY_FILMS.items()), lambda item: item[1], draw, across=2, width=270, height=200)


def precision_recall(results: Sequence[GenreResult]) -> Figure:
    """The precision-recall curve of every genre with its operating points."""
    sheet = _multiples(results, lambda one: one.genre, plots.draw_precision_recall)
    sheet.axes[0].legend(fontsize=6, frameon=False)
    return sheet


def reliability(evaluation: Evaluation) -> Figure:
    """The reliability diagram of all genres pooled, and of each."""

    def draw(axes: Axes, one: GenreResult | Evaluation) -> None:
        if isinstance(one, Evaluation):
            plots.draw_reliability(axes, one.reliability, ticks=(0, 0.5, 1))
        else:
            plots.draw_genre_reliability(axes, one.reliability)

    everything: list[GenreResult | Evaluation] = [evaluation, *evaluation.per_genre]
    return _multiples(everything, lambda one: "all genres" if isinstance(one, Evaluation) else one.genre, draw)


def thresholds(steps: Mapping[str, ThresholdSteps]) -> Figure:
    """Precision and recall (dashed) of every genre by threshold."""
    return _multiples(
        list(steps.items()), lambda item: item[0], lambda axes, item: plots.draw_thresholds(axes, item[1])
    )


def balance(names: Sequence[str], splits: Mapping[str, Sequence[int]]) -> Figure:
    """Each genre's share of all labels, a bar for each split."""
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(7, 1 + 0.28 * len(names)), layout="constrained")
    axes = sheet.add_subplot()
    height = 0.8 / max(len(splits), 1)
    for number, ((split, films), colour) in enumerate(zip(splits.items(), (MODEL, OTHER, MUTED, INK), strict=False)):
        shares = np.array(films) / max(sum(films), 1)
        axes.barh(np.arange(len(names)) + number * height, shares, height, color=colour, label=split)
    axes.set(
        yticks=np.arange(len(names)) + 0.4 - height / 2,
        yticklabels=[*map(_short, names)],
        xlabel="share of the split’s genre labels",
    )
    axes.invert_yaxis()
    axes.legend(fontsize=8, frameon=False)
    return sheet


def confusion(evaluation: Evaluation) -> Figure:
    """For the films with the row's genre, the share for which the column's is predicted."""
    support = np.array([one.support for one in evaluation.per_genre], dtype=float)
    return _heats({"": _of(np.array(evaluation.confusion, dtype=float), support)}, evaluation)


def cooccurrence(evaluation: Evaluation) -> Figure:
    """Which genres go together: in truth and as predicted, in shares of the row's genre."""
    tables = {"True": evaluation.cooccurrence_true, "Predicted": evaluation.cooccurrence_predicted}
    shares = {name: _of(np.array(table, float), np.diagonal(np.array(table, float))) for name, table in tables.items()}
    return _heats(shares, evaluation)


def _short(name: str) -> str:
    return name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"


def _of(counts: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    part = np.zeros_like(counts)
    return np.divide(counts, whole[:, None], out=part, where=whole[:, None] > 0)


def _multiples(
    items: Sequence[Item],
    title: Callable[[Item], str],
    draw: Callable[[Axes, Item], None],
    *,
    across: int = ACROSS,
    width: float = 150,
    height: float = 140,
) -> Figure:
    """Small plots of one kind, `width` × `height` units each."""
    from matplotlib.figure import Figure

    columns = min(across, len(items))
    rows = math.ceil(len(items) / columns)
    sheet = Figure(figsize=(columns * width / 72, rows * height / 72), layout="constrained")
    for number, item in enumerate(items, 1):
        axes = sheet.add_subplot(rows, columns, number)
        axes.tick_params(length=0, labelsize=8)
        axes.set_title(_short(title(item)))
        draw(axes, item)
    return sheet


def _intervals(columns: Mapping[str, Sequence[tuple[str, Score, float]]]) -> Figure:
    """One column of plots a title: (name, metric, its baseline) from top to bottom."""
    from matplotlib.figure import Figure

    most = max(len(rows) for rows in columns.values())
    sheet = Figure(figsize=(3 + 3.4 * len(columns), 0.9 + 0.28 * most), layout="constrained")
    for number, (title, rows) in enumerate(columns.items(), 1):
        axes = sheet.add_subplot(1, len(columns), number)
        names, scores, marks = zip(*rows, strict=True)
        places = np.arange(len(rows))
        axes.hlines(places, [s.low for s in scores], [s.high for s in scores], color=MODEL, linewidth=4, alpha=0.45)
        axes.plot([score.value for score in scores], places, "o", color=MODEL, markersize=5)
        axes.plot(marks, places, "|", color=OTHER, markersize=10, markeredgewidth=2)
        axes.set(yticks=places, yticklabels=[*map(_short, names)] if number == 1 else [], xlim=(0, 1), title=title)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return sheet


def _heats(tables: Mapping[str, NDArray[np.float64]], evaluation: Evaluation) -> Figure:
    """Tables G×G of shares, genres in the order of their similarity."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    paper_to_blue = LinearSegmentedColormap.from_list("paper to blue", [PAPER, LIGHT[3]])
    order = similarity_order(evaluation.confusion)
    names = [_short(evaluation.genres[genre]) for genre in order]
    side = 2.4 + 0.26 * len(names)
    sheet = Figure(figsize=(side * len(tables), side), layout="constrained")
    for number, (title, shares) in enumerate(tables.items(), 1):
        axes = sheet.add_subplot(1, len(tables), number)
        ordered = shares[np.ix_(order, order)]
        axes.imshow(ordered, cmap=paper_to_blue, vmin=0, vmax=1)
        axes.set(xticks=range(len(names)), yticks=range(len(names)), yticklabels=names, title=title)
        axes.set_xticklabels(names, rotation=90)
        axes.grid(visible=False)
        for (row, column), share in np.ndenumerate(ordered):
            if share >= 0.05:
                colour = text_on(float(share), "light")
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6, color=colour)
    return sheet
