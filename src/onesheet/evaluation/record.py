"""`evaluation.json`: an Evaluation as one JSON object, NaN as null, the same bytes for the same figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from onesheet.errors import EvaluationError
from onesheet.evaluation.results import Bin, Evaluation, GenreAtPoint, GenreResult, Score
from onesheet.files import read_json, write_text

Row = TypeVar("Row")


def write_evaluation(path: str | Path, evaluation: Evaluation) -> None:
    """Write an evaluation, whole or not at all.

    Raises:
        OnesheetError: the place cannot be written.
    """
    plain = without_nan(asdict(evaluation))
    write_text(path, json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_evaluation(path: str | Path) -> Evaluation:
    """Read what `write_evaluation` wrote; unknown keys are refused.

    Raises:
        EvaluationError: there is no such file, or it is not an evaluation.
    """
    try:
        plain = read_json(path)
        return _evaluation(plain)
    except OSError as error:
        raise EvaluationError(f"cannot read {str(path)!r}: {error.strerror}; run: onesheet evaluate") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvaluationError(
            f"{str(path)!r} is not an evaluation ({type(error).__name__}: {error}); run: onesheet evaluate"
        ) from None


def without_nan(value: Any) -> Any:
    """Dicts, lists and numbers with NaN as None, for JSON."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _row(kind: type[Row], plain: Mapping[str, Any]) -> Row:
    """A dataclass of numbers, null read as NaN."""
    values: dict[str, Any] = {key: math.nan if value is None else value for key, value in plain.items()}
    return kind(**values)


def _scores(plain: Mapping[str, Any]) -> dict[str, Score]:
    return _each(plain, lambda score: _row(Score, score))


def _each(plain: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: read(value) for name, value in plain.items()}


def _at_point(plain: dict[str, Any]) -> GenreAtPoint:
    figures = _scores({name: value for name, value in plain.items() if name not in ("threshold", "given")})
    return GenreAtPoint(threshold=plain["threshold"], given=plain["given"], **figures)


def _genre(plain: dict[str, Any]) -> GenreResult:
    read = plain | {
        "at": _each(plain["at"], _at_point),
        "curve": _table(plain["curve"]),
        "reliability": _bins(plain["reliability"]),
    }
    scores = {field.name: _row(Score, plain[field.name]) for field in fields(GenreResult) if field.type == "Score"}
    return GenreResult(**(read | scores))


def _bins(plain: list[dict[str, Any]]) -> tuple[Bin, ...]:
    return tuple(_row(Bin, row) for row in plain)


def _table(plain: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in plain)


def _evaluation(plain: dict[str, Any]) -> Evaluation:
    tables = ("confusion", "cooccurrence_true", "cooccurrence_given")
    read = {
        "genres": tuple(plain["genres"]),
        "ranking": _scores(plain["ranking"]),
        "at": _each(plain["at"], _scores),
        "baselines": _each(plain["baselines"], _scores),
        "per_genre": tuple(_genre(genre) for genre in plain["per_genre"]),
        "reliability": _bins(plain["reliability"]),
        **{name: _table(plain[name]) for name in tables},
    }
    return Evaluation(**(plain | read))
