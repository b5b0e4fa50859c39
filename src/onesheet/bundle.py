"""The one model file: an ONNX graph with everything inside but the resize, and a card in its metadata.

Graph (docs/reference/model-file.md has the whole text)::

    input   `posters`        uint8 N×H×W×3, RGB, resized by the card's rule
    outputs `probabilities`  float32 N×G, calibrated, in [0, 1]
            `logits`         float32 N×G, before calibration
            `embedding`      float32 N×D
            `evidence`       float32 N×G×h×w, the class activation map; only where the network has one

The card is JSON under the metadata key "onesheet". It is validated on reading; nothing in it is executed. A file may
also carry a model card for people (Mitchell et al. 2019), Markdown under the key "model_card".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from onesheet.errors import NEWER, BundleError, OnesheetError
from onesheet.evaluation.caveats import SEEN, too_few
from onesheet.evaluation.label_sets import count_label_sets
from onesheet.evaluation.operating_points import OperatingPoint, operating_point
from onesheet.genres import GenreSet
from onesheet.images import RESIZES, Resize
from onesheet.onnx_file import FLOAT, UINT8, OnnxFile, read_onnx

PROTOCOL = 1
CARD_KEY = "onesheet"
MODEL_CARD_KEY = "model_card"
POINTS = ("balanced", "precise", "generous", "exact")
OUTPUT_RANKS = {"probabilities": 2, "logits": 2, "embedding": 2, "evidence": 4}
MAX_LABEL_SETS_FILMS = 200_000_000


@dataclass(frozen=True)
class Card:
    """The metadata of a model file.

    Attributes:
        protocol: version of this schema; a reader rejects a newer one.
        genres: names in column order.
        size: H, W of the posters the graph takes, in pixels.
        resize: how a poster is brought to that size: "stretch" or "pad".
        precision: "fp32", "w8" (weights in 8 bits, arithmetic in 32) or "int8".
        calibration: {"scale": G floats, "bias": G floats}: probabilities = sigmoid(scale × logits + bias).
        operating_points: name -> the point as a plain dict (see `evaluation.operating`).
        quantization: what is in fewer bits than 32, and how; "" where nothing is.
        training: the training configuration.
        data: fingerprint, films per split, how the catalogue's sources were read, films per genre and label sets of the
            training set with their counts.
        validation: metrics on the validation set, measured on this file.
        measured: films per genre, predicted and right genres at each operating point, and caveats (see `counted`).
        licences: part -> licence, as far as known.
        versions: library -> version that wrote the file.
        created: ISO date.
    """

    genres: tuple[str, ...]
    size: tuple[int, int]
    resize: Resize
    precision: str
    calibration: dict[str, list[float]]
    operating_points: dict[str, dict[str, Any]]
    quantization: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    protocol: int = PROTOCOL

    def to_json(self) -> str:
        """The card as JSON text, ASCII, keys sorted; NaN as null."""
        return json.dumps(_plain(asdict(self)), sort_keys=True, allow_nan=False)

    @property
    def scale_and_bias(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The calibration's scale and bias, float64 G each."""
        return np.array(self.calibration["scale"]), np.array(self.calibration["bias"])

    @property
    def train_labels(self) -> NDArray[np.bool_]:
        """The training set's labels, bool N×G, rebuilt from the label sets (order is lost)."""
        sets = self.data.get("label_sets", [])
        labels = np.zeros((sum(count for _, count in sets), len(self.genres)), dtype=bool)
        row = 0
        for columns, count in sets:
            labels[row : row + count, columns] = True
            row += count
        return labels


def label_counts(labels: NDArray[np.bool_], genres: Sequence[str]) -> dict[str, Any]:
    """What the card's `data` keeps of labels bool N×G: films per genre, and films per label set."""
    sets = (
        (np.flatnonzero(columns).tolist(), int(films)) for columns, films in zip(*count_label_sets(labels), strict=True)
    )
    return {"genre_films": dict(zip(genres, labels.sum(0).tolist(), strict=True)), "label_sets": list(sets)}


def counted(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    points: Mapping[str, OperatingPoint],
    *,
    genres: Sequence[str],
    split: str,
    known: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """What the card's `measured` keeps: how often each genre is predicted at each operating point, and rightly.

    Args:
        labels: bool N×G.
        probabilities: calibrated, float N×G.
        points: operating point -> its rule; with "balanced".
        genres: G names.
        split: where the films are from, "validation" or "test".
        known: bool N×G, the labels that count; None = all.

    Returns:
        {"split", "films": N, "genre_films": G counts, "points": {point: {"predicted": G counts, "right": G counts}},
        "caveats": sentences to know before the counts are believed}.
    """
    counts_at = True if known is None else known
    labels = labels & counts_at
    predicted = {name: point.decide(probabilities) & counts_at for name, point in points.items()}
    support = labels.sum(0).tolist()
    counts = {
        name: {"predicted": given.sum(0).tolist(), "right": (given & labels).sum(0).tolist()}
        for name, given in predicted.items()
    }
    caveats = [*([SEEN[split]] if split in SEEN else []), *too_few(genres, support, **counts["balanced"])]
    return {"split": split, "films": len(labels), "genre_films": support, "points": counts, "caveats": caveats}


@dataclass(frozen=True)
class Scores:
    """The graph's outputs for N posters.

    Attributes:
        probabilities: float32 N×G, calibrated, in [0, 1].
        logits: float32 N×G, before calibration.
        embedding: float32 N×D.
        evidence: float32 N×G×h×w, or None where the network has no class activation map.
    """

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    evidence: NDArray[np.float32] | None


class Bundle:
    """A model file, opened: its card and its graph, ready to score.

    Attributes:
        path: the file.
        card: what programs need to know.
        model_card: what people should know, Markdown; "" where the file has none.
        genres: the genres in column order.
        points: operating point -> its rule.
    """

    def __init__(self, path: Path, card: Card, session: onnxruntime.InferenceSession, *, model_card: str) -> None:
        self.path = path
        self.card = card
        self.model_card = model_card
        self.genres = GenreSet(card.genres)
        self.points: dict[str, OperatingPoint] = {
            name: operating_point(point) for name, point in card.operating_points.items()
        }
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def score(self, posters: NDArray[np.uint8]) -> Scores:
        """Score posters that already have the card's size.

        Args:
            posters: uint8 N×H×W×3, RGB.

        Raises:
            BundleError: the array does not have that shape and type, or the graph cannot be computed.
        """
        expected = (*self.card.size, 3)
        if posters.dtype != np.uint8 or posters.ndim != 4 or posters.shape[1:] != expected:
            raise BundleError(
                f"posters must be uint8 N×{expected[0]}×{expected[1]}×3; got {posters.dtype} {posters.shape}; "
                "use onesheet.images.read_poster"
            )
        try:
            named = dict(zip(self._outputs, self._session.run(None, {"posters": posters}), strict=True))
        except Exception as error:  # as in read_bundle
            raise BundleError(f"{str(self.path)!r} cannot be computed; export or copy it again") from error
        scores = Scores(named["probabilities"], named["logits"], named["embedding"], named.get("evidence"))
        if wrong := wrong_with(scores, (len(posters), len(self.genres))):
            raise BundleError(f"{str(self.path)!r} has outputs that are {wrong}; export or copy it again")
        return scores


def read_bundle(path: str | Path) -> Bundle:
    """Open a model file and validate its card.

    The session uses one thread a call: `Predictor` runs one call a core at the same time, which needs no
    locks and no spinning.

    Raises:
        BundleError: not there, not ours, damaged, truncated, or of a newer protocol.
    """
    path = Path(path)
    if path.is_dir():
        raise BundleError(f"{str(path)!r} is a folder; name the model file in it, as {str(path / 'genres.onnx')!r}")
    if not path.is_file():
        raise BundleError(
            f"no model file {str(path)!r}; train one with: onesheet train CATALOGUE --out RUN; "
            "without a model file, the bundled model predicts"
        )
    file = read_onnx(path)
    text = file.texts.get(CARD_KEY)
    if text is None:
        raise BundleError(
            f"{str(path)!r} is an ONNX file but not a onesheet model; make one of it with onesheet adopt, "
            "or of a run with onesheet export"
        )
    card = _read_card(text, path)
    _check_graph(file, card, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_reuse = False  # its plan takes long to make and holds twice the memory (benchmarks/NOTES.md)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(file.data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise BundleError(
            f"{str(path)!r} is not a whole ONNX model (truncated or damaged?); export or copy it again"
        ) from error
    return Bundle(path, card, session, model_card=file.texts.get(MODEL_CARD_KEY, ""))


def _check_graph(file: OnnxFile, card: Card, path: Path) -> None:
    """Check that inputs and outputs are as the card describes."""
    posters = file.inputs.get("posters")
    if len(file.inputs) != 1 or posters is None or posters.element != UINT8 or posters.shape[1:] != (*card.size, 3):
        raise BundleError(f"{str(path)!r}: the graph does not take posters of the card's size; export it again")
    if not {"probabilities", "logits", "embedding"} <= set(file.outputs):
        got = ", ".join(map(ascii, sorted(file.outputs)[:8]))
        raise BundleError(f"{str(path)!r}: the graph lacks outputs; got {got}; export it again")
    for name, rank in OUTPUT_RANKS.items():
        output = file.outputs.get(name)
        if output is None:  # evidence, which not every network has
            continue
        if output.element != FLOAT or len(output.shape) != rank:
            raise BundleError(f"{str(path)!r}: the graph's {name} is not float32 of rank {rank}; export it again")
        if name != "embedding" and output.shape[1] != len(card.genres):
            raise BundleError(f"{str(path)!r}: the graph's genres are not the card's; export it again")


def _read_card(text: str, path: Path) -> Card:
    """Parse and validate a card."""

    def wrong(what: str) -> BundleError:
        return BundleError(f"{str(path)!r} has a damaged card: {what}; export it again")

    try:
        raw = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise wrong("not JSON") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("protocol"), int):
        raise wrong("no protocol number")
    if raw["protocol"] > PROTOCOL:
        raise BundleError(f"{str(path)!r} has protocol {raw['protocol']}, newer than {PROTOCOL}; {NEWER}")
    known = {f.name for f in fields(Card)}
    if unknown := sorted(set(raw) - known):
        raise wrong(f"unknown field {unknown[0]!r}")
    try:
        card = Card(**{**raw, "genres": tuple(raw["genres"]), "size": tuple(raw["size"])})
        _check_card(card, wrong)
    except (AttributeError, KeyError, TypeError, ValueError, MemoryError, OverflowError) as error:
        raise wrong(str(error)[:200]) from error
    return card


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _check_card(card: Card, wrong: Callable[[str], BundleError]) -> None:
    """Every field has the right form and length."""
    # a name is printed on terminals and in reports
    if len(card.genres) < 2 or not all(isinstance(name, str) and name.isprintable() and name for name in card.genres):
        raise wrong("genres")
    for part in ("training", "data", "validation", "measured", "licences", "versions"):
        if not isinstance(getattr(card, part), dict):
            raise wrong(part)
    for part in ("created", "precision", "quantization"):
        if not isinstance(getattr(card, part), str):
            raise wrong(part)
    if len(card.size) != 2 or not all(isinstance(side, int) and 8 <= side <= 4096 for side in card.size):
        raise wrong(f"size {card.size}")
    if card.resize not in RESIZES:
        raise wrong(f"resize {card.resize!r}")
    for key in ("scale", "bias"):
        if np.shape(card.calibration[key]) != (len(card.genres),) or not np.isfinite(card.calibration[key]).all():
            raise wrong("calibration")
    if missing := set(POINTS) - set(card.operating_points):
        raise wrong(f"no operating point {min(missing)!r}")
    try:
        example = np.full((1, len(card.genres)), 0.5, dtype=np.float32)
        for name, point in card.operating_points.items():
            if operating_point(point).decide(example).shape != example.shape:
                raise wrong(f"operating point {name!r}")
        GenreSet(card.genres)
        _check_label_sets(card.data.get("label_sets", []), len(card.genres))
        _check_measured(card.measured, len(card.genres))
    except (OnesheetError, IndexError) as error:
        raise wrong(str(error)[:200]) from error


def _check_label_sets(sets: Any, genres: int) -> None:
    """Label sets name columns that are there, and no more films than memory has room for.

    Raises:
        TypeError, ValueError: they do not.
    """
    films = 0
    for columns, count in sets:
        if not all(isinstance(column, int) and 0 <= column < genres for column in columns):
            raise ValueError(f"label set {str(columns)[:40]}")
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"films of a label set: {str(count)[:40]}")
        films += count
    if films > MAX_LABEL_SETS_FILMS:
        raise ValueError(f"{films:,} films in label sets")


def _check_measured(measured: dict[str, Any], genres: int) -> None:
    """Counts of every genre, or nothing.

    Raises:
        KeyError, TypeError, ValueError: they are not.
    """
    if not measured:
        return
    points = [measured["points"][name] for name in POINTS]
    for counts in (measured["genre_films"], *(point[key] for point in points for key in ("predicted", "right"))):
        if len(counts) != genres or not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"measured: {str(counts)[:40]}")


def _plain(value: Any) -> Any:
    """Tuples as lists, NaN as None, recursively, as JSON needs."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def wrong_with(scores: Scores, shape: tuple[int, int]) -> str:
    """Describe what is wrong with the outputs; "" where nothing is.

    Args:
        scores: the outputs.
        shape: N, G.
    """
    fitting = scores.probabilities.shape == scores.logits.shape == shape
    fitting = fitting and scores.embedding.ndim == 2 and len(scores.embedding) == shape[0]
    if scores.evidence is not None:
        fitting = fitting and scores.evidence.ndim == 4 and scores.evidence.shape[:2] == shape
    if not fitting:
        return "of another shape than the card describes"
    given = (scores.probabilities, scores.logits, scores.embedding, scores.evidence)
    if not all(np.isfinite(values).all() for values in given if values is not None):
        return "no numbers"
    outside = ((scores.probabilities < 0) | (scores.probabilities > 1)).any()
    return "no probabilities" if outside else ""
