"""`compare.html`: two models side by side, in one page and one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import UnreadablePoster
from onesheet.evaluation.comparison import Comparison, Paired
from onesheet.evaluation.results import FEW_FILMS
from onesheet.images import open_poster
from onesheet.markup import THUMBNAIL_PIXELS
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
    """

    name: str
    paired: Paired
    percent: bool
    better: str


def paired_headlines(comparison: Comparison) -> Iterator[PairedHeadline]:
    """The report's headline metrics, as far as both models have them."""
    for name, point, key, lower_is_better, percent, _ in METRICS:
        paired = (comparison.ranking if point is None else comparison.at.get(point, {})).get(key)
        if paired:
            better = who_is_better(paired, lower_is_better=lower_is_better) if len(comparison.one) >= FEW_FILMS else ""
            yield PairedHeadline(name, paired, percent, better)


def who_is_better(paired: Paired, *, lower_is_better: bool = False) -> str:
    """Which model surely is better on a metric: "one", "other" or ""."""
    return {0: "", 1: "other", -1: "one"}[-paired.surely if lower_is_better else paired.surely]


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
        MissingExtra: jinja2 is not installed.
        OnesheetError: the file cannot be written.
    """
    order = np.argsort([-paired.one.value for paired in comparison.per_genre["average_precision"]], kind="stable")
    values = {
        "comparison": comparison,
        "conclusion": conclusion(comparison, name_one, name_other),
        "names": {"one": name_one, "other": name_other, "": "–"},
        "headlines": list(paired_headlines(comparison)),
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
