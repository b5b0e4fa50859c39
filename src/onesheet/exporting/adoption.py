"""adopt: a network from elsewhere to our one model file, proved to give the network's own answers."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

import onesheet
from onesheet.bundle import CARD_KEY, POINTS, Bundle, Card, label_counts, read_bundle
from onesheet.data import Catalogue
from onesheet.drawn import draw_catalogue
from onesheet.errors import ConfigError, ExportError
from onesheet.evaluation import Thresholds, fit_calibration, fit_operating_points
from onesheet.exporting.input_conventions import Conventions, scaling_wanted
from onesheet.exporting.onnx_classifier import Classifier, open_classifier, posters_graph
from onesheet.exporting.onnx_graph import finish_graph
from onesheet.files import whole_file
from onesheet.genres import GenreSet
from onesheet.images import read_poster
from onesheet.packed import Packed, Split, pack
from onesheet.predict import Predictor, score_part
from onesheet.progress import Progress, silent
from onesheet.training.epoch_metrics import epoch_metrics

# Largest difference of a probability between the file and the network; where that computes in 16 bits.
TOLERANCES = {False: 1e-4, True: 2e-3}
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5", ".json")
PARITY_POSTERS = 8  # drawn, and as many of noise
PART = "catalogue"
UNTUNED = "0.5 for every genre: adopted without a catalogue; adopt with --catalogue to choose it"


class Original(NamedTuple):
    """The network to adopt.

    Attributes:
        classifier: it as an ONNX file.
        answer: what it answers itself, probabilities N×G, to pixels as it was fed.
        versions: library -> version that read it.
    """

    classifier: Classifier
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    versions: dict[str, str]


def adopt(
    model: str | Path,
    genres: GenreSet,
    path: str | Path,
    *,
    weights: str | Path | None = None,
    conventions: Conventions | None = None,
    catalogue: Catalogue | None = None,
    precision_target: float = 0.7,
    recall_target: float = 0.8,
    threads: int | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Write an image classifier that was trained elsewhere as one model file.

    The file is compared with the network itself on drawn posters and on noise; it appears whole or not at all.

    Args:
        model: an ONNX file, or a Keras one: .keras, .h5, or .json with `weights`.
        genres: in the order of the network's outputs.
        path: the model file to write.
        weights: the .h5 that belongs to a .json.
        conventions: how the network was fed and is read, as far as its file does not say.
        catalogue: films of these genres, best those that the network has not learnt from: calibration and operating
            points are fitted to them. None: the probabilities stay as they are, and every threshold is 0.5.
        precision_target: micro precision wanted at the operating point "precise", in (0, 1).
        recall_target: recall of each genre wanted at "generous", in (0, 1).
        threads: posters decoded and scored at the same time; None = all cores.
        progress: told of the posters packed and scored.

    Returns:
        The file, read back.

    Raises:
        ConfigError: the network is not one that can be adopted, or something is not said.
        MissingExtra: a Keras model, and no Keras.
        EvaluationError: a target out of range.
        ExportError: the file does not give the network's answers.
    """
    model, conventions = Path(model), conventions or Conventions()
    weights = None if weights is None else Path(weights)
    ones, zeros = np.ones(len(genres)), np.zeros(len(genres))
    with tempfile.TemporaryDirectory(prefix="onesheet-") as name:
        folder = Path(name)
        raw, draft = folder / "raw.onnx", folder / "draft.onnx"
        original = _opened(model, weights, conventions, genres, folder)
        onnx.save(posters_graph(original.classifier, genres=len(genres)), raw)
        card = _card(model, genres, original)
        finish_graph(raw, draft, scale=ones, bias=zeros, metadata={CARD_KEY: card.to_json()})
        _check_parity(draft, original, folder / "drawn", found=conventions.answers is None)
        if catalogue is not None:
            predictor = Predictor(read_bundle(draft), threads=threads)
            packed = _packed(catalogue, folder / "packed", card, threads, progress)
            card = _tuned(card, predictor, packed, precision=precision_target, recall=recall_target, progress=progress)
        scale, bias = (np.array(card.calibration[key]) for key in ("scale", "bias"))
        with whole_file(path) as part:
            finish_graph(raw, part, scale=scale, bias=bias, metadata={CARD_KEY: card.to_json()})
    return read_bundle(path)


def _opened(model: Path, weights: Path | None, conventions: Conventions, genres: GenreSet, folder: Path) -> Original:
    """The network, a Keras one written as ONNX into `folder`."""
    if model.suffix == ".onnx":
        if weights is not None:
            raise ConfigError(f"an ONNX file holds its weights; got --weights {str(weights)!r}: leave it out")
        classifier = open_classifier(model, conventions, genres=len(genres))
        return Original(classifier, classifier.probabilities, {})
    if model.suffix not in KERAS_SUFFIXES:
        raise ConfigError(f"cannot adopt {str(model)!r}; name a file in .onnx, {', '.join(KERAS_SUFFIXES)}")
    from onesheet.exporting import keras_classifier as keras_file  # Keras takes seconds to load

    network = keras_file.open_keras(model, weights)
    if conventions.scaling is None and keras_file.scales_itself(network):
        conventions = replace(conventions, scaling="none")
    if conventions.scaling is None:
        raise scaling_wanted(model.name)
    converted = folder / f"{model.stem}.onnx"
    keras_file.keras_to_onnx(network, converted, conventions.size)
    classifier = open_classifier(converted, conventions, genres=len(genres))
    return Original(
        classifier,
        lambda pixels: keras_file.keras_probabilities(network, pixels, classifier.conventions),
        {package: importlib.metadata.version(package) for package in ("keras", "torch")},
    )


def _check_parity(draft: Path, original: Original, folder: Path, *, found: bool) -> None:
    """The file gives the network's answers, to drawn posters and to noise.

    Raises:
        ExportError: it does not.
        ConfigError: the network's answers look like probabilities, where they were found to be logits.
    """
    bundle, conventions = read_bundle(draft), original.classifier.conventions
    size = bundle.card.size
    draw_catalogue(folder, films=PARITY_POSTERS, faults=False, threads=1)
    drawn = [read_poster(path, size=size, resize=conventions.resize) for path in sorted((folder / "posters").iterdir())]
    noise = np.random.default_rng(0).integers(0, 256, (PARITY_POSTERS, *size, 3), dtype=np.uint8)
    posters = np.concatenate([np.stack(drawn), noise])
    expected = original.answer(conventions.pixels(posters))
    try:
        given = bundle.score(posters)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ExportError(
            "the network takes one image at a time and cannot take several; export it again with a free batch size"
        ) from error
    difference, allowed = np.abs(given.probabilities - expected).max(), TOLERANCES[original.classifier.half]
    if not difference <= allowed:
        raise ExportError(
            f"the file's probabilities differ from the network's by up to {difference:.2g} (allowed {allowed:g}); "
            "nothing was written; please report the network"
        )
    if found and conventions.answers == "logits" and given.logits.min() >= 0 and given.logits.max() <= 1:
        raise ConfigError(
            "the network's last step makes logits, and all its answers lie in [0, 1], as probabilities do; "
            "say --answers probabilities or logits"
        )


def _packed(catalogue: Catalogue, folder: Path, card: Card, threads: int | None, progress: Progress) -> Packed:
    """A whole catalogue as one part, as the network takes posters."""
    whole = Split(catalogue, np.full(len(catalogue), PART))
    return pack(whole, folder, size=card.size, resize=card.resize, threads=threads, progress=progress)


def _tuned(
    card: Card, predictor: Predictor, packed: Packed, *, precision: float, recall: float, progress: Progress
) -> Card:
    """The card with calibration and operating points fitted to a catalogue's films, and what they are."""
    labels = packed.labels
    logits = score_part(predictor, packed, PART, progress=progress).logits
    calibration = fit_calibration(logits, labels)
    probabilities = calibration.probabilities(logits)
    points = fit_operating_points(probabilities, labels, train_labels=labels, precision=precision, recall=recall)
    return replace(
        card,
        calibration={"scale": calibration.scale.tolist(), "bias": calibration.bias.tolist()},
        operating_points={name: point.to_dict() for name, point in points.items()},
        validation={key: round(value, 4) for key, value in epoch_metrics(labels, probabilities).items()},
        data={
            "fingerprint": packed.fingerprint,
            "films": {PART: len(labels)},
            **label_counts(labels, card.genres),
        },
    )


def _card(model: Path, genres: GenreSet, original: Original) -> Card:
    """The card of a network nothing was tuned for."""
    conventions = original.classifier.conventions
    assert conventions.size
    half = Thresholds((0.5,) * len(genres), UNTUNED).to_dict()
    return Card(
        genres=genres.names,
        size=conventions.size,
        resize=conventions.resize,
        precision="fp32",
        calibration={"scale": [1.0] * len(genres), "bias": [0.0] * len(genres)},
        operating_points=dict.fromkeys(POINTS, half),
        training={"model": f"adopted from {model.name}", "fed_and_read": asdict(conventions)},
        licences={"code": "Apache-2.0", "weights": "as those of the adopted network"},
        versions={"onesheet": onesheet.__version__}
        | {package: importlib.metadata.version(package) for package in ("onnx", "onnxruntime")}
        | original.versions,
        created=datetime.now(UTC).date().isoformat(),
    )
