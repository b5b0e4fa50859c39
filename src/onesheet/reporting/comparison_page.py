"""`compare.html`: two models side by side, in one page and one file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import UnreadablePoster
from onesheet.evaluation.comparison import Comparison, Paired
from onesheet.evaluation.ranking_metrics import precision_recall_curve
from onesheet.evaluation.results import FEW_FILMS, Score
from onesheet.images import open_poster
from onesheet.markup import THUMBNAIL_PIXELS
from onesheet.reporting import plots
from onesheet.reporting.page import write_page
from onesheet.reporting.verdict import METRICS

SHOWN = 24
"""Posters of each kind in the page, at most."""

GENRE_METRICS = {"average_precision": "Average precision", "roc_auc": "ROC AUC", "f1": "F1"}


@dataclass(frozen=True, slots=True)
class PairedHeadline:
    """One headline metric of both models.

    Attributes:
        name: what it is called.
        paired: both values and their difference.
        percent: whether the metric reads better as a percentage.
        better: which model surely is: "one", "other", or "" where the interval of the difference holds 0, or the
            films are too few to say.
        lower_is_better: whether the smaller of the two is the better one.
    """

    name: str
    paired: Paired
    percent: bool
    better: str
    lower_is_better: bool


def paired_headlines(comparison: Comparison) -> Iterator[PairedHeadline]:
    """The report's headline metrics, as far as both models have them."""
    for name, point, key, lower_is_better, percent, _ in METRICS:
        paired = (comparison.ranking if point is None else comparison.at.get(point, {})).get(key)
        if paired:
            better = who_is_better(paired, lower_is_better=lower_is_better) if len(comparison.one) >= FEW_FILMS else ""
            yield PairedHeadline(name, paired, percent, better, lower_is_better)


def who_is_better(paired: Paired, *, lower_is_better: bool = False) -> str:
    """Which model surely is better on a metric: "one", "other" or ""."""
    return {0: "", 1: "other", -1: "one"}[-paired.surely if lower_is_better else paired.surely]


def places(difference: Score, limit: float, *, lower_is_better: bool = False) -> dict[str, float] | None:
    """Where a difference is on a line of 100 units whose middle is 0 and whose right half is "the other is better".

    Args:
        difference: the other's metric less the one's.
        limit: the difference at the right end, > 0.
        lower_is_better: whether the metric is.

    Example:
        >>> places(Score(0.1, 0.0, 0.2), 0.2)
        {'low': 50.0, 'value': 75.0, 'high': 100.0}
        >>> places(Score(0.1, 0.0, 0.2), 0.2, lower_is_better=True)
        {'low': 0.0, 'value': 25.0, 'high': 50.0}
    """
    ends = difference.low, difference.high
    shares = [difference.value if not math.isfinite(end) else end for end in ends] + [difference.value]
    if not math.isfinite(difference.value):
        return None
    low, high, value = (
        round(50 + 50 * min(max((-share if lower_is_better else share) / limit, -1), 1), 1) for share in shares
    )
    return {"low": min(low, high), "value": value, "high": max(low, high)}


def _limit(differences: Iterable[Score]) -> float:
    """The end of a line on which all of them have room."""
    ends = (abs(end) for one in differences for end in (one.low, one.value, one.high) if math.isfinite(end))
    return max(ends, default=0) or 1.0


def conclusion(comparison: Comparison, name_one: str, name_other: str) -> str:
    """The comparison in one sentence, by mean average precision."""
    paired = comparison.ranking["macro_average_precision"]
    if not comparison.draws:
        return "Measured without intervals, so without a verdict."
    if len(comparison.one) < FEW_FILMS:
        return f"Too few films to say which is better: {len(comparison.one)}, where {FEW_FILMS} are needed."
    gain = f"{abs(paired.difference.value):.3f} of mean average precision"
    if better := who_is_better(paired):
        winner, loser = (name_one, name_other) if better == "one" else (name_other, name_one)
        return f"{winner} ranks films better than {loser}, by {gain}."
    return f"No sure difference between {name_one} and {name_other}: {gain}, which may be luck."


def write_comparison(path: str | Path, comparison: Comparison, *, name_one: str, name_other: str) -> None:
    """Write the page: self-contained, the same bytes for the same input.

    Args:
        path: the HTML file.
        comparison: of the two.
        name_one, name_other: what to call them.

    Raises:
        MissingExtra: jinja2 or matplotlib is not installed.
        OnesheetError: the file cannot be written.
    """
    order = np.argsort([-paired.one.value for paired in comparison.per_genre["average_precision"]], kind="stable")
    headlines = list(paired_headlines(comparison))
    values = {
        "comparison": comparison,
        "conclusion": conclusion(comparison, name_one, name_other),
        "names": {"one": name_one, "other": name_other, "": "–"},
        "headlines": headlines,
        "places": places,
        "limit": _limit(one.paired.difference for one in headlines),
        "genre_limit": _limit(one.difference for key in GENRE_METRICS for one in comparison.per_genre[key]),
        "curves": _curves(comparison),
        "genre_metrics": GENRE_METRICS,
        "genres": [
            (genre, comparison.support[column], {key: comparison.per_genre[key][column] for key in GENRE_METRICS})
            for column, genre in ((int(column), comparison.genres[column]) for column in order)
        ],
        "alone": [
            (name, len(rows), [_film(comparison, row) for row in rows[:SHOWN]])
            for name, rows in ((name_one, comparison.only_one), (name_other, comparison.only_other))
        ],
        "who_is_better": who_is_better,
        "few_films": FEW_FILMS,
    }
    write_page(path, "compare.html", values)


def _curves(comparison: Comparison) -> dict[str, str]:
    """Genre -> the precision-recall curves of both, one over the other, as SVG."""
    both = (comparison.one, comparison.other)
    with plots.house_style():
        return {
            genre: plots.two_curves(
                *(precision_recall_curve(*one.of_genre(column)) for one in both),
                share=comparison.support[column] / max(len(comparison.one), 1),
                genre=genre,
            )
            for column, genre in enumerate(comparison.genres)
        }


def _film(comparison: Comparison, row: int) -> dict[str, Any]:
    both = {"one": comparison.one, "other": comparison.other}
    film = comparison.one
    return {
        "title": film.titles[row] or film.film_ids[row],
        "poster": _poster(film.posters[row]),
        "true": film.genres.decode(film.labels[[row]])[0],
        "predicted": {name: each.genres.decode(each.predicted["balanced"][[row]])[0] for name, each in both.items()},
    }


def _poster(path: str) -> NDArray[np.uint8] | None:
    """The poster's pixels, None where its file is not there any more."""
    width, height = THUMBNAIL_PIXELS
    try:
        return np.asarray(open_poster(path, at_least=(height, width)).picture)
    except UnreadablePoster:
        return None
