"""The model file of an adaptation: the source's graph with the new heads, calibrated and checked."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onesheet.adaptation.graph import adapted_graph
from onesheet.adaptation.heads import Heads
from onesheet.bundle import CARD_KEY, Bundle, Card, label_counts, read_bundle
from onesheet.calibrated_graph import finish_graph
from onesheet.errors import ExportError
from onesheet.evaluation import fit_calibration, fit_operating_points
from onesheet.evaluation.summary import summary_metrics
from onesheet.files import whole_file
from onesheet.predict import Predictor

TOLERANCE = 1e-4  # of a logit, and of the mean of its evidence; of the largest where that is above 1
PARITY_POSTERS = 16


def write_adapted(
    source: Predictor,
    heads: Heads,
    path: str | Path,
    *,
    genres: tuple[str, ...],
    labels: NDArray[np.bool_],
    posters: NDArray[np.uint8],
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    precision: float = 0.7,
    recall: float = 0.8,
) -> Bundle:
    """Write the source with new heads as a model file; it appears whole or not at all.

    Calibration and operating points are fitted to the heads' held-out logits.

    Args:
        source: the model file that the heads build on.
        heads: fitted to N films.
        path: the file to write.
        genres: G names.
        labels: bool N×G, of the films in the order of `heads.held_out`.
        posters: uint8 n×H×W×3, for the check of the file against the heads.
        data: fingerprint of the posters and films per part, for the card.
        training: choices and outcome, for the card.
        precision: micro precision wanted at the operating point "precise", in (0, 1).
        recall: recall of each genre wanted at "generous", in (0, 1).

    Returns:
        The file, read back.

    Raises:
        ExportError: the file does not give the heads' answers.
    """
    calibration = fit_calibration(heads.held_out, labels)
    chances = calibration.probabilities(heads.held_out)
    points = fit_operating_points(chances, labels, train_labels=labels, precision=precision, recall=recall)
    card = Card(
        genres=genres,
        size=source.card.size,
        resize=source.card.resize,
        precision=source.card.precision,
        calibration={"scale": calibration.scale.tolist(), "bias": calibration.bias.tolist()},
        operating_points={name: point.to_dict() for name, point in points.items()},
        training={
            "model": f"adapted from {source.path.name}",
            "source": {"file": source.path.name, "sha256": source.fingerprint, "genres": list(source.genres.names)},
            "kept": [name for name, kept in zip(genres, heads.kept, strict=True) if kept],
            "variances": {name: round(float(value), 6) for name, value in zip(genres, heads.variances, strict=True)},
            **training,
        },
        data={**data, **label_counts(labels, genres)},
        validation={key: round(value, 4) for key, value in summary_metrics(labels, chances).items()},
        licences=source.card.licences,
        versions={name: importlib.metadata.version(name) for name in ("onesheet", "onnx", "onnxruntime")},
        created=datetime.now(UTC).date().isoformat(),
    )
    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder, whole_file(path) as part:
        raw = Path(folder) / "raw.onnx"
        onnx.save(adapted_graph(source.path, heads), raw)
        metadata = {CARD_KEY: card.to_json()}
        finish_graph(raw, part, scale=calibration.scale, bias=calibration.bias, metadata=metadata)
        _check_parity(source, heads, Predictor(read_bundle(part)), posters[:PARITY_POSTERS])
    return read_bundle(path)


def _check_parity(source: Predictor, heads: Heads, written: Predictor, posters: NDArray[np.uint8]) -> None:
    """The file gives the heads' logits, and evidence of which they are the mean.

    Raises:
        ExportError: it does not.
    """
    before, after = ([one.score(poster[None]) for poster in posters] for one in (source, written))
    expected = np.concatenate([heads.logits(one.embedding, one.logits) for one in before])
    logits = np.concatenate([one.logits for one in after])
    differences = [float(np.abs(logits - expected).max() / max(1, np.abs(expected).max()))]
    if after[0].evidence is not None:
        evidence = np.concatenate([one.evidence for one in after])
        constant = logits - evidence.mean((2, 3))
        differences.append(float(np.ptp(constant, axis=0).max() / max(1, np.abs(evidence).max())))
    if not max(differences) <= TOLERANCE:
        raise ExportError(
            f"the file's logits or evidence differ from the heads' by up to {max(differences):.2g} (allowed "
            f"{TOLERANCE:g}); nothing was written; please report the model file"
        )
