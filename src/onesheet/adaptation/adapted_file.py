"""The model file of an adaptation: the source's graph with the new heads, calibrated and checked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onesheet.adaptation.graph import adapted_graph
from onesheet.adaptation.heads import Heads
from onesheet.bundle import Bundle, label_counts, read_bundle
from onesheet.files import whole_file
from onesheet.model_writer import check_parity, fit_card, unfitted_card, write_model_file
from onesheet.predict import Predictor

TOLERANCE = 1e-4
EVIDENCE_TOLERANCE = {"int8": 1e-2}  # its pooling rounds to 8 bits, so a map's mean is nearly the embedding's
PARITY_POSTERS = 16


def write_adapted(
    source: Predictor,
    heads: Heads,
    path: str | Path,
    *,
    genres: tuple[str, ...],
    labels: NDArray[np.bool_],
    known_labels: NDArray[np.bool_] | None,
    posters: NDArray[np.uint8],
    data: Mapping[str, Any],
    known: Mapping[str, str],
    precision_target: float = 0.7,
    recall_target: float = 0.8,
) -> Bundle:
    """Write the source with new heads as a model file; it appears whole or not at all.

    Calibration and operating points are fitted to the heads' held-out logits.

    Args:
        source: the model file that the heads build on.
        heads: fitted to N films.
        path: the file to write.
        genres: G names.
        labels: bool N×G, of the films in the order of `heads.held_out`.
        known_labels: bool N×G, the labels that are known; None = all.
        posters: uint8 n×H×W×3, for the check of the file against the heads.
        data: fingerprint of the posters and films per split, for the card.
        known: genre -> the source's name for it.
        precision_target: micro precision of the operating point "precise", in (0, 1).
        recall_target: recall of each genre at "generous", in (0, 1).

    Returns:
        The file, read back.

    Raises:
        ExportError: the file's logits are not the heads'.
    """
    card = unfitted_card(
        genres=genres,
        size=source.card.size,
        resize=source.card.resize,
        precision=source.card.precision,
        training={
            "model": f"adapted from {source.path.name}",
            "source": {
                "file": source.path.name,
                "sha256": source.fingerprint,
                "genres": list(source.genres.names),
                "films": source.card.data.get("films", {}).get("train", 0),
            },
            "known": dict(known),
            "kept": [name for name, kept in zip(genres, heads.kept, strict=True) if kept],
            "variances": {name: round(float(one), 6) for name, one in zip(genres, heads.variances, strict=True)},
        },
        data={**data, **label_counts(labels, genres)},
        licences=source.card.licences,
    )
    card = fit_card(
        card,
        heads.held_out,
        labels,
        known=known_labels,
        precision_target=precision_target,
        recall_target=recall_target,
    )
    with tempfile.TemporaryDirectory(prefix="onesheet-") as folder, whole_file(path) as part:
        raw = Path(folder) / "raw.onnx"
        onnx.save(adapted_graph(source.path, heads), raw)
        write_model_file(raw, part, card)
        _check(source, heads, read_bundle(part), posters[:PARITY_POSTERS])
    return read_bundle(path)


def _check(source: Predictor, heads: Heads, written: Bundle, posters: NDArray[np.uint8]) -> None:
    """The file's logits are the heads', and so is the mean of its evidence, but for a constant.

    Raises:
        ExportError: it does not.
    """
    before, after = ([scored.score(poster[None]) for poster in posters] for scored in (source, written))
    logits = np.concatenate([one.logits for one in after])
    expected = np.concatenate([heads.logits(one.embedding, one.logits) for one in before])
    compare = partial(check_parity, whose="the file's", cure="please report the model file")
    compare({"logits": logits}, {"logits": expected}, allowed=TOLERANCE)
    if after[0].evidence is not None:
        evidence = np.concatenate([one.evidence for one in after])
        means, size = evidence.mean((2, 3)), max(1.0, float(np.abs(evidence).max()))  # a mean is as exact as its terms
        constant = (logits - means).mean(0)
        compare(
            {"evidence": means / size},
            {"evidence": (logits - constant) / size},
            allowed=EVIDENCE_TOLERANCE.get(written.card.precision, TOLERANCE),
        )
