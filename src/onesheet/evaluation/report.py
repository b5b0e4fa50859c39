"""`report.html`: one page, one file, that tells how good a model is to a person with three minutes."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onesheet.errors import require
from onesheet.evaluation import figures
from onesheet.evaluation.headline import headlines
from onesheet.evaluation.results import Evaluation, Score
from onesheet.evaluation.verdict import JUDGEMENTS, judge, verdict
from onesheet.files import write_text

THUMBNAIL_PIXELS = (200, 300)
"""Largest width and height of a poster in the report."""


@dataclass(frozen=True)
class Example:
    """A poster shown in the report.

    Attributes:
        poster: uint8 h×w×3.
        title: the film's title.
        true, given: genre names; given at the balanced point.
        probabilities: genre -> probability.
        f1: how well given fits true, in [0, 1].
        kind: the group it is shown in.
    """

    poster: NDArray[np.uint8]
    title: str
    true: tuple[str, ...]
    given: tuple[str, ...]
    probabilities: Mapping[str, float]
    f1: float
    kind: Literal["best", "worst"]


def write_report(
    path: str | Path,
    *,
    evaluation: Evaluation,
    history: Sequence[Mapping[str, float]],
    balance: Mapping[str, Sequence[int]],
    examples: Sequence[Example],
    findings: Mapping[str, tuple[int, str]] | None,
    facts: Mapping[str, str],
) -> None:
    """Write the report: self-contained, the same bytes for the same input.

    Args:
        path: the HTML file.
        evaluation: the figures.
        history: one row an epoch, `history.csv` as numbers; empty where nothing was trained.
        balance: part -> films per genre, in the evaluation's genre order.
        examples: posters, in the order to be shown.
        findings: flag -> how many, and the flag in a sentence; None where no audit is known.
        facts: what else to state, in order (model, posters, training time, …).

    Raises:
        MissingExtra: jinja2 or matplotlib is not installed.
        OnesheetError: the file cannot be written.
    """
    jinja2 = require("jinja2", purpose="the report", extra="train")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onesheet.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(figure=_figure, interval=_interval, percent=_percent, spark=_spark)
    page = environment.get_template("report.html").render(
        evaluation=evaluation,
        verdict=verdict(evaluation),
        judgements=JUDGEMENTS,
        headlines=list(headlines(evaluation)),
        genres=_by_average_precision(evaluation),
        confusion=_shares(evaluation.confusion),
        pairs=[
            ("True", _shares(evaluation.cooccurrence_true, by_diagonal=True)),
            ("Given", _shares(evaluation.cooccurrence_given, by_diagonal=True)),
        ],
        history=history,
        balance=_balance(balance),
        examples=[(example, _data_uri(example.poster), _bars(example)) for example in examples],
        findings=findings,
        facts=facts,
        **_drawings(evaluation, history),
    )
    # A file name may hold bytes that are no letters; they become "?".
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))


def _drawings(evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    panels = {"loss": "Loss", "precision": "Precision", "recall": "Recall", "map": "Mean average precision"}
    with figures.house_style():
        return {
            "curves": {name: figures.learning_curve(history, key) for key, name in panels.items() if history},
            "precision_recall": {result.genre: figures.precision_recall(result) for result in evaluation.per_genre},
            "reliability": figures.reliability(evaluation.reliability),
        }


def _by_average_precision(evaluation: Evaluation) -> list[tuple[Any, str]]:
    results = sorted(evaluation.per_genre, key=lambda one: -np.nan_to_num(one.average_precision.value, nan=-1.0))
    return [(result, judge(result)) for result in results]


def _shares(counts: Sequence[Sequence[float]], *, by_diagonal: bool = False) -> list[list[tuple[float, float]]]:
    """Each cell as (count, share of its row's sum, or of its row's diagonal); share 0 in an empty row."""
    table = np.array(counts, dtype=float)
    whole = table.diagonal() if by_diagonal else table.sum(axis=1)
    shares = np.divide(table, whole[:, None], out=np.zeros_like(table), where=whole[:, None] > 0)
    return [list(zip(*rows, strict=True)) for rows in zip(table.tolist(), shares.tolist(), strict=True)]


def _balance(balance: Mapping[str, Sequence[int]]) -> dict[str, list[tuple[int, float, float]]]:
    """Part -> per genre (films, share of the part's labels, the same scaled so that the longest bar is 1)."""
    shares = {part: np.array(films) / max(sum(films), 1) for part, films in balance.items()}
    longest = max((float(share.max(initial=0)) for share in shares.values()), default=0) or 1
    return {
        part: [(n, share, share / longest) for n, share in zip(films, shares[part].tolist(), strict=True)]
        for part, films in balance.items()
    }


def _bars(example: Example, *, most: int = 5) -> list[tuple[str, float, str]]:
    """(genre, probability, "hit" | "missed" | "wrong" | ""): the most probable, and all true or given ones."""
    ranked = sorted(example.probabilities, key=lambda genre: -example.probabilities[genre])
    told = {*example.true, *example.given}
    shown = [genre for place, genre in enumerate(ranked) if place < most or genre in told]
    marks = {(True, True): "hit", (True, False): "missed", (False, True): "wrong", (False, False): ""}
    return [
        (genre, example.probabilities[genre], marks[genre in example.true, genre in example.given]) for genre in shown
    ]


def _data_uri(poster: NDArray[np.uint8]) -> str:
    image = Image.fromarray(poster)
    image.thumbnail(THUMBNAIL_PIXELS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=78, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _figure(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%" if math.isfinite(value) else "–"


def _interval(score: Score, percent: bool = False, digits: int = 3) -> str:
    """The interval alone, "" where undefined."""
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return ""
    if percent:
        return f"{100 * score.low:.1f}–{100 * score.high:.1f}\N{NO-BREAK SPACE}%"
    return f"{score.low:.{digits}f}–{score.high:.{digits}f}"


def _spark(score: Score, trivial: float | None = None) -> dict[str, float] | None:
    """Places on a line of 100 units: the interval, the figure, and what a trivial answer reaches."""
    places = {"low": score.low, "value": score.value, "high": score.high}
    if trivial is not None and math.isfinite(trivial):
        places["trivial"] = trivial
    if not all(math.isfinite(place) for place in places.values()):
        return None
    return {name: round(100 * min(max(place, 0.0), 1.0), 1) for name, place in places.items()}
