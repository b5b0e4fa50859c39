"""The recipes that train teachers and the student, on drawn posters and a tiny network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import onesheet

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

import augmentation
import films as packing
import networks
import soft_targets
import student_file
import training
from films import Films, load_films
from networks import Classifier

GENRES = ("Comedy", "Horror")


def tiny(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Classifier(body, lambda body, posters: body(posters), width=8, genres=2, scale=2, shift=-1)


@pytest.fixture
def drawn() -> Films:
    """Bright posters are comedies, dark ones horror; what a third of the training films are is unknown."""
    rng = np.random.default_rng(0)
    comedy = rng.random(120) < 0.5
    shades = np.where(comedy, 170, 60)[:, None, None, None]
    posters = (shades + rng.integers(-30, 30, (120, 64, 48, 3))).astype(np.uint8)
    weights = np.ones((120, 2), np.float32)
    weights[:30, 1] = 0
    return Films(
        ids=[str(number) for number in range(120)],
        split=np.array(["train"] * 90 + ["validation"] * 30),
        posters=posters,
        labels=np.stack((comedy, ~comedy), 1).astype(np.float32),
        weights=weights,
        genres=GENRES,
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """A step takes a second. Call it with the step that fails, or None."""
    now, failing = [0.0], [None]
    step = training._step

    def timed(*args: object) -> float:
        if args[5] == failing[0]:
            raise KeyboardInterrupt
        now[0] += 1
        return step(*args)

    monkeypatch.setattr(training, "_step", timed)
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(training, "LEARNING_RATE", 0.1)
    monkeypatch.setattr(training, "SIZES", ((0.0, (32, 32)), (0.5, (64, 32))))

    def fail_at(number: int | None) -> None:
        failing[0] = number

    return fail_at


def train(films: Films, folder: Path, *, head_first: bool = True) -> dict[str, Tensor]:
    soft = np.full((90, 2), 0.5, np.float32)
    network = tiny()
    training.train(
        network,
        films,
        training.mix_targets(films, soft, share=0.1),
        folder=folder,
        minutes=0.5,
        head_first=head_first,
        check_minutes=0.1,
    )
    return network.state_dict()


@pytest.mark.usefixtures("clock")
def test_training_learns_and_logs_each_validation(drawn: Films, tmp_path: Path) -> None:
    train(drawn, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["minutes"] for entry in log] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert max(entry["roc_auc"] for entry in log) > 0.95


def test_a_killed_run_resumes_to_the_same_weights(drawn: Films, tmp_path: Path, clock: Callable) -> None:
    whole = train(drawn, tmp_path / "whole")
    clock(15)
    with pytest.raises(KeyboardInterrupt):
        train(drawn, tmp_path / "killed")
    clock(None)
    resumed = train(drawn, tmp_path / "killed")
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name)


def test_a_finished_run_trains_no_further(drawn: Films, tmp_path: Path, clock: Callable) -> None:
    train(drawn, tmp_path)
    log = (tmp_path / "log.jsonl").read_text()
    clock(30)  # the next step would fail
    train(drawn, tmp_path)
    assert (tmp_path / "log.jsonl").read_text() == log


def test_an_unknown_genre_counts_neither_in_the_loss_nor_in_the_metrics(drawn: Films) -> None:
    targets = training.mix_targets(drawn, np.full((90, 2), 0.5, np.float32), share=0.0)
    logits = torch.zeros(90, 2, requires_grad=True)
    training.loss_of(logits, targets).backward()
    assert not logits.grad[:30, 1].any() and logits.grad[30:].all() and logits.grad[:30, 0].all()
    rows = np.arange(90)
    right = np.where(drawn.labels[:90] > 0, 1.0, -1.0)
    right[:30, 1] *= -1
    assert training.macro_scores(right, drawn, rows) == {"roc_auc": 1, "map": 1}


def test_soft_targets_speak_where_a_label_is_unknown(drawn: Films) -> None:
    targets = training.mix_targets(drawn, np.full((90, 2), 0.25, np.float32), share=0.5)
    yes, both = targets.unbind(-1)
    assert torch.allclose(yes[:30, 1] / both[:30, 1], torch.tensor(0.25))
    assert set(np.round((yes / both)[:, 0].numpy(), 3).tolist()) == {0.125, 0.625}


def test_soft_targets_are_matched_by_film(drawn: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_targets, "TARGETS", tmp_path)
    logits = np.random.default_rng(0).normal(size=(90, 2)).astype(np.float32)
    soft_targets.write_soft_targets("a", drawn, logits)
    order = (tmp_path / "films.txt").read_text().split()
    (tmp_path / "films.txt").write_text("\n".join(reversed(order)))
    probabilities = soft_targets.read_soft_targets(drawn, ["a"])
    assert np.allclose(probabilities, 1 / (1 + np.exp(-logits[::-1])), atol=1e-3)
    (tmp_path / "films.txt").write_text("1\n2\n")
    with pytest.raises(SystemExit, match="88 training films have no soft targets, 0 for one"):
        soft_targets.read_soft_targets(drawn, ["a"])
    with pytest.raises(SystemExit, match="lists other films"):
        soft_targets.write_soft_targets("b", drawn, logits)


def test_weights_in_8_bits_stay_within_half_a_step(tmp_path: Path) -> None:
    network, other = tiny(1), tiny(2)
    networks.save_8_bits(network, tmp_path / "w.safetensors")
    networks.load_8_bits(other, tmp_path / "w.safetensors")
    kernel = network.backbone[0].weight
    step = kernel.abs().amax((1, 2, 3), keepdim=True) / 127
    assert ((other.backbone[0].weight - kernel).abs() <= step / 2 + 1e-7).all()
    assert torch.equal(other.head[1].bias, network.head[1].bias)


def test_packing_reads_each_collection_and_knows_what_a_source_lacks(tmp_path: Path) -> None:
    data = tmp_path / "data"
    files = {
        "chu2017/train.csv": "Id,Genre\ntt0000012,\"['Drama']\"\ntt0000013,\"['Comedy']\"\n",
        "chu2017/split.csv": "Id,split\ntt0000012,train\ntt0000013,test\n",
        "imdb/MovieGenre.csv": "imdbId,Title,Genre\n12,A,War|Drama\n13,B,War\n14,C,Horror\n15,D,Reality-TV\n",
        "imdb/split.csv": "imdbId,split\n14,validation\n15,train\n",
        "more/labels.csv": "imdbId,Genre,label_source\n16,Short,imdb\n17,Comedy,movielens\n",
    }
    for name, text in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    posters = ["chu2017/Images/tt0000012.jpg", "chu2017/Images/tt0000013.jpg"]
    posters += [f"imdb/posters/{number}.webp" for number in (14, 15)]
    posters += [f"more/posters/{number}.webp" for number in (16, 17)]
    for shade, name in enumerate(posters):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 40), (40 * shade,) * 3).save(data / name)
    films = load_films(tmp_path / "store", data)
    names = {name: genre for genre, name in enumerate(films.genres)}
    assert films.genres == onesheet.load().genres.names
    assert films.ids == ["12", "13", "14", "16", "17"]
    assert films.split.tolist() == ["train", "test", "validation", "train", "train"]
    assert films.posters.shape == (5, *packing.SIZE, 3)
    assert abs(int(films.posters[4, 50, 50, 0]) - 200) < 5
    # A training film has the genres of both tables, another those of its own.
    assert {films.genres[genre] for genre in np.flatnonzero(films.labels[0])} == {"Drama", "War"}
    assert {films.genres[genre] for genre in np.flatnonzero(films.labels[1])} == {"Comedy"}
    assert films.weights[1, names["Film-Noir"]] == 0 and films.weights[0, names["Film-Noir"]] == 1
    unknown = {films.genres[genre] for genre in np.flatnonzero(films.weights[4] == 0)}
    assert unknown == {"Biography", "History", "Music", "Sport", "Short"}
    assert films.weights[4, names["War"]] == 0.5 and films.weights[3].min() == 1


class Blocks(nn.Module):
    """Named as Xception's parts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c1, self.c2 = nn.Conv2d(3, 8, 3, stride=4, bias=False), nn.Conv2d(8, 8, 1)
        self.b1, self.b2 = nn.Identity(), nn.Identity()
        for name in ("d2", "d3", "d4", "d13", "s1", "s2"):
            setattr(self, name, nn.Conv2d(8, 2048 if name == "s2" else 8, 1))
        self.mid = nn.Sequential(*[nn.Conv2d(8, 8, 1) for _ in range(8)])


def test_upper_blocks_on_cached_maps_equal_the_whole(drawn: Films, tmp_path: Path) -> None:
    blocks = Blocks()
    maps, step = networks.cache_lower(blocks, drawn.posters, tmp_path)
    upper = networks.upper_classifier(blocks, step, 2)
    batch = torch.from_numpy(drawn.posters).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        x = blocks.c2(blocks.c1(batch).relu()).relu()
        x = blocks.mid(blocks.d4(blocks.d3(blocks.d2(x))))
        whole = blocks.s2(blocks.s1(blocks.d13(x)).relu()).relu().mean((2, 3))
        cached = upper.pooled(torch.from_numpy(maps[:]).permute(0, 3, 1, 2) / 255)
    assert (cached - whole).norm() < 0.03 * whole.norm()


def test_caching_maps_resumes(drawn: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    posters = drawn.posters.repeat(3, 0)
    whole = np.array(networks.cache_lower(Blocks(), posters, tmp_path / "whole")[0])
    lower, calls = networks._lower, []

    def failing(xception: nn.Module, part: np.ndarray) -> Tensor:
        calls.append(len(part))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return lower(xception, part)

    monkeypatch.setattr(networks, "_lower", failing)
    with pytest.raises(KeyboardInterrupt):
        networks.cache_lower(Blocks(), posters, tmp_path / "killed")
    maps, _ = networks.cache_lower(Blocks(), posters, tmp_path / "killed")
    assert calls[2:] == [104, 104]
    assert np.array_equal(maps, whole)


def test_cutmix_mixes_targets_by_area() -> None:
    posters, targets = torch.zeros(2, 3, 40, 40), torch.tensor([[0.0], [1.0]])
    posters[1] = 1
    mixed, labels = augmentation.cutmix(posters, targets, torch.Generator().manual_seed(0))
    assert torch.allclose(mixed.mean((1, 2, 3)), labels[:, 0], atol=1e-6)
    assert 0 < labels[0, 0] < 0.5


@pytest.mark.parametrize("views", [1, 2])
def test_the_model_file_has_the_students_logits_and_its_evidence(drawn: Films, views: int, tmp_path: Path) -> None:
    network = tiny().eval()
    films = replace(drawn, split=np.array([*drawn.split[:-2], "test", "test"]))
    student_file.write_student(network, films, tmp_path / "genres.onnx", name="tiny", views=views, precision="fp32")
    model = onesheet.load(tmp_path / "genres.onnx")
    assert model.genres.names == GENRES and model.card.training["views"] == views
    posters = np.array(films.posters[-4:])
    with torch.inference_mode():
        inputs = torch.from_numpy(posters).permute(0, 3, 1, 2) / 255
        expected = network(inputs)
        if views == 2:
            smaller = torch.nn.functional.interpolate(inputs, (64, 32), mode="bilinear").flip(-1)
            embedding = (network.pooled(inputs) + network.pooled(smaller)) / 2
            expected = network.head(embedding)
    scores = model.score(posters)
    np.testing.assert_allclose(scores.logits, expected, atol=1e-5)
    constant = scores.logits - scores.evidence.mean((2, 3))
    np.testing.assert_allclose(constant, np.broadcast_to(network.head[-1].bias.detach(), (4, 2)), atol=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("w8", 0.02)])
def test_weights_of_a_model_file_are_read_back(drawn: Films, precision: str, tolerance: float, tmp_path: Path) -> None:
    network, path = tiny().eval(), tmp_path / "genres.onnx"
    training.fit_batch_norm(network, drawn.posters, drawn.rows("train"))
    films = replace(drawn, split=np.array([*drawn.split[:-2], "test", "test"]))
    student_file.write_student(network, films, path, name="tiny", views=1, precision=precision)
    other, posters = tiny(seed=1), drawn.posters[:64]
    networks.load_model_file(other, path, posters)
    inputs = torch.from_numpy(posters).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        np.testing.assert_allclose(other.eval()(inputs), network.eval()(inputs), atol=tolerance)
        maps = other.backbone[0](inputs * 2 - 1)
    assert torch.allclose(maps.var((0, 2, 3)), torch.ones(8), atol=0.05)


def test_a_model_file_of_another_network_is_rejected(drawn: Films, tmp_path: Path) -> None:
    network, path = tiny().eval(), tmp_path / "genres.onnx"
    training.fit_batch_norm(network, drawn.posters, drawn.rows("train"))
    films = replace(drawn, split=np.array([*drawn.split[:-2], "test", "test"]))
    student_file.write_student(network, films, path, name="tiny", views=1, precision="fp32")
    other = tiny()
    other.backbone[0] = nn.Conv2d(3, 8, 5, stride=4, bias=False)
    with pytest.raises(ValueError, match="another network"):
        networks.load_model_file(other, path, drawn.posters[:8])
