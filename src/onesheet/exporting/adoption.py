"""adopt: a network from elsewhere to our one model file, checked against the network's own predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from onesheet.bundle import Bundle, Card, label_counts, read_bundle
from onesheet.data import Catalogue
from onesheet.drawn import draw_catalogue
from onesheet.errors import ConfigError, ExportError
from onesheet.exporting.input_conventions import Conventions, scaling_unknown
from onesheet.exporting.onnx_classifier import Classifier, open_classifier, posters_graph
from onesheet.files import whole_file
from onesheet.genres import GenreSet
from onesheet.images import read_poster
from onesheet.model_writer import check_parity, fit_card, unfitted_card, write_model_file
from onesheet.packed import WHOLE, Split, pack
from onesheet.predict import Predictor, score_split
from onesheet.progress import Progress, shown

# Largest difference of a probability between the file and the network; where that computes in 16 bits.
TOLERANCES = {False: 1e-4, True: 2e-3}
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5", ".json")
PARITY_POSTERS = 8  # drawn, and as many of noise
UNFITTED = "0.5 for every genre: adopted without a catalogue; adopt with --catalogue to choose it"


class Original(NamedTuple):
    """The network to adopt.

    Attributes:
        classifier: it as an ONNX file.
        answer: what it answers itself, probabilities N×G, to pixels as it was fed.
        packages: the libraries that read it.
    """

    classifier: Classifier
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    packages: tuple[str, ...] = ()


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
    progress: Progress = shown,
    notify: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """Write an image classifier that was trained elsewhere as one model file.

    The file is compared with the network itself on drawn posters and on noise; it appears whole or not at all.

    Args:
        model: an ONNX file, or a Keras one: .keras, .h5, or .json with `weights`.
        genres: in the order of the network's outputs.
        path: the model file to write.
        weights: the .h5 that belongs to a .json.
        conventions: how the network was fed and is read, as far as its file does not show it.
        catalogue: films of these genres, best those that the network was not trained on: calibration and operating
            points are fitted to them. None: the probabilities stay as they are, and every threshold is 0.5.
        precision_target: micro precision of the operating point "precise", in (0, 1).
        recall_target: recall of each genre at "generous", in (0, 1).
        threads: posters decoded and scored at the same time; None = all cores.
        progress: reports the posters packed and scored.
        notify: called with a warning, where `conventions` look wrong.

    Returns:
        The file, read back.

    Raises:
        ConfigError: the network cannot be adopted, or a convention is unknown.
        MissingExtra: a Keras model, and no Keras.
        EvaluationError: a target out of range.
        ExportError: the file does not compute the network's outputs.
    """
    model, conventions = Path(model), conventions or Conventions()
    weights = None if weights is None else Path(weights)
    with tempfile.TemporaryDirectory(prefix="onesheet-") as name:
        folder = Path(name)
        raw, draft = folder / "raw.onnx", folder / "draft.onnx"
        original = _opened(model, weights, conventions, genres, folder, notify)
        onnx.save(posters_graph(original.classifier, genres=len(genres)), raw)
        card = _card(model, genres, original)
        write_model_file(raw, draft, card)
        _check_file(draft, original, folder / "drawn", found=conventions.answers is None)
        if catalogue is not None:
            predictor = Predictor(read_bundle(draft), threads=threads)
            packed = pack(
                Split.whole(catalogue),
                folder / "packed",
                size=card.size,
                resize=card.resize,
                threads=threads,
                progress=progress,
            )
            films = {"fingerprint": packed.fingerprint, "films": {WHOLE: len(packed.labels)}}
            card = fit_card(
                replace(card, data={**films, **packed.understood, **label_counts(packed.labels, card.genres)}),
                score_split(predictor, packed, WHOLE, progress=progress).logits,
                packed.labels,
                known=packed.known,
                precision_target=precision_target,
                recall_target=recall_target,
            )
        with whole_file(path) as part:
            write_model_file(raw, part, card)
    return read_bundle(path)


def _opened(
    model: Path,
    weights: Path | None,
    conventions: Conventions,
    genres: GenreSet,
    folder: Path,
    notify: Callable[[str], None],
) -> Original:
    """The network, a Keras one written as ONNX into `folder`."""
    if model.suffix == ".onnx":
        if weights is not None:
            raise ConfigError(f"an ONNX file holds its weights; got --weights {str(weights)!r}: leave it out")
        classifier = open_classifier(model, conventions, genres=len(genres))
        return Original(classifier, classifier.probabilities)
    if model.suffix not in KERAS_SUFFIXES:
        raise ConfigError(f"cannot adopt {str(model)!r}; name a file in .onnx, {', '.join(KERAS_SUFFIXES)}")
    from onesheet.exporting import keras_classifier as keras_file  # Keras takes seconds to load

    network = keras_file.open_keras(model, weights)
    if conventions.scaling != "none" and keras_file.scales_itself(network):
        if conventions.scaling is None:
            conventions = replace(conventions, scaling="none")
        else:
            notify(
                f"warning: {model.name} scales pixels itself, and now gets them scaled {conventions.scaling} before; "
                "leave out --scaling unless they were in training"
            )
    if conventions.scaling is None:
        raise scaling_unknown(model.name)
    converted = folder / f"{model.stem}.onnx"
    keras_file.keras_to_onnx(network, converted, conventions.size)
    classifier = open_classifier(converted, conventions, genres=len(genres))
    return Original(
        classifier,
        lambda pixels: keras_file.keras_probabilities(network, pixels, classifier.conventions),
        ("keras", "torch"),
    )


def _check_file(draft: Path, original: Original, folder: Path, *, found: bool) -> None:
    """The file predicts what the network does, for drawn posters and for noise.

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
    check_parity(
        vars(given),
        {"probabilities": expected},
        allowed=TOLERANCES[original.classifier.half],
        whose="the file's",
        cure="please report the network",
    )
    if found and conventions.answers == "logits" and given.logits.min() >= 0 and given.logits.max() <= 1:
        raise ConfigError(
            "the network's last step makes logits, and all its outputs are in [0, 1], as probabilities do; "
            "pass --answers probabilities or logits"
        )


def _card(model: Path, genres: GenreSet, original: Original) -> Card:
    """The card of the network before anything is fitted to films."""
    conventions = original.classifier.conventions
    assert conventions.size
    return unfitted_card(
        genres=genres.names,
        size=conventions.size,
        resize=conventions.resize,
        packages=original.packages,
        note=UNFITTED,
        training={"model": f"adopted from {model.name}", "fed_and_read": asdict(conventions)},
        licences={"code": "Apache-2.0", "weights": "as those of the adopted network"},
    )
