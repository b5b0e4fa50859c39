"""Learn from the corrections: the model adapted to the decisions made so far, as a new file."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onesheet.adaptation import Adapting, Heads, start_from
from onesheet.adaptation.heads import LEAST_FILMS
from onesheet.apps.review.corrected_catalogue import corrected
from onesheet.apps.review.queue import Case, review_queue
from onesheet.apps.review.review import Review
from onesheet.bundle import Bundle
from onesheet.data import Catalogue
from onesheet.errors import OnesheetError, ReviewError, require
from onesheet.evaluation import decision_metrics
from onesheet.evaluation.calibration import sigmoid
from onesheet.evaluation.summary import summary_metrics
from onesheet.genres import GenreSet
from onesheet.packed import Packed, Split, pack, split
from onesheet.packed.splitting import read_split_rows
from onesheet.predict import Predictor
from onesheet.progress import Progress, silent

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        path: the new model file.
        learned: films learned from.
        decided: those of them that people decided about.
        held_out: films measured on, of which none was learned from.
        left_out: genres with too few films.
        before: metrics of the model on the held-out films: "map", and "precision" and "recall" at balanced.
        after: the same of the new one.
    """

    path: Path
    learned: int
    decided: int
    held_out: int
    left_out: tuple[str, ...]
    before: dict[str, float | None]
    after: dict[str, float | None]

    def to_dict(self) -> dict[str, object]:
        """The JSON form; `file` is the file's name."""
        return {
            "file": self.path.name,
            "learned": self.learned,
            "decided": self.decided,
            "held_out": self.held_out,
            "left_out": list(self.left_out),
            "before": self.before,
            "after": self.after,
        }


class LearningJob:
    """Adapts the model to a review's decisions in a thread of its own, once at a time.

    Attributes:
        folder: where packed posters, features and model files are; beside the decisions.
        result: of the last job that ended well.
    """

    def __init__(self, review: Review, predictor: Predictor) -> None:
        self.folder = review.store.path.with_suffix(".learned")
        self.result: Learned | None = None
        self._review = review
        self._predictor = predictor
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._task, self._share, self._error = "", 0.0, ""

    def start(self) -> None:
        """Begin a job.

        Raises:
            ReviewError: one is running, or nothing is decided.
            MissingExtra: onnx is not installed.
        """
        require("onnx", purpose="learning from corrections", extra="adapt")
        with self._lock:
            if self.running:
                raise ReviewError("it is learning already; wait until that has ended")
            if not any(decision.genres for decision in self._review.store.standing().values()):
                raise ReviewError("nothing is decided yet; accept or correct a film first")
            self._task, self._share, self._error = "start", 0.0, ""
            self._thread = threading.Thread(target=self._run, name="onesheet-learning", daemon=True)
            self._thread.start()

    @property
    def running(self) -> bool:
        """Whether a job is going on."""
        return self._thread is not None and self._thread.is_alive()

    def state(self) -> dict[str, object]:
        """state ("idle", "running", "done" or "failed"), task, share (of the task, 0 to 1), error, result."""
        done = "failed" if self._error else "done" if self.result else "idle"
        return {
            "state": "running" if self.running else done,
            "task": self._task,
            "share": self._share,
            "error": self._error,
            "result": self.result and self.result.to_dict(),
        }

    def _run(self) -> None:
        try:
            self.result = learn(self._review, self._predictor, self.folder, progress=self._progress)
        except OnesheetError as error:
            self._error = str(error)
        except Exception as error:  # the waiting client must be informed
            self._error = f"{type(error).__name__} while learning: {error}"

    def _progress(self, task: str, done: int, total: int, note: str = "") -> None:
        self._task, self._share = task, done / max(total, 1)


def learn(review: Review, predictor: Predictor, folder: Path, *, progress: Progress = silent) -> Learned:
    """Adapt a model to the decisions of a review, write it as a new file, and sort the review's queue by it.

    It learns from the films decided and from those of the training and validation sets; the others are held out.
    Packed posters and features stay in the folder, so that the next time takes seconds.

    Args:
        review: the queue and the decisions.
        predictor: the model to start from.
        folder: made where it is not there; no file in it is overwritten.
        progress: reports the work in every step.

    Raises:
        CatalogueError: no genre has enough films to learn from.
        OnesheetError: what packing, splitting and adapting raise.
    """
    decisions = {film: one for film, one in review.store.standing().items() if one.genres}
    packed = _packed(review, predictor, folder, progress)
    films = packed.films[:]
    truth = corrected(review.source.catalogue, review.source.bare, decisions)
    genres_of = {film.film_id: film.genres for film in truth.films}
    all_labels = packed.genres.encode([genres_of.get(film.film_id, ()) for film in films])
    decided = np.array([film.film_id in decisions for film in films])
    labelled, test = all_labels.any(1), _test_films(review, packed)
    learned = labelled & (decided | ~test)
    films_with = all_labels[learned].sum(0)
    columns = np.flatnonzero((films_with >= LEAST_FILMS) & (learned.sum() - films_with >= LEAST_FILMS))
    named = [packed.genres.names[column] for column in np.flatnonzero(films_with)]
    genres = GenreSet([packed.genres.names[column] for column in columns])
    known = None if packed.known is None else (packed.known | decided[:, None])[:, columns]
    posters = replace(
        packed,
        labels=all_labels[:, columns],
        known=known,
        genres=genres,
        splits=np.where(learned, "train", "test"),
    )
    adapting = start_from(predictor, posters, progress=progress)
    bundle, heads = adapting.write(_free(folder), progress=progress)
    new = _probabilities(adapting, bundle, heads, learned)
    held_out = labelled & ~learned
    review.sort(_queue(review, posters, bundle, new))
    return Learned(
        path=bundle.path,
        learned=int(learned.sum()),
        decided=int((learned & decided).sum()),
        held_out=int(held_out.sum()),
        left_out=tuple(name for name in named if name not in genres),
        before=_metrics(posters.labels[held_out], *_before(adapting, held_out)),
        after=_metrics(posters.labels[held_out], new[held_out], bundle.points["balanced"].decide(new[held_out])),
    )


def _packed(review: Review, predictor: Predictor, folder: Path, progress: Progress) -> Packed:
    """The posters of all films, those without genres among them, as the model takes them."""
    source, card = review.source, predictor.card
    films = Catalogue((*source.catalogue.films, *source.bare), review.genres, source.catalogue.findings)
    height, width = card.size
    return pack(
        Split.whole(films),
        folder / f"posters-{height}x{width}",
        size=card.size,
        resize=card.resize,
        threads=predictor.threads,
        progress=progress,
    )


def _test_films(review: Review, packed: Packed) -> Bools:
    """Which films are in the test set, bool N: the run's, or a part of the catalogue drawn once for all."""
    return np.isin([film.film_id for film in packed.films[:]], sorted(_ids(review, "test")))


def _ids(review: Review, name: str) -> set[str]:
    """The films of one split."""
    if review.source.run:
        return {film for film, part in read_split_rows(review.source.run / "split.csv") if part == name}
    parts = split(review.source.catalogue, seed=0)
    return {parts.catalogue.films[row].film_id for row in parts.rows(name)}


def _free(folder: Path) -> Path:
    """The first of genres-1.onnx, genres-2.onnx … that is not there."""
    return next(path for number in count(1) if not (path := folder / f"genres-{number}.onnx").exists())


def _probabilities(adapting: Adapting, bundle: Bundle, heads: Heads, learned: Bools) -> NDArray[np.float32]:
    """The new model's probabilities, float32 N×G; for films learned from, by heads that did not learn from them."""
    scale, bias = bundle.card.scale_and_bias
    logits = heads.logits(adapting.embedding, adapting.logits)
    logits[learned] = heads.held_out
    return sigmoid(scale * logits + bias).astype(np.float32)


def _before(adapting: Adapting, rows: Bools) -> tuple[NDArray[np.float64], Bools]:
    """Probabilities and predicted genres of the model to start from, n×G; none for genres that it does not know."""
    source, genres = adapting.source, adapting.packed.genres.names
    scale, bias = source.card.scale_and_bias
    theirs = sigmoid(scale * adapting.logits[rows] + bias)
    given = source.points["balanced"].decide(theirs)
    probabilities, predicted = np.zeros((len(theirs), len(genres))), np.zeros((len(theirs), len(genres)), bool)
    for column, name in enumerate(genres):
        if name in adapting.known:
            place = source.genres.column(adapting.known[name])
            probabilities[:, column], predicted[:, column] = theirs[:, place], given[:, place]
    return probabilities, predicted


def _metrics(labels: Bools, probabilities: NDArray[np.floating], predicted: Bools) -> dict[str, float | None]:
    """Mean average precision, and micro precision and recall of what is predicted; None where nothing defines one."""
    if not len(labels):
        return dict.fromkeys(("map", "precision", "recall"))
    decided = decision_metrics(labels, predicted)
    found = {
        "map": summary_metrics(labels, probabilities)["map"],
        "precision": float(decided["micro_precision"]),
        "recall": float(decided["micro_recall"]),
    }
    return {name: round(value, 4) if np.isfinite(value) else None for name, value in found.items()}


def _queue(review: Review, packed: Packed, bundle: Bundle, probabilities: NDArray[np.float32]) -> tuple[Case, ...]:
    """The films not decided yet, but for those of a run's training set."""
    passed = {*review.store.standing(), *(_ids(review, "train") if review.source.run else ())}
    films = packed.films[:]
    rows = [row for row, film in enumerate(films) if film.film_id not in passed]
    predicted = bundle.points["balanced"].decide(probabilities[rows])
    return review_queue([films[row] for row in rows], packed.genres, probabilities[rows], predicted)
