"""What every page of this room is made with: its templates, its filters, its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onesheet.errors import require
from onesheet.evaluation.caveats import in_counts
from onesheet.evaluation.results import GenreResult, Score
from onesheet.files import write_text
from onesheet.markup import picture
from onesheet.reporting.contrast import SCHEMES, text_on


def write_page(path: str | Path, template: str, values: Mapping[str, Any]) -> None:
    """Fill a template; everything in it is escaped, and a value that it lacks is an error.

    Raises:
        MissingExtra: jinja2 is not installed.
        OnesheetError: the file cannot be written.
    """
    jinja2 = require("jinja2", purpose="the report", extra="adapt")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onesheet.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=_number,
        interval=_interval,
        percent=_percent,
        spark=_spark,
        picture=picture,
        signed=_signed,
        text_on=_text_on,
        in_counts=_in_counts,
    )
    page = environment.get_template(template).render(values)
    # A file name may hold bytes that are no letters; they become "?".
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}%" if math.isfinite(value) else "–"


def _in_counts(result: GenreResult) -> str:
    point = result.at["balanced"]
    return in_counts(result.support, point.predicted, point.right)


def _text_on(share: float) -> str:
    """Classes of a heat table's cell: where its text is white."""
    return " ".join(f"white-in-{scheme}" for scheme in SCHEMES if text_on(share, scheme) == "white")


def _interval(score: Score, percent: bool = False, digits: int = 3) -> str:
    """The interval alone, "" where undefined."""
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return ""
    if percent:
        return f"{100 * score.low:.1f}–{100 * score.high:.1f}%"
    return f"{score.low:.{digits}f}–{score.high:.{digits}f}"


def _spark(score: Score, baseline: float | None = None) -> dict[str, float] | None:
    """Places on a line of 100 units: the interval, the metric, and what a baseline reaches."""
    places = {"low": score.low, "value": score.value, "high": score.high}
    if baseline is not None and math.isfinite(baseline):
        places["baseline"] = baseline
    if not all(math.isfinite(place) for place in places.values()):
        return None
    return {name: round(100 * min(max(place, 0.0), 1.0), 1) for name, place in places.items()}
