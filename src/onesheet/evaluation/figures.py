"""The report's drawings: SVG whose colours are the page's CSS variables, so that it follows light and dark.

Draw inside `house_style()`; every function returns the markup of one `<svg>`, the same bytes for the same figures.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from onesheet.errors import require
from onesheet.evaluation.results import Bin, GenreResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that matplotlib accepts as colours, replaced by CSS variables once drawn.
INK, MUTED, RULE, MODEL, OTHER = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", MODEL: "--accent", OTHER: "--second"}

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
def house_style() -> Iterator[None]:
    """Matplotlib's settings for these drawings, whatever the user's own are; given back at the end.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", purpose="the report", extra="train")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def learning_curve(history: Sequence[Mapping[str, float]], figure: str) -> str:
    """One figure by epoch, train (dashed) and validation, the chosen epoch marked.

    Args:
        history: rows with `epoch`, `train_<figure>`, `validation_<figure>` and `best` (1 = the chosen epoch).
        figure: "loss", "precision", "recall", "map", ….
    """
    from matplotlib.ticker import MaxNLocator

    drawing, axes = _axes(270, 190, left=38, bottom=34)
    epochs = [row["epoch"] for row in history]
    for part, colour, dashes in (("train", OTHER, (0, (4, 2))), ("validation", MODEL, "solid")):
        values = [row.get(f"{part}_{figure}", math.nan) for row in history]
        axes.plot(epochs, values, color=colour, linestyle=dashes, marker="o", markersize=2.5)
    for row in history:
        if row.get("best"):
            axes.axvline(row["epoch"], color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("epoch")
    return _svg(drawing, f"{figure} by epoch, train and validation")


def precision_recall(result: GenreResult, *, at: str = "balanced") -> str:
    """A genre's precision-recall curve, the operating point as a dot, chance as a dashed line."""
    drawing, axes = _axes(170, 140, left=27, bottom=20)
    axes.axhline(result.share, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    if result.curve:
        recall, precision, _ = zip(*result.curve, strict=True)
        axes.plot(recall, precision, color=MODEL, linewidth=1.4)
    point = result.at[at]
    axes.plot([point.recall.value], [point.precision.value], "o", color=OTHER, markersize=5, clip_on=False)
    _unit_square(axes, ticks=(0, 0.5, 1))
    return _svg(drawing, f"Precision-recall curve of {result.genre}")


def reliability(bins: Sequence[Bin]) -> str:
    """Stated probability against true share, over a histogram (logarithmic) of how often each is stated."""
    drawing, axes = _axes(440, 340, left=44, bottom=130)
    filled = [one for one in bins if one.pairs]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    stated = [one.mean_probability for one in filled]
    axes.plot(stated, [one.true_share for one in filled], color=MODEL, marker="o", markersize=5, clip_on=False)
    _unit_square(axes, ticks=(0, 0.2, 0.4, 0.6, 0.8, 1))
    axes.set_ylabel("films that have the genre")
    axes.tick_params(labelbottom=False)

    counts = drawing.add_axes((44 / 440, 38 / 340, (440 - 44 - 8) / 440, 80 / 340))
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
    return _svg(drawing, "Reliability diagram: stated probability against true share")


def _axes(width: float, height: float, *, left: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure and its axes; every length in SVG units (1/72 inch)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72))
    box = (left / width, bottom / height, (width - left - 8) / width, (height - bottom - 8) / height)
    axes = figure.add_axes(box)
    axes.tick_params(length=0, labelsize=9)
    return figure, axes


def _unit_square(axes: Axes, *, ticks: Sequence[float]) -> None:
    names = [f"{tick:g}" for tick in ticks]
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=ticks, yticks=ticks, xticklabels=names, yticklabels=names)


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:,.0f}k"


def _svg(figure: Figure, words: str) -> str:
    """Markup without prologue, metadata, fixed size and group ids (which repeat from drawing to drawing)."""
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


def _slim(tag: re.Match[str]) -> str:
    slim = re.sub(r'(?<=<g) id="[^"]*"|font-family: [^;"]*;? ?', "", tag[0])
    if slim.startswith("<svg"):
        slim = re.sub(r' (width|height|version|xmlns|xmlns:xlink)="[^"]*"', "", slim)
    slim = re.sub(r"(\d\.\d\d)\d+", r"\1", slim)  # hundredths of a pixel are enough
    return re.sub(r"\s+", " ", slim)
