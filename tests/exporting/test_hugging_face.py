from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from onesheet.__main__ import main
from onesheet.data import Catalogue
from onesheet.errors import ConfigError, ExportError
from onesheet.evaluation import fit_calibration
from onesheet.exporting import export, export_hf
from onesheet.exporting import hugging_face as hub
from onesheet.exporting.model_file import kept_network
from onesheet.packed import Packed, Split, pack
from onesheet.predict import load
from onesheet.training import Run, TrainConfig, fit

HEAD = TrainConfig(model="hf:", tune="head", epochs=20, threads=1, arithmetic="fp32", tta=False, levels=False)


def tiny_vit(image_size: Any) -> Any:
    return transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=image_size
        )
    )


def tiny_backbones() -> dict[str, Callable[[], Any]]:
    return {
        "mobilenet": lambda: transformers.MobileNetV2Model(
            transformers.MobileNetV2Config(depth_multiplier=0.25, min_depth=4, finegrained_output=False)
        ),
        "resnet": lambda: transformers.ResNetModel(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        ),
        "vit": lambda: tiny_vit((48, 32)),
        "dinov2": lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=48, patch_size=16
            )
        ),
    }


@pytest.fixture(scope="module")
def run_on(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Runs on tiny random backbones whose image processor says an odd mean and deviation."""
    made: dict[str, Run] = {}

    def make(kind: str, **options: Any) -> Run:
        if (key := f"{kind} {options}") not in made:
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(kind)
            tiny_backbones()[kind]().save_pretrained(folder / kind)
            normalising = {"image_mean": [0.3, 0.4, 0.5], "image_std": [0.2, 0.3, 0.4]}
            (folder / kind / "preprocessor_config.json").write_text(json.dumps(normalising))
            config = replace(HEAD, model=f"hf:{folder / kind}", **options)
            made[key] = fit(config, packed, folder=folder / "run")
            if kind != "mobilenet":  # a random one tells posters apart by itself
                set_lively_head(made[key], packed)
        return made[key]

    return make


def set_lively_head(run: Run, packed: Packed) -> None:
    """A head that tells posters apart: least squares on what the random backbone makes of them."""
    network = kept_network(run, packed)
    with torch.inference_mode():
        embedding = network.embed(torch.from_numpy(np.array(packed.posters)).permute(0, 3, 1, 2).float() / 255)  # type: ignore[operator]
    values = embedding.double().numpy()
    mean, spread = values.mean(0), values.std(0) + 0.03
    weight = (
        np.linalg.lstsq((values - mean) / spread, packed.labels - packed.labels.mean(0), rcond=1e-2)[0]
        / spread[:, None]
    )
    state = load_file(run.network_path)
    state["head.1.weight"] = torch.from_numpy(weight.T).float().contiguous()
    state["head.1.bias"] = torch.from_numpy(-mean @ weight).float()
    save_file(state, run.network_path)


def pipeline_answers(folder: Path, posters: list[str] | list[Image.Image], genres: tuple[str, ...]) -> Any:
    classifier = transformers.pipeline("image-classification", model=str(folder))
    answers = [{one["label"]: one["score"] for one in classifier(poster, top_k=len(genres))} for poster in posters]
    return np.array([[answer[genre] for genre in genres] for answer in answers])


@pytest.mark.parametrize("kind", ["mobilenet", "resnet", "vit", "dinov2"])
def test_the_pipeline_answers_as_the_model_file(
    kind: str, run_on: Callable[..., Run], packed: Packed, catalogue: Catalogue, tmp_path: Path
) -> None:
    run = run_on(kind)
    predictor = load(export(run, tmp_path / "genres.onnx").path)
    written = export_hf(run, tmp_path / "folder")
    assert written.difference < 1e-4
    expected = predictor.score(np.array(packed.posters[:20])).probabilities
    assert expected.std(0).max() > 0.01  # a constant network would agree with anything
    of_size = [Image.fromarray(poster) for poster in packed.posters[:20]]
    given = pipeline_answers(tmp_path / "folder", of_size, predictor.genres.names)
    np.testing.assert_allclose(given, expected, atol=1e-4)
    rng = np.random.default_rng(0)  # larger ones, which it resizes itself
    large = [Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)) for _ in range(3)]
    for number, poster in enumerate(large):
        poster.save(tmp_path / f"{number}.png")
    files = [str(tmp_path / f"{number}.png") for number in range(3)]
    expected = np.array([list(predictor.predict(path).probabilities.values()) for path in files])
    np.testing.assert_allclose(
        pipeline_answers(tmp_path / "folder", files, predictor.genres.names), expected, atol=1e-4
    )


def test_what_stands_in_the_folder(run_on: Callable[..., Run], packed: Packed, tmp_path: Path) -> None:
    run = run_on("resnet")
    export_hf(run, tmp_path / "folder")
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {
        *("README.md", "config.json", "model.safetensors", "preprocessor_config.json")
    }
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {str(column): name for column, name in enumerate(packed.genres.names)}
    assert load_file(tmp_path / "folder" / "model.safetensors")["classifier.1.weight"].shape == (3, 16)
    page = (tmp_path / "folder" / "README.md").read_text(encoding="utf-8")
    front = page.split("---\n")[1]
    assert "pipeline_tag: image-classification" in front and "library_name: transformers" in front
    assert "base_model" not in front  # it came from a folder
    for genre in packed.genres.names:
        assert re.search(rf"^\| {genre} \| 0\.\d{{3}} \| \d+ \|$", page, re.M)
    assert "The network reads a poster once, as the model file" in page
    for path in (tmp_path / "folder").iterdir():
        assert str(tmp_path.parent).encode() not in path.read_bytes()


def test_the_second_view_is_said(run_on: Callable[..., Run], packed: Packed, tmp_path: Path) -> None:
    run = run_on("resnet", tta=True)
    export_hf(run, tmp_path / "folder")
    page = (tmp_path / "folder" / "README.md").read_text(encoding="utf-8")
    said = re.search(r"moves a probability by (\S+) on average\s+and by (\S+) at most", page)
    assert said
    mean, largest = float(said[1]), float(said[2])
    rows = packed.rows("validation")
    of_size = [Image.fromarray(packed.posters[row]) for row in rows]
    given = pipeline_answers(tmp_path / "folder", of_size, packed.genres.names)
    network = kept_network(run, packed)
    posters = torch.from_numpy(np.array(packed.posters[rows])).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        network.tta = False  # type: ignore[assignment]
        once = network(posters).logits.double().numpy()
        network.tta = True  # type: ignore[assignment]
        twice = network(posters).logits.double().numpy()
    calibration = fit_calibration(once, packed.labels[rows])
    np.testing.assert_allclose(given, calibration.probabilities(once), atol=1e-4)
    moved = np.abs(calibration.probabilities(twice) - calibration.probabilities(once))
    assert largest == pytest.approx(moved.max(), abs=1e-3) and mean == pytest.approx(moved.mean(), abs=1e-3)
    assert largest > 0


def test_what_cannot_go_there(
    run: Run, run_on: Callable[..., Run], parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="transformers has no 'poster-cnn', only networks on a backbone of its own"):
        export_hf(run, tmp_path / "folder")
    resnet = run_on("resnet")
    told: list[object] = []
    with pytest.raises(ConfigError, match="read the last level of a backbone alone; train with --no-levels"):
        export_hf(run_on("resnet", levels=True), tmp_path / "folder", progress=lambda *line: told.append(line))
    assert not told  # nothing was scored for it
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is there already; name a new folder"):
        export_hf(resnet, tmp_path / "taken")
    padded = pack(parts, tmp_path / "packed", size=(48, 32), resize="pad")
    with pytest.raises(ConfigError, match="resized by 'pad', which transformers cannot repeat"):
        export_hf(replace(resnet, packed_path=padded.folder, fingerprint=padded.fingerprint), tmp_path / "folder")
    other = json.loads(json.dumps({"image_mean": [0.1] * 3, "image_std": [0.2] * 3}))
    preprocessing = hub._preprocessing
    monkeypatch.setattr(hub, "_preprocessing", lambda network: preprocessing(network) | other)
    with pytest.raises(ExportError, match="transformers' probabilities differ from the original's by up to"):
        export_hf(resnet, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packed", "taken"]


def test_another_size_than_the_backbones_own_is_rejected(parts: Split, tmp_path: Path) -> None:
    larger = pack(parts, tmp_path / "packed", size=(64, 48))
    tiny_vit(48).save_pretrained(tmp_path / "vit")
    run = fit(replace(HEAD, model=f"hf:{tmp_path / 'vit'}"), larger, folder=tmp_path / "run")
    with pytest.raises(ExportError, match="does not take posters of 64×48"):
        export_hf(run, tmp_path / "folder")


def test_the_command(run_on: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(run_on("resnet").folder)
    assert main(["export", run, "--to", "hf", str(tmp_path / "folder"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] < 1e-4
    for arguments, message in {
        ("--to", "tf", "folder"): "unknown form 'tf'; use --to hf FOLDER",
        ("--to", "hf", "folder", "--precision", "w8"): "a folder for transformers is fp32; got --precision w8",
        ("--to", "hf", "folder", "--out", "file"): "not allowed with argument",
        (): "one of the arguments --out --to is required",
    }.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            try:
                assert main(["export", run, *arguments]) == 2
            except SystemExit as rejected:
                assert rejected.code == 2
        assert message in capsys.readouterr().err
    assert main(["export", run, run, "--to", "hf", str(tmp_path / "two")]) == 2
    assert "holds one network; got 2 runs: export them one by one, or together" in capsys.readouterr().err
