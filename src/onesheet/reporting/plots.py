"""The report's plots: SVG in the page's colours, light or dark, and PNG on light paper; reproducible to the byte.

Draw inside `house_style()`. Each plot has a function that draws it into axes, for the sheets of `plot_sheets`, and one
that returns it as SVG, for the page.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.errors import require
from onesheet.evaluation.reliability import wilson_interval
from onesheet.evaluation.results import Bin, GenreResult
from onesheet.evaluation.threshold_steps import ThresholdSteps
from onesheet.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE, MODEL, OTHER = "C0", "C1", "C2", "C3", "C4"
# The cycle that these names stand for: in SVG stand-ins, replaced by the page's CSS variables once drawn.
VARIABLES = {
    "#010101": "--ink",
    "#020202": "--muted",
    "#030303": "--rule",
    "#040404": "--accent",
    "#050505": "--second",
}
LIGHT = ("#25241f", "#6d6a60", "#dcd8cc", "#1d5c88", "#b4531f")
PAPER = "#fdfcf9"
DOTS_PER_INCH = 144

CURVES = {"loss": "Loss", "precision": "Precision", "recall": "Recall", "map": "Mean average precision"}
"""The learning curves: column of `history.csv` -> title."""

BY_FILMS = {"roc_auc": "ROC-AUC, macro", "map": "Mean average precision, macro"}
"""The learning curves by films: column -> title."""

POINTS = {"balanced": "o", "precise": "^", "generous": "s", "exact": "X", "0.5": "D"}
"""Operating point -> its mark on a precision-recall curve."""

Curve = Sequence[tuple[float, float, float]]  # (recall, precision, threshold), recall rising

SMALL = (170, 140, 27, 20)
"""A small plot: width, height, left, bottom, as `new_axes` takes them."""

TOP = 1.02
"""Where the unit square's upright axis ends."""

SMALL_BOX = {"left": 27 / 170, "width": 135 / 170, "top": (8 + 112 * (1 - 1 / TOP)) / 140, "height": 112 / TOP / 140}
"""Where 0 to 1 is in a small plot, as shares of its width and height."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a genre may be called "$1"
    "text.color": INK,
    "font.sans-serif": ["DejaVu Sans"],  # measures the text; the page sets its own font
    "font.size": 10,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "figure.facecolor": "none",
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
}


@contextmanager
def house_style(*, on_paper: bool = False) -> Iterator[None]:
    """Matplotlib's settings for these drawings, whatever the user's own are; restored at the end.

    Args:
        on_paper: in the colours of light paper, for PNG; else in those that `as_svg` replaces.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", purpose="the report", extra="train")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=LIGHT if on_paper else tuple(VARIABLES))
        yield


def new_axes(width: float, height: float, left: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure and its axes, free space left of them and below; every length in SVG units (1/72 inch)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    box = (left / width, bottom / height, (width - left - 8) / width, (height - bottom - 8) / height)
    axes = figure.add_axes(box)
    axes.tick_params(length=0, labelsize=9)
    return figure, axes


def as_svg(figure: Figure, words: str) -> str:
    """Markup of one `<svg>`, without prologue, metadata, fixed size and group ids (which repeat between drawings)."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = words  # ids that differ by drawing, not by run
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", _slim, svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1).strip()


def write_png(path: Path, figure: Figure) -> None:
    """Write a drawing made in the style `on_paper`, whole or not at all."""
    with whole_file(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a genre may be written in any script
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER, metadata={"Software": None})


def _slim(tag: re.Match[str]) -> str:
    slim = re.sub(r'(?<=<g) id="[^"]*"|font-family: [^;"]*;? ?', "", tag[0])
    if slim.startswith("<svg"):
        slim = re.sub(r' (width|height|version|xmlns|xmlns:xlink)="[^"]*"', "", slim)
    slim = re.sub(r"(\d\.\d\d)\d+", r"\1", slim)  # hundredths of a pixel are enough
    return re.sub(r"\s+", " ", slim)


def learning_curve(history: Sequence[Mapping[str, float]], figure: str) -> str:
    """SVG: one figure by epoch, train (dashed) and validation, the chosen epoch marked.

    Args:
        history: rows with `epoch`, `train_<figure>`, `validation_<figure>` and `best` (1 = the chosen epoch).
        figure: "loss", "precision", "recall", "map", ….
    """
    drawing, axes = new_axes(270, 190, 38, 34)
    draw_learning(axes, history, figure)
    return as_svg(drawing, f"{figure} by epoch, train and validation")


def curve_by_films(rows: Sequence[Mapping[str, float]], metric: str) -> str:
    """SVG: a metric by the films that were learnt from, every draw a dot and their means a line.

    Args:
        rows: one per draw, with `films` and the metric.
        metric: a key of `BY_FILMS`.
    """
    drawing, axes = new_axes(270, 190, 38, 34)
    draw_by_films(axes, rows, metric)
    return as_svg(drawing, f"{BY_FILMS[metric]} by films learnt from")


def precision_recall(result: GenreResult) -> str:
    """SVG: a genre's precision-recall curve, the operating points on it, chance as a dashed line."""
    drawing, axes = new_axes(*SMALL)
    draw_precision_recall(axes, result)
    return as_svg(drawing, f"Precision-recall curve of {result.genre}")


def two_curves(one: Curve, other: Curve, *, share: float, genre: str) -> str:
    """SVG: the precision-recall curves of two models on the same films, small."""
    drawing, axes = new_axes(*SMALL)
    draw_curves(axes, [(one, MODEL), (other, OTHER)], share)
    return as_svg(drawing, f"Precision-recall curves of {genre} of both models")


def reliability(bins: Sequence[Bin]) -> str:
    """SVG: stated probability against true share, over a histogram (logarithmic) of how often each is stated."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(440 / 72, 340 / 72))
    draw_reliability_with_counts(drawing, bins)
    return as_svg(drawing, "Reliability diagram: stated probability against true share")


def genre_reliability(result: GenreResult) -> str:
    """SVG: the reliability diagram of one genre, small."""
    drawing, axes = new_axes(*SMALL)
    draw_genre_reliability(axes, result.reliability)
    return as_svg(drawing, f"Reliability diagram of {result.genre}")


def draw_learning(axes: Axes, history: Sequence[Mapping[str, float]], figure: str) -> None:
    """As `learning_curve`."""
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    for split, colour, dashes in (("train", OTHER, (0, (4, 2))), ("validation", MODEL, "solid")):
        values = [row.get(f"{split}_{figure}", math.nan) for row in history]
        axes.plot(epochs, values, color=colour, linestyle=dashes, marker="o", markersize=2.5, label=split)
    for row in history:
        if row.get("best"):
            axes.axvline(row["epoch"], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="the epoch kept")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("epoch")


def draw_by_films(axes: Axes, rows: Sequence[Mapping[str, float]], metric: str) -> None:
    """As `curve_by_films`."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    sizes = sorted({int(row["films"]) for row in rows})
    draws = [[row[metric] for row in rows if row["films"] == size] for size in sizes]
    axes.plot(sizes, [sum(values) / len(values) for values in draws], color=MODEL)
    for size, values in zip(sizes, draws, strict=True):
        axes.plot([size] * len(values), values, "o", color=OTHER, markersize=3, markeredgewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [_short(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("films learnt from")


def draw_precision_recall(axes: Axes, result: GenreResult) -> None:
    """As `precision_recall`."""
    draw_curves(axes, [(result.curve, MODEL)], result.share)
    for name, mark in reversed(POINTS.items()):  # balanced on top
        if name in result.at:
            point, size = result.at[name], 7 if name == "balanced" else 5
            place = [point.recall.value], [point.precision.value]
            # a point that has no thresholds is not on the curve, and is drawn apart
            colours = {"color": OTHER, "mew": 0} if point.threshold is not None else {"color": INK, "mfc": "none"}
            axes.plot(*place, mark, markersize=size, clip_on=False, label=name, **colours)


def draw_curves(axes: Axes, curves: Iterable[tuple[Curve, str]], share: float) -> None:
    """Precision-recall curves in steps, each in its colour, and the genre's share of the films."""
    axes.axhline(share, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    for curve, colour in curves:
        if curve:
            recall, precision, _ = zip(*curve, strict=True)
            steps = [0, *recall], [precision[0], *precision]
            axes.plot(*steps, color=colour, linewidth=1.4, drawstyle="steps-pre")
    unit_square(axes, ticks=(0, 0.5, 1))


def draw_reliability(axes: Axes, bins: Sequence[Bin], *, ticks: Sequence[float]) -> None:
    """Stated probability against true share."""
    filled = [one for one in bins if one.pairs]
    stated, true = [one.mean_probability for one in filled], [one.true_share for one in filled]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.plot(stated, true, color=MODEL)
    axes.scatter(stated, true, s=25, color=MODEL, clip_on=False, zorder=3, linewidths=0)
    unit_square(axes, ticks=ticks)


def draw_genre_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    """The same of one genre, with Wilson intervals, both axes as long as its probabilities need."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    if not bins:  # empty marks would leave the layout of a sheet no room
        axes.text(0.5, 0.5, "too few films", ha="center", va="center", fontsize=8, color=MUTED)
        unit_square(axes, ticks=(0, 0.5, 1))
        return
    intervals = [wilson_interval(one.true_share, one.pairs) for one in bins]
    stated = [one.mean_probability for one in bins]
    largest = max(*(high for _, high in intervals), *stated)
    end = next(end for end in (0.05, 0.1, 0.2, 0.5, 1.0) if end >= largest)
    axes.vlines(stated, [low for low, _ in intervals], [high for _, high in intervals], color=MODEL, alpha=0.45)
    axes.plot(stated, [one.true_share for one in bins], "o", color=MODEL, markersize=4, clip_on=False)
    unit_square(axes, ticks=(0, 0.5, 1), scale=end)


def draw_reliability_with_counts(drawing: Figure, bins: Sequence[Bin]) -> None:
    """As `reliability`, filling a figure of 440×340 units."""
    axes = drawing.add_axes((44 / 440, 130 / 340, 388 / 440, 202 / 340))
    axes.tick_params(length=0, labelsize=9, labelbottom=False)
    draw_reliability(axes, bins, ticks=(0, 0.2, 0.4, 0.6, 0.8, 1))
    axes.set_ylabel("films that have the genre")
    filled = [one for one in bins if one.pairs]
    counts = drawing.add_axes((44 / 440, 38 / 340, 388 / 440, 80 / 340))
    counts.bar(
        [one.low for one in filled], [one.pairs for one in filled],
        width=[one.high - one.low for one in filled], align="edge", color=RULE, edgecolor=MUTED, linewidth=0.5,
    )  # fmt: skip
    for one in filled:
        middle = (one.low + one.high) / 2
        counts.text(middle, one.pairs, _short(one.pairs), ha="center", va="bottom", fontsize=7.5, color=MUTED)
    counts.set(xlim=(0, 1), yscale="log", xlabel="stated probability", ylabel="pairs", yticks=[])
    counts.set(xticks=axes.get_xticks(), xticklabels=[label.get_text() for label in axes.get_yticklabels()])
    counts.tick_params(length=0, labelsize=9)
    counts.set_ylim(0.5, 8 * max([one.pairs for one in filled], default=1))
    counts.yaxis.minorticks_off()
    counts.grid(visible=False)


def draw_thresholds(axes: Axes, steps: ThresholdSteps) -> None:
    """A genre's precision and recall (dashed) by threshold, the balanced point as a dotted line."""
    shown = [place for place, predicted in enumerate(steps.predicted) if predicted]
    at = [steps.thresholds[place] for place in shown]
    axes.plot(at, [steps.right[place] / steps.predicted[place] for place in shown], color=MODEL, linewidth=1.4)
    recall = [right / max(steps.support, 1) for right in steps.right]
    axes.plot(steps.thresholds, recall, color=OTHER, linewidth=1.4, linestyle=(0, (4, 2)))
    if "balanced" in steps.points:
        axes.axvline(steps.thresholds[steps.points["balanced"]], color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    unit_square(axes, ticks=(0, 0.5, 1))


def unit_square(axes: Axes, *, ticks: Sequence[float], scale: float = 1.0) -> None:
    """Both axes from 0 to `scale`, with ticks at shares of it."""
    places = [scale * tick for tick in ticks]
    names = [f"{place:g}" for place in places]
    axes.set(xlim=(0, scale), ylim=(0, TOP * scale))
    axes.set(xticks=places, yticks=places, xticklabels=names, yticklabels=names)


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:,.0f}k"
