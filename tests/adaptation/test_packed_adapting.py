"""From packed posters and a model file to a model file of other genres."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.metrics import roc_auc_score

from onesheet.adaptation import Heads, start_from
from onesheet.adaptation import adapted_file as writing
from onesheet.bundle import POINTS, Scores
from onesheet.errors import CatalogueError, ExportError
from onesheet.exporting import export
from onesheet.genres import GenreSet
from onesheet.packed import Packed, Split, pack
from onesheet.predict import DEFAULT_MODEL, Predictor, load
from onesheet.training import Run, TrainConfig, fit

NAMES = ("Comedy", "Patch", "Horror")  # "Patch" is Drama by a name that the source does not know


def renamed(packed: Packed) -> Packed:
    return replace(packed, genres=GenreSet(NAMES))


def adapted(model: Path, packed: Packed, path: Path) -> tuple[Predictor, Heads]:
    _, heads = start_from(load(model), packed).write(path)
    return load(path), heads


@pytest.fixture(scope="module")
def other_run(packed: Packed, tiny: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(replace(tiny, seed=1, widths=(8, 12), epochs=2), packed, folder=tmp_path_factory.mktemp("other"))


@pytest.fixture(params=["fp32", "w8", "int8", "two networks"])
def source(request: pytest.FixtureRequest, run: Run, other_run: Run, model_path: Path, tmp_path: Path) -> Path:
    if request.param == "fp32":
        return model_path
    runs, precision = ([run, other_run], "fp32") if request.param == "two networks" else ([run], request.param)
    export(runs, tmp_path / "source.onnx", precision=precision)
    return tmp_path / "source.onnx"


def assert_mean_of_evidence(predictor: Predictor, scores: Scores) -> None:
    """The logits are the evidence's mean and a constant; nearly so where pooling rounds to 8 bits."""
    assert scores.evidence is not None
    constant = scores.logits - scores.evidence.mean((2, 3))
    allowed = 1e-2 if predictor.card.precision == "int8" else 1e-4
    assert np.ptp(constant, axis=0).max() <= allowed * max(1, np.abs(scores.evidence).max())


def assert_parity(heads: Heads, before: Scores, after: Scores) -> None:
    """The logits are the heads'."""
    expected = heads.logits(before.embedding, before.logits)
    np.testing.assert_allclose(after.logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_the_file_gives_the_heads_logits_and_their_evidence(source: Path, packed: Packed, tmp_path: Path) -> None:
    predictor, heads = adapted(source, renamed(packed), tmp_path / "adapted.onnx")
    posters = np.array(packed.posters[packed.rows("test")])
    before, after = load(source).score(posters), predictor.score(posters)
    assert predictor.genres.names == NAMES and after.logits.std(0).min() > 0.1
    assert_parity(heads, before, after)
    np.testing.assert_array_equal(after.embedding, before.embedding)
    assert after.evidence is not None and before.evidence is not None
    assert after.evidence.shape == (len(posters), 3, *before.evidence.shape[2:])
    assert_mean_of_evidence(predictor, after)
    kept = heads.kept & heads.known
    np.testing.assert_allclose(  # a kept genre's map is the source's, calibrated
        after.evidence[:, kept],
        before.evidence[:, kept] * np.array(load(source).card.calibration["scale"])[kept][:, None, None],
        atol=1e-4,
    )


def test_it_tells_genres_apart_and_is_calibrated_by_held_out_films(
    model_path: Path, packed: Packed, tmp_path: Path
) -> None:
    predictor, heads = adapted(model_path, renamed(packed), tmp_path / "adapted.onnx")
    rows = packed.rows("test")
    probabilities = predictor.score(np.array(packed.posters[rows])).probabilities
    for column in range(3):
        assert roc_auc_score(packed.labels[rows, column], probabilities[:, column]) > 0.8
    assert len(heads.held_out) == (packed.splits != "test").sum()
    assert set(POINTS) <= set(predictor.points)
    calibrated = heads.held_out * predictor.card.calibration["scale"] + predictor.card.calibration["bias"]
    labels = packed.labels[packed.splits != "test"]
    assert abs((1 / (1 + np.exp(-calibrated))).mean() - labels.mean()) < 0.05


def test_the_card_names_its_source(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    card = adapted(model_path, renamed(packed), tmp_path / "adapted.onnx")[0].card
    assert card.training["source"]["file"] == "genres.onnx"
    assert card.training["source"]["sha256"] == hashlib.sha256(model_path.read_bytes()).hexdigest()
    assert card.training["known"] == {"Comedy": "Comedy", "Horror": "Horror"}
    assert card.data["fingerprint"] == packed.fingerprint and card.data["films"]["test"] == len(packed.rows("test"))
    assert card.train_labels.shape == ((packed.splits != "test").sum(), 3)


def test_an_adapted_file_can_be_adapted(source: Path, packed: Packed, tmp_path: Path) -> None:
    first, _ = adapted(source, renamed(packed), tmp_path / "first.onnx")
    second, heads = adapted(tmp_path / "first.onnx", packed, tmp_path / "second.onnx")
    posters = np.array(packed.posters[packed.rows("test")])
    before, after = first.score(posters), second.score(posters)
    assert_parity(heads, before, after)
    assert_mean_of_evidence(second, after)
    nodes = [len(onnx.load(tmp_path / f"{name}.onnx").graph.node) for name in ("first", "second")]
    assert nodes[0] == nodes[1]  # heads do not pile up
    assert second.card.training["source"]["sha256"] == first.fingerprint


def test_ten_crops_can_be_adapted(parts: Split, tmp_path: Path) -> None:
    store = pack(parts, tmp_path / "packed", size=(80, 80))
    config = TrainConfig(model="alexnet", epochs=1, batch_size=64, ema=0.0, threads=1, arithmetic="fp32")
    export(fit(config, store, folder=tmp_path / "run"), tmp_path / "source.onnx")
    predictor, heads = adapted(tmp_path / "source.onnx", store, tmp_path / "adapted.onnx")
    posters = np.array(store.posters[store.rows("test")])
    before, after = load(tmp_path / "source.onnx").score(posters), predictor.score(posters)
    assert after.evidence is None and after.logits.std(0).min() > 0.01
    assert_parity(heads, before, after)


def test_any_runtime_gives_the_same_answer(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    predictor, _ = adapted(model_path, packed, tmp_path / "adapted.onnx")
    posters = np.array(packed.posters[:4])
    session = onnxruntime.InferenceSession(tmp_path / "adapted.onnx", providers=["CPUExecutionProvider"])
    named = dict(zip([one.name for one in session.get_outputs()], session.run(None, {"posters": posters}), strict=True))
    assert list(named) == ["probabilities", "logits", "embedding", "evidence"]
    np.testing.assert_allclose(named["probabilities"], predictor.score(posters).probabilities, atol=1e-6)


def test_the_bundled_model_can_be_adapted(packed: Packed, tmp_path: Path) -> None:
    source = load()
    films = Split.whole(packed_catalogue(packed, 60))
    store = pack(films, tmp_path / "packed", size=source.card.size, resize=source.card.resize)
    predictor, heads = adapted(DEFAULT_MODEL, store, tmp_path / "adapted.onnx")
    before, after = source.score(np.array(store.posters[:2])), predictor.score(np.array(store.posters[:2]))
    assert_parity(heads, before, after)
    assert_mean_of_evidence(predictor, after)
    assert heads.known.all()


def packed_catalogue(packed: Packed, films: int) -> object:
    from onesheet.data import Catalogue

    return Catalogue(packed.films[:films], packed.genres)


def test_a_graph_whose_maps_are_not_found_loses_its_evidence(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    model = onnx.load(model_path)
    for node in model.graph.node:  # the maps pass a step that no export makes
        if node.output[0] == "evidence":
            node.output[0] = "inner_evidence"
    same = np.eye(3, dtype=np.float32)[:, :, None, None]
    model.graph.initializer.append(onnx.numpy_helper.from_array(same, "same"))
    model.graph.node.append(onnx.helper.make_node("Conv", ["inner_evidence", "same"], ["evidence"]))
    onnx.save(model, tmp_path / "odd.onnx")
    predictor, _ = adapted(tmp_path / "odd.onnx", packed, tmp_path / "adapted.onnx")
    scores = predictor.score(np.array(packed.posters[:2]))
    assert scores.evidence is None and scores.logits.shape == (2, 3)
    assert predictor.explain(packed.films[0].poster, "Drama").method == "occlusion"


def test_a_file_that_differs_from_its_heads_is_not_written(
    model_path: Path, packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph: Callable[..., onnx.ModelProto] = writing.adapted_graph

    def shifted(source: Path, heads: Heads) -> onnx.ModelProto:
        return graph(source, replace(heads, bias=heads.bias + np.float32(0.01)))

    monkeypatch.setattr(writing, "adapted_graph", shifted)
    with pytest.raises(ExportError, match="logits differ from the original's"):
        adapted(model_path, packed, tmp_path / "adapted.onnx")
    assert not (tmp_path / "adapted.onnx").exists()


def test_too_few_films_are_an_error_that_says_how_many(model_path: Path, packed: Packed, tmp_path: Path) -> None:
    labels = packed.labels.copy()
    labels[:, 1] = False
    labels[np.flatnonzero(packed.splits != "test")[:4], 1] = True
    with pytest.raises(CatalogueError, match=r"4 of 1\d\d training films have the genre 'Drama', and 10 are needed"):
        start_from(load(model_path), replace(packed, labels=labels)).write(tmp_path / "adapted.onnx")
    with pytest.raises(CatalogueError, match=r"all but 0 of 1\d\d training films have the genre 'Comedy'"):
        start_from(load(model_path), replace(packed, labels=labels | True)).write(tmp_path / "adapted.onnx")


def test_a_learning_curve_has_five_sizes_of_several_draws(model_path: Path, packed: Packed) -> None:
    rows = list(start_from(load(model_path), packed).learning_curve(seed=3))
    films = int((packed.splits != "test").sum())
    sizes, draws = np.unique([row["films"] for row in rows], return_counts=True)
    assert sizes[-1] == films and draws.tolist() == [3, 3, 3, 3, 1]
    ratios = sizes[1:] / sizes[:-1]
    assert ratios.max() - ratios.min() < 0.1  # each size is as many times the one before
    labels = packed.labels[packed.splits != "test"]
    assert sizes[0] * labels.mean(0).max() > 10  # one genre at least can be learnt at once
    assert all(0 <= row["map"] <= 1 and 0.5 < row["roc_auc"] <= 1 for row in rows)
    assert rows == list(start_from(load(model_path), packed).learning_curve(seed=3))
