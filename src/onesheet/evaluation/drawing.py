"""The house style of every drawing: SVG that follows the page's light and dark, PNG on light paper.

Draw inside `house_style()`; a drawing is the same bytes for the same figures.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onesheet.errors import require
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
    """Matplotlib's settings for these drawings, whatever the user's own are; given back at the end.

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


def new_axes(width: float, height: float, *, left: float, bottom: float) -> tuple[Figure, Axes]:
    """A figure and its axes; every length in SVG units (1/72 inch)."""
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
