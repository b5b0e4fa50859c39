from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from sklearn.metrics import average_precision_score
from transformers import ResNetConfig, ResNetModel

from onesheet.bundle import CARD_KEY, read_bundle
from onesheet.errors import ConfigError, ExportError, RunError
from onesheet.evaluation import fit_calibration, fit_operating_points
from onesheet.evaluation.caveats import SEEN
from onesheet.exporting import export
from onesheet.exporting import model_file as exporting
from onesheet.exporting.model_file import kept_network
from onesheet.packed import Packed, Split, pack
from onesheet.predict import load, score_split
from onesheet.training import Run, TrainConfig, fit


def posters_of(packed: Packed, part: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(packed.posters[packed.rows(part)])


def test_the_file_gives_the_networks_answers(run: Run, model_path: Path, packed: Packed) -> None:
    posters = posters_of(packed, "test")
    scores = read_bundle(model_path).score(posters)
    with torch.inference_mode():
        output = kept_network(run, packed)(torch.from_numpy(posters).permute(0, 3, 1, 2).float() / 255)
    assert output.logits.std() > 0.1  # a constant network would agree with anything
    np.testing.assert_allclose(scores.logits, output.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(scores.embedding, output.embedding.numpy(), atol=1e-4)
    assert scores.evidence is not None and output.evidence is not None
    np.testing.assert_allclose(scores.evidence, output.evidence.numpy(), atol=1e-4)


def test_probabilities_are_the_cards_calibration_of_the_logits(model_path: Path, packed: Packed) -> None:
    bundle = read_bundle(model_path)
    scores = bundle.score(posters_of(packed, "test"))
    scale, bias = (np.array(bundle.card.calibration[key]) for key in ("scale", "bias"))
    np.testing.assert_allclose(scores.probabilities, 1 / (1 + np.exp(-(scale * scores.logits + bias))), atol=1e-5)


def test_calibration_and_points_come_from_the_files_own_validation_scores(model_path: Path, packed: Packed) -> None:
    predictor = load(model_path)
    logits = score_split(predictor, packed, "validation").logits
    labels = packed.labels[packed.rows("validation")]
    calibration = fit_calibration(logits, labels)
    np.testing.assert_allclose(predictor.card.calibration["scale"], calibration.scale, rtol=1e-4)
    points = fit_operating_points(
        calibration.probabilities(logits), labels, train_labels=packed.labels[packed.rows("train")]
    )
    for name, point in points.items():
        given = predictor.points[name].decide(predictor.score(posters_of(packed, "validation")).probabilities)
        np.testing.assert_array_equal(given, point.decide(calibration.probabilities(logits)))


def test_several_runs_answer_together(
    run: Run, packed: Packed, parts: Split, tiny: TrainConfig, tmp_path: Path
) -> None:
    other = fit(replace(tiny, seed=1, epochs=2), packed, folder=tmp_path / "other")
    together = export([run, other], tmp_path / "together.onnx")
    posters = posters_of(packed, "test")
    alone = [export(one, tmp_path / f"{seed}.onnx").score(posters) for seed, one in enumerate((run, other))]
    scores = together.score(posters)
    np.testing.assert_allclose(scores.logits, (alone[0].logits + alone[1].logits) / 2, atol=1e-4)
    np.testing.assert_allclose(scores.embedding, np.hstack([one.embedding for one in alone]), atol=1e-4)
    assert scores.evidence is not None and alone[0].evidence is not None and alone[1].evidence is not None
    np.testing.assert_allclose(scores.evidence, (alone[0].evidence + alone[1].evidence) / 2, atol=1e-4)
    assert np.abs(alone[0].logits - alone[1].logits).max() > 0.1
    assert [one["seed"] for one in together.card.training["together_with"]] == [1]
    assert "together_with" not in read_bundle(tmp_path / "0.onnx").card.training

    strange = fit(replace(tiny, epochs=1), pack(parts, tmp_path / "packed", size=(40, 32)), folder=tmp_path / "strange")
    with pytest.raises(RunError, match="were trained on different packed posters"):
        export([run, strange], tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


@pytest.mark.parametrize("precision", ["w8", "int8"])
def test_smaller_precisions_answer_nearly_the_same(
    precision: str, run: Run, model_path: Path, packed: Packed, tmp_path: Path
) -> None:
    path = tmp_path / "small.onnx"
    bundle = export(run, path, precision=precision)
    assert bundle.card.precision == precision
    assert {"w8": "arithmetic float32", "int8": "-64..64 (7 bits)"}[precision] in bundle.card.quantization
    assert read_bundle(model_path).card.quantization == ""
    posters = posters_of(packed, "test")
    np.testing.assert_allclose(
        bundle.score(posters).probabilities, read_bundle(model_path).score(posters).probabilities, atol=0.15
    )
    assert (bundle.score(posters).probabilities != read_bundle(model_path).score(posters).probabilities).any()


def test_weights_in_8_bits_cost_less_than_two_thousandths_of_map(
    packed: Packed, tiny: TrainConfig, tmp_path: Path
) -> None:
    wide = fit(replace(tiny, widths=(32, 64), epochs=2), packed, folder=tmp_path / "run")
    bundles = [export(wide, tmp_path / f"{precision}.onnx", precision=precision) for precision in ("fp32", "w8")]
    weights = onnx.load(tmp_path / "w8.onnx").graph.initializer
    assert onnx.TensorProto.INT8 in {weight.data_type for weight in weights}  # not all too small for it
    labels, posters = packed.labels, np.asarray(packed.posters)
    whole, eighth = (average_precision_score(labels, bundle.score(posters).probabilities) for bundle in bundles)
    assert whole > 1.2 * labels.mean() and abs(whole - eighth) < 0.002


def test_int8_takes_activations_into_its_layers_and_leaves_the_last_ones(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "int8.onnx", precision="int8")
    graph = onnx.load(tmp_path / "int8.onnx").graph
    makers = {node.output[0]: node for node in graph.node}
    kinds = [node.op_type for node in graph.node]
    assert "Relu" not in kinds and kinds.count("BatchNormalization") == 1  # that of the posters' colours
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    widened = [node.output[0] for node in layers if makers.get(node.input[1], node).op_type == "DequantizeLinear"]
    assert len(widened) == len(layers) - 3  # the head, and its weights on the maps of both views
    assert not {"logits", "evidence"} & set(widened)


def test_the_card_says_what_it_was_made_from(model_path: Path, run: Run, packed: Packed) -> None:
    card = read_bundle(model_path).card
    assert card.genres == packed.genres.names and card.size == packed.size and card.resize == "stretch"
    assert card.training["model"] == "poster-cnn" and card.training["best_epoch"] == run.best_epoch
    assert card.data["fingerprint"] == packed.fingerprint
    train = packed.labels[packed.rows("train")]
    assert card.data["genre_films"] == dict(zip(card.genres, train.sum(0).tolist(), strict=True))
    np.testing.assert_array_equal(np.sort(card.train_labels, axis=0), np.sort(train, axis=0))
    assert 0.5 < card.validation["roc_auc"] <= 1


def test_the_card_counts_what_each_operating_point_predicted(model_path: Path, packed: Packed) -> None:
    predictor = load(model_path, threads=1)
    labels = packed.labels[packed.rows("validation")]
    probabilities = score_split(predictor, packed, "validation").probabilities
    measured = predictor.card.measured
    assert measured["split"] == "validation" and measured["films"] == len(labels)
    assert measured["genre_films"] == labels.sum(0).tolist()
    assert measured["caveats"][0] == SEEN["validation"]
    for name, point in predictor.points.items():
        given = point.decide(probabilities)
        expected = {"predicted": given.sum(0).tolist(), "right": (given * labels).sum(0).tolist()}
        assert measured["points"][name] == expected, name


def test_the_file_names_no_place_of_this_machine(model_path: Path) -> None:
    content = model_path.read_bytes()
    for trace in (b"site-packages", b"/src/onesheet", str(Path.home()).encode() + b"/", str(Path.cwd()).encode()):
        assert trace not in content
    model = onnx.load(model_path)
    assert [entry.key for entry in model.metadata_props] == [CARD_KEY]
    json.loads(model.metadata_props[0].value)


def test_a_file_that_differs_is_rejected_and_nothing_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporting.write_graph

    def wrong(graph: exporting.ExportGraph, path: Path, **options: object) -> None:
        with torch.no_grad():
            graph.network.head[-1].bias += 0.01  # type: ignore[index, union-attr]
            write(graph, path, **options)  # type: ignore[arg-type]
            graph.network.head[-1].bias -= 0.01  # type: ignore[index, union-attr]

    monkeypatch.setattr(exporting, "write_graph", wrong)
    with pytest.raises(ExportError, match=r"the fp32 file.s probabilities differ from .*; please report the network"):
        export(run, tmp_path / "wrong.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights_or_with_another_store_is_rejected(run: Run, packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no epoch of the run"):
        export(replace(run, folder=tmp_path), tmp_path / "genres.onnx")
    with pytest.raises(RunError, match=r"is not what .* was trained on"):
        export(replace(run, fingerprint="0"), tmp_path / "genres.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"precision": "fp8"}, {"precision_target": 1.0}, {"recall_target": 0.0}], ids=str)
def test_options_out_of_range_are_rejected(options: dict[str, object], run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="option must be"):
        export(run, tmp_path / "genres.onnx", **options)  # type: ignore[arg-type]


def test_a_run_is_exported_without_the_folder_of_its_backbone(packed: Packed, tmp_path: Path) -> None:
    backbone = tmp_path / "backbone"
    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])).save_pretrained(backbone)
    run = fit(
        TrainConfig(model=f"hf:{backbone}", tune="head", epochs=1, threads=1, arithmetic="fp32"),
        packed,
        folder=tmp_path / "run",
    )
    with_folder = kept_network(run, packed)
    shutil.rmtree(backbone)
    without = kept_network(run, packed)
    posters = torch.rand(2, 3, *packed.size)
    with torch.no_grad():
        torch.testing.assert_close(with_folder(posters).logits, without(posters).logits)
    assert export(run, tmp_path / "genres.onnx").genres.names == packed.genres.names


def test_alexnet_goes_out_with_ten_crops(packed: Packed, parts, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    larger = pack(parts, tmp_path / "packed", size=(80, 80))
    config = TrainConfig(model="alexnet", epochs=1, batch_size=64, ema=0.0, threads=1, arithmetic="fp32")
    run = fit(config, larger, folder=tmp_path / "run")
    bundle = export(run, tmp_path / "genres.onnx")
    posters = posters_of(larger, "test")[:4]
    network = kept_network(run, larger)
    with torch.inference_mode():
        crops = torch.from_numpy(posters).permute(0, 3, 1, 2).float() / 255
        expected = torch.sigmoid(network(crops).logits)
    calibrated = bundle.score(posters)
    np.testing.assert_allclose(1 / (1 + np.exp(-calibrated.logits)), expected, atol=1e-4)
    assert calibrated.evidence is None
