from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from starlette.testclient import TestClient

from onesheet.__main__ import main
from onesheet.apps.serving import create_app
from onesheet.bundle import read_bundle
from onesheet.data import Catalogue
from onesheet.errors import CatalogueError, ConfigError, ExportError
from onesheet.evaluation import fit_calibration
from onesheet.exporting import Conventions, adopt, read_genres
from onesheet.exporting.input_conventions import SCALINGS
from onesheet.genres import GenreSet
from onesheet.packed import Packed
from onesheet.pipeline import evaluate_file
from onesheet.predict import load

GENRES = GenreSet(["Comedy", "Drama", "Horror"])
HALF, FLOAT, WHOLE = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.UINT8


def write_network(
    path: Path,
    *,
    end: str = "Sigmoid",
    last: str = "Identity",
    layout: str = "nchw",
    kind: int = FLOAT,
    batch: int | str = "batch",
    size: tuple[int | str, int | str] = (48, 32),
    flatten: str = "Flatten",
    colours: int = 3,
    answers: int = 3,
    extra: bool = False,
    scale: float = 0.1,
) -> Path:
    """A small network with random weights, as other tools write them."""
    rng = np.random.default_rng(0)
    inner = HALF if kind == HALF else FLOAT
    number = np.float16 if kind == HALF else np.float32
    weights = {
        "kernel": (rng.normal(size=(8, colours, 5, 5)) * scale).astype(number),
        "dense": rng.normal(size=(answers, 8)).astype(number),
        "bias": rng.normal(size=answers).astype(number),
        "shape": np.array([1, 8], dtype=np.int64),
        "rows": np.array([-1, answers], dtype=np.int64),
    }
    nodes = [helper.make_node("Cast", ["images"], ["inner"], to=inner)]
    shape = [batch, *size, colours] if layout == "nhwc" else [batch, colours, *size]
    if layout == "nhwc":
        nodes.append(helper.make_node("Transpose", ["inner"], ["first"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", ["inner"], ["first"]))
    nodes += [
        helper.make_node("Conv", ["first", "kernel"], ["map"], strides=[2, 2]),
        helper.make_node("Relu", ["map"], ["bright"]),
        helper.make_node("GlobalAveragePool", ["bright"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"])
        if flatten == "Flatten"
        else helper.make_node("Reshape", ["pooled", "shape"], ["vector"]),
        helper.make_node("Gemm", ["vector", "dense", "bias"], ["sums"], transB=1),
        helper.make_node(end, ["sums"], ["answers"]),
        helper.make_node(last, ["answers", "rows"] if last == "Reshape" else ["answers"], ["scores"]),
    ]
    outputs = [helper.make_tensor_value_info("scores", inner, [batch, answers])]
    if extra:
        outputs.append(helper.make_tensor_value_info("vector", inner, [batch, 8]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", kind, shape)],
        outputs,
        [numpy_helper.from_array(values, name) for name, values in weights.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def own_answers(path: Path, pixels: NDArray[Any]) -> NDArray[np.float64]:
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(["scores"], {name: one[None]})[0] for one in pixels]).astype(np.float64)


@pytest.fixture
def posters(packed: Packed) -> NDArray[np.uint8]:
    return np.array(packed.posters[:6])


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "as torch writes them": ({}, {"scaling": "1/255"}, lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f4")),
    "nhwc, -1 to 1": ({"layout": "nhwc"}, {"scaling": "tf"}, lambda p: (p / 127.5 - 1).astype("f4")),
    "ImageNet's": (
        {},
        {"scaling": "torch"},
        lambda p: ((p / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(0, 3, 1, 2).astype("f4"),
    ),
    "caffe, blue first": (
        {"layout": "nhwc", "scale": 0.001},
        {"scaling": "caffe"},
        lambda p: (p[..., ::-1] - np.array([103.939, 116.779, 123.68])).astype("f4"),
    ),
    "blue first": (
        {"layout": "nhwc"},
        {"scaling": "1/255", "channels": "bgr"},
        lambda p: (p[..., ::-1] / 255).astype("f4"),
    ),
    "whole numbers": ({"layout": "nhwc", "kind": WHOLE, "scale": 0.001}, {}, lambda p: p),
    "16 bits": ({"kind": HALF}, {"scaling": "1/255"}, lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f2")),
    "a fixed batch": ({"batch": 1}, {"scaling": "1/255"}, lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f4")),
    "any size": (
        {"size": ("h", "w")},
        {"scaling": "1/255", "size": (48, 32)},
        lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f4"),
    ),
    "flattened at last": (
        {"last": "Flatten"},
        {"scaling": "1/255"},
        lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f4"),
    ),
    "reshaped at last": (
        {"last": "Reshape"},
        {"scaling": "1/255"},
        lambda p: (p / 255).transpose(0, 3, 1, 2).astype("f4"),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("end", ["Sigmoid", "Softmax", "Identity"])
def test_the_file_gives_the_networks_answers(
    case: str, end: str, posters: NDArray[np.uint8], packed: Packed, tmp_path: Path
) -> None:
    built, said, feed = CASES[case]
    path = write_network(tmp_path / "network.onnx", end=end, **built)
    bundle = adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(**said))
    expected = own_answers(path, feed(posters))
    assert expected.std(0).max() > 0.005  # a constant network would agree with anything
    if end == "Identity":
        expected = 1 / (1 + np.exp(-expected))
    scores = bundle.score(posters)
    atol = 2e-3 if case == "16 bits" else 1e-5
    np.testing.assert_allclose(scores.probabilities, expected, atol=atol)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores.logits)), expected, atol=atol)
    assert scores.embedding.shape == (6, 8) and scores.embedding.std() > 0  # what the dense layer reads
    assert bundle.card.training["fed_and_read"]["answers"] == ("logits" if end == "Identity" else "probabilities")


def test_it_predicts_explains_and_is_evaluated_as_ours(catalogue: Catalogue, packed: Packed, tmp_path: Path) -> None:
    adopt(
        write_network(tmp_path / "network.onnx"),
        GENRES,
        tmp_path / "genres.onnx",
        conventions=Conventions(scaling="1/255"),
    )
    predictor = load(tmp_path / "genres.onnx")
    prediction = predictor.predict(catalogue.films[0].poster)
    assert set(prediction.genres) == {name for name, value in prediction.probabilities.items() if value >= 0.5}
    heat = predictor.explain(catalogue.films[0].poster, "Drama")
    assert heat.method == "occlusion" and heat.values.std() > 0
    assert "adopted without a catalogue" in predictor.card.operating_points["balanced"]["note"]
    evaluation = evaluate_file(tmp_path / "genres.onnx", packed, out=tmp_path / "evaluation", draws=10)
    assert evaluation.films == len(packed.rows("test")) and (tmp_path / "evaluation" / "report.html").stat().st_size
    counts = packed.labels[packed.rows("test")].mean(0)
    assert evaluation.baselines["prior"]["macro_roc_auc"].value == 0.5 and counts.min() > 0


def test_a_catalogue_tunes_it(catalogue: Catalogue, packed: Packed, tmp_path: Path) -> None:
    path, conventions = write_network(tmp_path / "network.onnx"), Conventions(scaling="1/255")
    plain = adopt(path, GENRES, tmp_path / "plain.onnx", conventions=conventions)
    tuned = adopt(path, GENRES, tmp_path / "tuned.onnx", conventions=conventions, catalogue=catalogue, threads=1)
    logits = plain.score(np.array(packed.posters)).logits  # the same films, in another order
    rows = [film.film_id for film in packed.films]
    order = np.argsort(rows)
    np.testing.assert_array_equal(np.array(rows)[order], [film.film_id for film in catalogue.films])
    expected = fit_calibration(logits[order], packed.labels[order])
    np.testing.assert_allclose(tuned.card.calibration["scale"], expected.scale, rtol=1e-3)
    np.testing.assert_allclose(tuned.card.calibration["bias"], expected.bias, rtol=1e-3, atol=1e-3)
    scores = tuned.score(np.array(packed.posters))
    np.testing.assert_allclose(scores.probabilities, expected.probabilities(scores.logits), atol=1e-4)
    shares = packed.labels.mean(0)
    np.testing.assert_allclose(scores.probabilities.mean(0), shares, atol=0.05)
    assert np.abs(plain.score(np.array(packed.posters)).probabilities.mean(0) - shares).max() > 0.1
    assert tuned.card.operating_points["balanced"]["thresholds"] != [0.5] * 3
    assert tuned.card.train_labels.shape == (200, 3)


@pytest.mark.parametrize(
    ("built", "said", "message"),
    [
        ({}, {}, "does not show how pixels were scaled in training; .* caffe"),
        ({"kind": WHOLE}, {"scaling": "tf"}, "takes whole numbers from 0 to 255; got --scaling tf"),
        ({"size": ("h", "w")}, {"scaling": "none"}, "takes images of any size; pass the size of training with --size"),
        ({}, {"scaling": "none", "size": (64, 64)}, "takes images of 48×32; leave out --size"),
        ({"colours": 1}, {"scaling": "none"}, "takes grey posters, and only networks that take colour"),
        ({"batch": 4}, {"scaling": "none"}, "takes 4 images at once; export it with a free batch size"),
        (
            {"answers": 4},
            {"scaling": "none"},
            "3 genres are named, and the network's outputs for a poster are 'scores' of 4",
        ),
        ({"end": "Tanh"}, {"scaling": "none"}, "ends in Tanh, which may mean either; pass --answers"),
        (
            {"end": "Identity"},
            {"scaling": "none", "answers": "probabilities"},
            r"probabilities are in \[0, 1\]; the network's outputs are .* pass --answers logits",
        ),
    ],
    ids=str,
)
def test_what_is_not_said_is_asked_for(
    built: dict[str, Any], said: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_network(tmp_path / "network.onnx", **built)
    with pytest.raises(ConfigError, match=message):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(**said))
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_a_network_whose_logits_look_like_probabilities_is_asked_about(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    model = onnx.load(path)
    last = model.graph.node[-1]
    last.op_type = "Add"  # of nothing, as a step that means nothing here may stand last
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "nothing"))
    last.input.append("nothing")
    onnx.save(model, path)
    with pytest.raises(ConfigError, match=r"all its outputs are in \[0, 1\].* pass --answers probabilities or logits"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))
    said = Conventions(scaling="1/255", answers="logits")
    assert adopt(path, GENRES, tmp_path / "genres.onnx", conventions=said).genres == GENRES


def test_an_adopted_file_is_served(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "genres.onnx"
    adopt(write_network(tmp_path / "network.onnx"), GENRES, path, conventions=Conventions(scaling="1/255"))
    poster = Path(catalogue.films[0].poster)
    with TestClient(create_app(load(path), name="adopted"), base_url="http://127.0.0.1:8000") as client:
        answer = client.post("/v1/predict", content=poster.read_bytes())
        (given,) = answer.json()["predictions"]
    assert given["probabilities"] == pytest.approx(load(path).predict(poster).probabilities, abs=2e-6)


def test_a_network_that_takes_one_image_only_is_rejected(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx", batch=1, flatten="Reshape")
    with pytest.raises(ExportError, match="takes one image at a time and cannot take several"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))
    assert not (tmp_path / "genres.onnx").exists()


def test_a_file_that_differs_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCALINGS, "tf", SCALINGS["tf"]._replace(std=(120.0, 120.0, 120.0)))
    path = write_network(tmp_path / "network.onnx")
    monkeypatch.setattr(Conventions, "pixels", lambda self, posters: (posters / 127.5 - 1).astype(np.float32))
    with pytest.raises(ExportError, match="the file's probabilities differ from the original's by up to"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="tf"))
    assert not (tmp_path / "genres.onnx").exists()


def test_files_that_are_no_classifiers(model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    for path, message in {
        tmp_path / "none.onnx": "no such file",
        tmp_path / "text.onnx": "cannot be adopted: .* is not an ONNX file",
        model_path: "is a onesheet model already",
        tmp_path / "network.pt": "name a file in .onnx, .keras, .h5, .hdf5, .json",
    }.items():
        with pytest.raises(ConfigError, match=message):
            adopt(path, GENRES, tmp_path / "genres.onnx")
    with pytest.raises(
        ConfigError, match="the --scaling option must be one of none, 1/255, tf, torch, caffe; got '255'"
    ):
        Conventions(scaling="255")


def move_weights(path: Path, name: str, place: str, *, file: Path, **more: str) -> Path:
    """Move a weight of the network to another file."""
    model = onnx.load(path)
    tensor = next(one for one in model.graph.initializer if one.name == name)
    file.write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": place, **more}.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["../weights.bin", "absolute", "sub/weights.bin", "link"])
def test_weights_outside_of_the_folder_are_never_read(place: str, tmp_path: Path) -> None:
    (tmp_path / "network" / "sub").mkdir(parents=True)
    path = write_network(tmp_path / "network" / "network.onnx")
    file = path.parent / place if place.endswith(".bin") else tmp_path / "weights.bin"
    (path.parent / "link").symlink_to(file)
    move_weights(path, "kernel", str(file) if place == "absolute" else place, file=file)
    with pytest.raises(ConfigError, match=r"'network.onnx' names '.*' for its weights, and only a file of its own fol"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))


def test_weights_in_a_file_beside_are_read(tmp_path: Path) -> None:
    path, whole = (write_network(tmp_path / name) for name in ("network.onnx", "whole.onnx"))
    move_weights(path, "kernel", "network.onnx.data", file=tmp_path / "network.onnx.data")
    adopted = [
        adopt(one, GENRES, tmp_path / "out.onnx", conventions=Conventions(scaling="1/255")) for one in (path, whole)
    ]
    posters = np.random.default_rng(0).integers(0, 256, (2, *adopted[0].card.size, 3), dtype=np.uint8)
    assert np.array_equal(*(one.score(posters).logits for one in adopted))
    assert not (tmp_path / "out.onnx.data").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        ({"offset": "8"}, "cannot be adopted: .* a tensor 'kernel' of shape"),
        ({"length": "8"}, "cannot be adopted: .* a tensor 'kernel' of shape"),
        ({"length": "9999999999"}, "does not hold the weights of 'network.onnx'.*or is too large; copy both"),
        ({"offset": "-8", "length": "8"}, "does not hold the weights"),
        ({"length": "x"}, "does not hold the weights"),
    ],
)
def test_weights_beside_that_do_not_fit_are_rejected(more: dict[str, str], message: str, tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    move_weights(path, "kernel", "w", file=tmp_path / "w", **more)
    with pytest.raises(ConfigError, match=message):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))
    (tmp_path / "w").unlink()
    with pytest.raises(ConfigError, match="keeps its weights in 'w', which is not beside it; copy it there, or export"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))


def test_custom_operators_are_rejected_by_name(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Run", ["scores"], ["r"], domain="evil"))
    onnx.save(model, path)
    with pytest.raises(ConfigError, match=r"cannot be adopted: .* has an operator 'Run' of 'evil'"):
        adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))


def test_another_output_is_no_hindrance_and_old_files_name_weights_as_inputs(tmp_path: Path) -> None:
    path = write_network(tmp_path / "network.onnx", extra=True)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    onnx.save(model, path)
    bundle = adopt(path, GENRES, tmp_path / "genres.onnx", conventions=Conventions(scaling="1/255"))
    assert [one.name for one in onnx.load(tmp_path / "genres.onnx").graph.input] == ["posters"]
    assert bundle.genres == GENRES


def test_genre_files(tmp_path: Path) -> None:
    path = tmp_path / "genres.txt"
    path.write_text("Comedy\n\n Drama \n", encoding="utf-8-sig")
    assert read_genres(path).names == ("Comedy", "Drama")
    for content, message in (
        (b"Drama\n", "names 1 genre"),
        (b"\xff\xfe\0", "it is not UTF-8 text"),
        (b"A\nA", "differ"),
    ):
        path.write_bytes(content)
        with pytest.raises(CatalogueError, match=message):
            read_genres(path)
    with pytest.raises(CatalogueError, match="No such file"):
        read_genres(tmp_path / "none.txt")


def test_the_command(catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from onesheet.data import write_catalogue

    write_catalogue(catalogue, tmp_path / "films.csv")
    (tmp_path / "genres.txt").write_text("\n".join(GENRES.names))
    network = write_network(tmp_path / "network.onnx")
    begun = ["adopt", str(network), "--genres", str(tmp_path / "genres.txt"), "--scaling", "1/255"]
    assert main([*begun, "--out", str(tmp_path / "plain.onnx")]) == 0
    assert "every threshold is 0.5" in capsys.readouterr().out
    tuning = ["--catalogue", str(tmp_path / "films.csv"), "--keep", "too-small,near-duplicate", "--threads", "1"]
    assert main([*begun, "--out", str(tmp_path / "tuned.onnx"), *tuning, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    card = read_bundle(tmp_path / "tuned.onnx").card
    assert printed["validation"] == card.validation and printed["fed_and_read"]["layout"] == "nchw"
    assert card.data["films"] == {"catalogue": 200}
    assert main([*begun, "--out", str(tmp_path / "again.onnx"), *tuning]) == 0
    told = capsys.readouterr()
    assert f"ROC-AUC {card.validation['roc_auc']:.3f}" in told.out
    assert card.validation["roc_auc"] < 0.6 and "check the order of --genres" in told.err  # its weights are random
    assert main([*begun, "--out", str(tmp_path / "no.onnx"), "--weights", "weights.h5"]) == 2
    assert "an ONNX file holds its weights" in capsys.readouterr().err
