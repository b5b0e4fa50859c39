"""PosterGenreClassifier: the way from posters to a model file, as scikit-learn's estimators are used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from onesheet.data import Catalogue, Film, Findings
from onesheet.errors import ConfigError, UnreadablePoster, require
from onesheet.genres import GenreSet
from onesheet.packed import Split, pack, split
from onesheet.predict import Failure, Prediction, load
from onesheet.training.config import TrainConfig

require("sklearn", purpose="PosterGenreClassifier", extra="sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.metrics import accuracy_score  # noqa: E402
from sklearn.preprocessing import MultiLabelBinarizer  # noqa: E402
from sklearn.utils import InputTags  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402

SPLITS = {"train": "train", "validation": "validation", "test": "train"}  # scikit-learn tests


class PosterGenreClassifier(ClassifierMixin, BaseEstimator):
    """Posters to genres; X is a sequence of N paths of poster files, whatever the network.

    y is either labels N×G of 0 and 1 (an array, or a DataFrame whose columns are the genres), or N collections of
    genre names, which become columns as MultiLabelBinarizer orders them. It starts from the bundled model, without
    PyTorch, or trains a network by `config`, in a temporary folder; it does not audit: near-duplicate posters may be on
    both sides of its own validation.

    Args:
        config: the choices of training with PyTorch; None = heads on the bundled model's embedding.
        size: with a config, H, W in pixels that posters are brought to; None = what suits the model.
        at: operating point of `predict`: "balanced", "precise", "generous" or "exact".
        validation: with a config, share of the posters given to `fit` that chooses the best epoch, calibrates and sets
            thresholds.

    Attributes:
        classes_: the columns, G: genre names, or 0 to G - 1 where y had no names.
        model_: the model file, as bytes; written to a file it is one like any other (`onesheet.load`).
        findings_: the posters that could not be read, and were left out.

    Example:
        >>> PosterGenreClassifier(at="exact").get_params()
        {'at': 'exact', 'config': None, 'size': None, 'validation': 0.15}
    """

    classes_: NDArray[Any]

    def __init__(
        self,
        *,
        config: TrainConfig | None = None,
        size: tuple[int, int] | None = None,
        at: str = "balanced",
        validation: float = 0.15,
    ) -> None:
        self.config = config
        self.size = size
        self.at = at
        self.validation = validation

    def fit(self, X: Sequence[str | Path], y: Any) -> Self:
        """Train a network and keep its model file.

        Raises:
            ConfigError: X is no sequence of paths, or y does not fit to it.
            OnesheetError: what packing, training and writing the model file raise.
        """
        paths = _paths(X)
        labels, names = _labels(y)
        if len(paths) != len(labels):
            raise ConfigError(f"X and y must have a row for each poster; got {len(paths)} and {len(labels)}")
        genres = GenreSet(map(str, names))
        films = (
            Film(f"{number:09d}", path, named)
            for number, (path, named) in enumerate(zip(paths, genres.decode(labels), strict=True))
        )
        catalogue = Catalogue(tuple(films), genres)
        with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
            path = Path(folder) / "genres.onnx"
            if self.config is None:
                self.findings_ = self._adapt(catalogue, path, named=not isinstance(names[0], np.integer | int))
            else:
                self.findings_ = self._train(catalogue, path, self.config)
            self.model_ = path.read_bytes()
        self.classes_ = names
        return self

    def _adapt(self, catalogue: Catalogue, path: Path, *, named: bool) -> Findings:
        """Write the bundled model with heads for the catalogue's genres; without names, none of them is known to it."""
        from onesheet.adaptation import start_from

        source = load()
        if self.size not in (None, source.card.size):
            raise ConfigError(f"size belongs to a config; the bundled model takes {source.card.size}: leave it out")
        packed = pack(Split.whole(catalogue), path.parent / "packed", size=source.card.size, resize=source.card.resize)
        start_from(source, packed, known=None if named else {}).write(path)
        return packed.findings

    def _train(self, catalogue: Catalogue, path: Path, config: TrainConfig) -> Findings:
        """Write the model file of a network that PyTorch trains."""
        from onesheet.exporting import export
        from onesheet.models import default_size
        from onesheet.training import fit

        assigned = split(catalogue, seed=config.seed, validation=self.validation, test=self.validation)
        assigned = Split(assigned.catalogue, np.array([SPLITS[name] for name in assigned.splits.tolist()]))
        packed = pack(
            assigned, path.parent / "packed", size=self.size or default_size(config.model), threads=config.threads
        )
        export(fit(config, packed, folder=path.parent / "run"), path)
        return packed.findings

    def predict(self, X: Sequence[str | Path]) -> NDArray[np.int64]:
        """The genres given at the operating point: int N×G of 0 and 1, columns as `classes_`.

        Raises:
            UnreadablePoster: a poster cannot be decoded; there is no honest row for it.
        """
        rows = [[name in one.genres for name in one.probabilities] for one in self._predictions(X)]
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.classes_))

    def predict_proba(self, X: Sequence[str | Path]) -> NDArray[np.float64]:
        """Calibrated probabilities, float N×G in [0, 1], columns as `classes_`.

        Raises:
            UnreadablePoster: as `predict`.
        """
        rows = [list(one.probabilities.values()) for one in self._predictions(X)]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.classes_))

    def score(self, X: Sequence[str | Path], y: Any, sample_weight: Any = None) -> float:
        """Share of the posters that are given exactly their genres, as scikit-learn's classifiers score.

        Few posters are, and rightly so: `scoring="average_precision"` says more. One with a genre that is not among
        `classes_` never is.
        """
        given, labels = self.predict(X), _labels(y, self.classes_)[0]
        unknown = labels.shape[1] - given.shape[1]
        return float(accuracy_score(labels, np.pad(given, ((0, 0), (0, unknown))), sample_weight=sample_weight))

    def _predictions(self, X: Sequence[str | Path]) -> list[Prediction]:
        check_is_fitted(self)
        paths = _paths(X)
        with tempfile.TemporaryDirectory(prefix="onesheet-") as folder:
            path = Path(folder) / "genres.onnx"
            path.write_bytes(self.model_)
            answers = list(load(path).predict_many(paths, at=self.at))
        for answer in answers:
            if isinstance(answer, Failure):
                raise UnreadablePoster(answer.error, reason="unreadable")
        return [answer for answer in answers if isinstance(answer, Prediction)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags(one_d_array=True, two_d_array=False, string=True)
        tags.target_tags.two_d_labels, tags.target_tags.single_output = True, False
        tags.classifier_tags.multi_class, tags.classifier_tags.multi_label = False, True
        return tags


def _paths(X: Iterable[Any]) -> list[str]:
    """The posters' paths.

    Raises:
        ConfigError: something else.
    """
    paths = np.asarray(X, dtype=object)
    if paths.ndim != 1:
        raise ConfigError(f"X must be a sequence of poster paths; got an array of shape {paths.shape}")
    for path in paths:
        if not isinstance(path, str | Path):
            raise ConfigError(f"X must be a sequence of poster paths; got {path!r} in it")
    return [str(path) for path in paths]


def _labels(y: Any, names: NDArray[Any] | None = None) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """y as labels, int N×G of 0 and 1, and its columns: `names` where those are known, and behind them any others.

    Raises:
        ConfigError: something else.
    """
    y = y.toarray() if hasattr(y, "toarray") else y
    try:
        values = np.asarray(y)
    except ValueError:  # rows of several lengths: names
        values = np.empty(0)
    if values.ndim == 2 and values.dtype.kind in "biuf":
        columns = np.asarray(getattr(y, "columns", range(values.shape[1])))
        if names is not None and len(columns) != len(names):
            raise ConfigError(f"y must have {len(names)} columns, one for each of classes_; got {len(columns)}")
        if (wrong := values[~np.isin(values, (0, 1))]).size:
            raise ConfigError(f"labels must be 0 or 1; got {wrong[0]}")
        return values.astype(np.int64), columns
    for row in y:
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise ConfigError(f"y must be labels of 0 and 1, N×G, or the genre names of each poster; got {row!r} in it")
    unknown = set() if names is None else {genre for row in y for genre in row} - set(names)
    binarizer = MultiLabelBinarizer(classes=None if names is None else [*names, *sorted(unknown)]).fit(y)
    return binarizer.transform(y), binarizer.classes_
