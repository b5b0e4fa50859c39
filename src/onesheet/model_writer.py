"""Writing a model file: its card, what is fitted to validation films, and the check of its outputs.

Free of PyTorch: networks, classifiers from elsewhere and adapted models are all written by these functions.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import onesheet
from onesheet.bundle import CARD_KEY, POINTS, Card, counted
from onesheet.calibrated_graph import finish_graph
from onesheet.errors import ExportError
from onesheet.evaluation import Thresholds, fit_calibration, fit_operating_points
from onesheet.evaluation.summary import summary_metrics
from onesheet.images import Resize, Size

Arrays = Mapping[str, NDArray[Any]]


def unfitted_card(
    *,
    genres: Sequence[str],
    size: Size,
    resize: Resize,
    precision: str = "fp32",
    packages: Sequence[str] = (),
    note: str = "",
    **known: Any,
) -> Card:
    """The card of a graph to which nothing is fitted yet: no calibration, and a threshold of 0.5 for every genre.

    Args:
        genres: in column order.
        size: H, W of the posters, in pixels.
        resize: how a poster is brought to that size.
        precision: "fp32", "w8" or "int8".
        packages: that took part besides onesheet, onnx and onnxruntime; their versions are kept.
        note: on the thresholds, for readers of the file.
        known: further fields of the card: training, data, licences.
    """
    half = Thresholds((0.5,) * len(genres), note).to_dict()
    return Card(
        genres=tuple(genres),
        size=size,
        resize=resize,
        precision=precision,
        calibration={"scale": [1.0] * len(genres), "bias": [0.0] * len(genres)},
        operating_points=dict.fromkeys(POINTS, half),
        versions={"onesheet": onesheet.__version__}
        | {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", *packages)},
        created=datetime.now(UTC).date().isoformat(),
        **known,
    )


def fit_card(
    card: Card,
    logits: NDArray[np.floating],
    labels: NDArray[np.bool_],
    *,
    known: NDArray[np.bool_] | None = None,
    precision_target: float = 0.7,
    recall_target: float = 0.8,
) -> Card:
    """The card with calibration, operating points and validation metrics fitted to films with known genres.

    Args:
        card: with the label sets of the training films in its `data`.
        logits: float N×G, before calibration.
        labels: bool N×G.
        known: bool N×G, the labels to fit to; None = all.
        precision_target: micro precision of the operating point "precise", in (0, 1).
        recall_target: recall of each genre at "generous", in (0, 1).

    Raises:
        EvaluationError: arrays that do not fit, or a target out of range.
    """
    calibration = fit_calibration(logits, labels, known=known)
    probabilities = calibration.probabilities(logits)
    points = fit_operating_points(
        probabilities,
        labels,
        train_labels=card.train_labels,
        known=known,
        precision=precision_target,
        recall=recall_target,
    )
    metrics = summary_metrics(labels, probabilities, known=known)
    return replace(
        card,
        calibration={"scale": calibration.scale.tolist(), "bias": calibration.bias.tolist()},
        operating_points={name: point.to_dict() for name, point in points.items()},
        validation={name: round(value, 4) for name, value in metrics.items()},
        measured=counted(labels, probabilities, points, genres=card.genres, split="validation", known=known),
    )


def write_model_file(raw: Path, path: Path, card: Card) -> None:
    """Write the graph `raw`, which ends with logits, with the card and its calibration to `path`."""
    scale, bias = card.scale_and_bias
    finish_graph(raw, path, scale=scale, bias=bias, metadata={CARD_KEY: card.to_json()})


def check_parity(
    given: Arrays, expected: Arrays, *, allowed: float, mean_allowed: float | None = None, whose: str, cure: str
) -> float:
    """Compare the outputs of the file with those of its source.

    Args:
        given: output -> array.
        expected: the outputs to compare -> arrays of the same shapes.
        allowed: largest difference, of a value as a share of the output's largest, which counts as 1 at least.
        mean_allowed: mean difference; None = no limit of its own.
        whose: what was written, in the genitive: "the int8 file's".
        cure: what to do where they differ.

    Returns:
        The largest difference.

    Raises:
        ExportError: they differ by more, or are not numbers.
    """
    largest = 0.0
    for name, reference in expected.items():
        scale = max(1.0, float(np.abs(reference).max()))
        differences = np.abs(given[name].astype(np.float64) - reference) / scale
        difference, mean = float(differences.max()), float(differences.mean())
        if not (difference <= allowed and mean <= (allowed if mean_allowed is None else mean_allowed)):
            limits = f"allowed {allowed:g}" + (f", mean {mean_allowed:g}" if mean_allowed is not None else "")
            raise ExportError(
                f"{whose} {name} differ from the original's by up to {difference:.2g} (mean {mean:.2g}; {limits}); "
                f"nothing was written; {cure}"
            )
        largest = max(largest, difference)
    return largest
