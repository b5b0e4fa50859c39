"""PosterGenreClassifier as those who live in scikit-learn use it, and scikit-learn's own checks."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_classifiers_multilabel_output_format_predict,
    check_classifiers_multilabel_output_format_predict_proba,
    parametrize_with_checks,
)

import onesheet
from onesheet.apps.estimator import PosterGenreClassifier
from onesheet.data import Catalogue
from onesheet.errors import ConfigError, UnreadablePoster
from onesheet.training import TrainConfig

QUICK = TrainConfig(
    model="poster-cnn", widths=(8, 16), epochs=2, batch_size=16, learning_rate=0.01, tta=False, threads=1
)
SIZE = (48, 32)

# scikit-learn's checks that cannot apply, each by its reason; every one of them fails (strictly), the others pass.
EXCLUDED = {
    "fits on a matrix of numbers, where X is paths of poster files; tested on posters below": """
        check_fit_score_takes_y check_estimators_overwrite_params check_dont_overwrite_parameters
        check_estimators_fit_returns_self check_readonly_memmap_input check_estimators_pickle check_fit_idempotent
        check_dict_unchanged check_methods_sample_order_invariance check_methods_subset_invariance
        check_fit_check_is_fitted check_pipeline_consistency check_classifiers_multilabel_representation_invariance
        check_classifiers_multilabel_output_format_predict check_classifiers_multilabel_output_format_predict_proba
        """,
    "fits on a matrix of numbers, in ways that mean nothing for a list of files (dtype, memory order, one column)": """
        check_estimators_dtypes check_f_contiguous_array_estimator check_classifier_data_not_an_array
        check_fit2d_1sample check_fit2d_1feature check_positive_only_tag_during_fit check_dtype_object
        check_classifiers_multilabel_output_format_decision_function
        """,
    "a list of paths has no features to count": "check_n_features_in_after_fitting check_n_features_in",
    "wants ValueErrors about numbers (complex, NaN, sparse, 1-D); everything wrong here is a OnesheetError": """
        check_complex_data check_estimators_nan_inf check_estimator_sparse_tag check_estimator_sparse_array
        check_estimator_sparse_matrix check_estimators_empty_data_messages check_fit1d check_fit2d_predict1d
        check_requires_y_none check_supervised_y_no_nan check_classifiers_regression_target
        """,
    "each film has one class of several there; y is multi-label here": """
        check_classifiers_one_label check_classifiers_classes check_classifiers_train
        check_classifier_not_supporting_multiclass
        """,
}
REASONS = {check: reason for reason, checks in EXCLUDED.items() for check in checks.split()}


class Checked(PosterGenreClassifier):
    """Says that it takes matrices: scikit-learn checks nothing but clone on an estimator that does not."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@parametrize_with_checks([Checked()], expected_failed_checks=lambda _: REASONS, xfail_strict=True)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def quick(**options: Any) -> PosterGenreClassifier:
    return PosterGenreClassifier(**({"config": QUICK, "size": SIZE} | options))


@pytest.fixture(scope="module")
def paths(catalogue: Catalogue) -> list[str]:
    return [film.poster for film in catalogue.films]


@pytest.fixture(scope="module")
def genres(catalogue: Catalogue) -> list[tuple[str, ...]]:
    return [film.genres for film in catalogue.films]


@pytest.fixture(scope="module")
def fitted(paths: list[str], genres: list[tuple[str, ...]]) -> PosterGenreClassifier:
    return quick().fit(paths, genres)


class Drawn(Checked):
    """Takes each row of numbers for a poster of stripes, so that scikit-learn's checks have something to fit on."""

    folder = ""

    def _posters(self, X: Any) -> list[str]:
        posters = []
        for row in np.asarray(X, dtype=np.float32):
            path = Path(self.folder) / f"{abs(hash(row.tobytes()))}.png"
            stripes = np.resize((row * 20 % 256).astype(np.uint8), (48, 32, 3))
            Image.fromarray(stripes).save(path)
            posters.append(str(path))
        return posters

    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(self._posters(X), y)

    def predict(self, X: Any) -> Any:
        return super().predict(self._posters(X))

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(self._posters(X))


@pytest.mark.parametrize(
    "check",
    [check_classifiers_multilabel_output_format_predict, check_classifiers_multilabel_output_format_predict_proba],
)
def test_scikit_learns_checks_of_what_multilabel_classifiers_return(check: Any, tmp_path: Path) -> None:
    Drawn.folder = str(tmp_path)
    check("PosterGenreClassifier", Drawn(config=QUICK, size=SIZE))


def test_it_learns_and_answers_as_its_model_file_does(
    fitted: PosterGenreClassifier, paths: list[str], genres: list[tuple[str, ...]], tmp_path: Path
) -> None:
    binarizer = MultiLabelBinarizer()
    truth = binarizer.fit_transform(genres)
    assert fitted.classes_.tolist() == binarizer.classes_.tolist()
    probabilities, given = fitted.predict_proba(paths), fitted.predict(paths)
    assert probabilities.shape == given.shape == truth.shape and set(np.unique(given)) == {0, 1}
    assert roc_auc_score(truth, probabilities, average="macro") > 0.7
    assert fitted.score(paths, genres) == fitted.score(paths, truth) == accuracy_score(truth, given)
    assert fitted.score(paths, [[*names, "Western"] for names in genres]) == 0
    (tmp_path / "genres.onnx").write_bytes(fitted.model_)
    model = onesheet.load(tmp_path / "genres.onnx")
    assert list(model.predict(paths[3]).probabilities.values()) == probabilities[3].tolist()
    generous = clone(fitted).set_params(at="generous")
    generous.model_, generous.classes_ = fitted.model_, fitted.classes_
    assert [set(model.predict(path, at="generous").genres) for path in paths[:9]] == [
        set(fitted.classes_[row == 1]) for row in generous.predict(paths[:9])
    ]


def test_fitting_again_gives_the_same_and_changes_no_parameter(
    fitted: PosterGenreClassifier, paths: list[str], genres: list[tuple[str, ...]]
) -> None:
    again = quick()
    before = copy.deepcopy(again.get_params())
    labels = pd.DataFrame(MultiLabelBinarizer().fit_transform(genres), columns=fitted.classes_)
    assert again.fit(np.array(paths), labels) is again and again.get_params() == before
    assert set(vars(again)) == {*before, "model_", "classes_", "findings_"}
    assert again.classes_.tolist() == fitted.classes_.tolist()
    assert np.array_equal(again.predict_proba(paths), fitted.predict_proba(paths))


def test_a_row_does_not_depend_on_the_others(fitted: PosterGenreClassifier, paths: list[str]) -> None:
    whole, turned = fitted.predict_proba(paths[:20]), fitted.predict_proba(paths[:20][::-1])
    np.testing.assert_allclose(whole, turned[::-1], atol=2e-6)
    alone = np.concatenate([fitted.predict_proba([path]) for path in paths[:20]])
    np.testing.assert_allclose(whole, alone, atol=2e-6)
    assert fitted.predict([]).shape == (0, 3)


def test_it_is_stored_and_predicts_elsewhere_without_torch(
    fitted: PosterGenreClassifier, paths: list[str], tmp_path: Path
) -> None:
    joblib.dump(fitted, tmp_path / "fitted")
    code = (
        f"import joblib, sys; fitted = joblib.load({str(tmp_path / 'fitted')!r});"
        f"print(fitted.predict_proba([{paths[0]!r}]).tolist()); assert 'torch' not in sys.modules"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == str(fitted.predict_proba(paths[:1]).tolist())


def test_cross_validation_pipelines_and_grids(paths: list[str], genres: list[tuple[str, ...]]) -> None:
    labels = MultiLabelBinarizer().fit_transform(genres)
    pipeline = Pipeline([("paths", FunctionTransformer(validate=False)), ("genres", quick())])
    scores = cross_val_score(pipeline, paths, labels, cv=KFold(2), scoring="average_precision", error_score="raise")
    assert scores.shape == (2,) and (scores > labels.mean()).all()
    grid = GridSearchCV(quick(), {"at": ["precise", "generous"]}, cv=KFold(2), scoring="recall_macro", refit=False)
    assert grid.fit(paths, labels).best_params_ == {"at": "generous"}


def test_tags_say_what_it_takes() -> None:
    tags = get_tags(PosterGenreClassifier())
    assert tags.input_tags.string and tags.input_tags.one_d_array and not tags.input_tags.two_d_array
    assert tags.classifier_tags.multi_label and tags.target_tags.required and not tags.non_deterministic


def test_what_is_wrong_is_said(fitted: PosterGenreClassifier, paths: list[str], tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        quick().predict(paths)
    for wrong, message in {
        "poster.jpg": r"sequence of poster paths; got an array of shape \(\)",
        ((1, 2), (3, 4)): r"got an array of shape \(2, 2\)",
        (1, 2): "got 1 in it",
    }.items():
        with pytest.raises(ConfigError, match=message):
            fitted.predict(wrong)  # type: ignore[arg-type]
    labels: dict[str, Any] = {
        "got 'Drama' in it": ["Drama", "Comedy"],
        "got 1 in it": [1, 0],
        "labels must be 0 or 1; got 2": [[0, 2], [1, 0]],
        "got 2 and 3": [[0, 1]] * 3,
    }
    for message, y in labels.items():
        with pytest.raises(ConfigError, match=message):
            quick().fit(paths[:2], y)
    with pytest.raises(ConfigError, match="3 columns, one for each of classes_; got 2"):
        fitted.score(paths[:2], [[0, 1], [1, 0]])
    (tmp_path / "text.png").write_text("no poster")
    with pytest.raises(UnreadablePoster, match=r"text\.png"):
        fitted.predict([paths[0], tmp_path / "text.png"])


def test_films_without_a_genre_and_posters_that_cannot_be_read(
    paths: list[str], genres: list[tuple[str, ...]], tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no poster")
    fitted = quick().fit([*paths[:60], str(tmp_path / "text.png")], [*genres[:50], *[()] * 11])
    assert [finding.flag for finding in fitted.findings_] == ["not-an-image"]
    assert fitted.predict_proba(paths[:2]).shape == (2, 3)


def test_without_a_config_it_starts_from_the_bundled_model(catalogue: Catalogue) -> None:
    films = catalogue.films[:60]
    posters, genres = [film.poster for film in films], [film.genres for film in films]
    named = PosterGenreClassifier().fit(posters, genres)
    assert named.classes_.tolist() == ["Comedy", "Drama", "Horror"]
    assert set(_card(named)["known"]) == {"Comedy", "Drama", "Horror"}
    assert named.predict_proba(posters[:3]).shape == (3, 3)
    nameless = PosterGenreClassifier().fit(posters, MultiLabelBinarizer().fit_transform(genres))
    assert _card(nameless)["known"] == {}  # a column's number is no genre's


def _card(classifier: PosterGenreClassifier) -> dict[str, Any]:
    texts = {one.key: one.value for one in onnx.load_from_string(classifier.model_).metadata_props}
    training: dict[str, Any] = json.loads(texts["onesheet"])["training"]
    return training


def test_a_size_belongs_to_a_config(catalogue: Catalogue) -> None:
    films = catalogue.films[:60]
    with pytest.raises(ConfigError, match="size belongs to a config"):
        PosterGenreClassifier(size=SIZE).fit([film.poster for film in films], [film.genres for film in films])
