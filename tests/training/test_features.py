from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from onesheet.errors import RunError
from onesheet.models import build_network
from onesheet.packed import Packed, open_packed
from onesheet.training.features import FeatureHead, adapt_normalisation, folded, frozen_features
from resident import SMAPS, resident_kb


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("poster-cnn", genres=3, size=(48, 32), widths=(8, 16))


@pytest.fixture
def store(packed: Packed, tmp_path: Path) -> Packed:
    """A store of this test's own, as features are kept beside the posters, without those that others have left."""
    none = shutil.ignore_patterns("features-*")
    return open_packed(shutil.copytree(packed.folder, tmp_path / "packed", ignore=none))


def test_features_are_the_embeddings_of_the_adapted_network(store: Packed) -> None:
    net, adapted = network(), network()
    features = frozen_features(net, store, seed=0, wish="fp32")
    adapt_normalisation(adapted, store, seed=0, wish="fp32")
    batch = torch.from_numpy(np.array(store.posters[70:90])).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = adapted.eval().embed(batch)
    np.testing.assert_allclose(features[70:90], expected.numpy(), atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), adapted.buffers(), strict=True))


@pytest.mark.parametrize(
    "config",
    [
        transformers.MobileNetV2Config(depth_multiplier=0.1),
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"),
    ],
    ids=lambda config: str(config.model_type),
)
def test_batch_norm_is_done_by_the_convolutions_before_it(config: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config)
    for norm in (layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
            torch.nn.init.uniform_(values, 0.5, 1.5)
    model.save_pretrained(tmp_path)
    plain = build_network(f"hf:{tmp_path}", genres=3, size=(64, 48)).eval()
    quick, posters = folded(plain), torch.rand(3, 3, 64, 48)
    kinds = [type(layer) for layer in quick.modules()]
    assert torch.nn.BatchNorm2d not in kinds and torch.nn.BatchNorm2d in map(type, plain.modules())
    with torch.inference_mode():
        torch.testing.assert_close(quick.embed(posters), plain.embed(posters), rtol=1e-4, atol=1e-4)


def test_the_next_head_uses_kept_features_and_statistics(store: Packed) -> None:
    told: list[int] = []

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        told.append(done)

    one, two = network(), network()
    first = frozen_features(one, store, seed=0, wish="fp32", progress=progress).copy()
    worked = len(told)
    again = frozen_features(two, store, seed=0, wish="fp32", progress=progress)
    assert worked > 1 and len(told) == worked
    np.testing.assert_array_equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), two.buffers(), strict=True))
    other = network()
    other.tta = False
    assert not np.array_equal(frozen_features(other, store, seed=0, wish="fp32"), first)


def test_an_interrupted_computation_goes_on(store: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onesheet.training.features.CHUNK", 4)  # 32 chunks are 128 posters: saved once before the end
    other = open_packed(shutil.copytree(store.folder, tmp_path / "other"))
    whole = frozen_features(network(), other, seed=0, wish="fp32")

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if done > 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_features(network(), store, seed=0, wish="fp32", progress=stop)
    starts: list[int] = []
    resumed = frozen_features(
        network(), store, seed=0, wish="fp32", progress=lambda task, done, total: starts.append(done)
    )
    assert starts[0] == 132
    np.testing.assert_array_equal(whole, resumed)


@pytest.mark.parametrize("state", ["{", "[" * 100_000, "[]", '{"done": null}'], ids=["cut", "deep", "list", "null"])
def test_a_damaged_record_of_what_is_done_begins_anew(state: str, store: Packed) -> None:
    whole = frozen_features(network(), store, seed=0, wish="fp32").copy()
    (record,) = store.folder.glob("features-*.json")
    record.write_text(state)
    told: list[int] = []
    again = frozen_features(network(), store, seed=0, wish="fp32", progress=lambda task, done, total: told.append(done))
    assert told[-1] == len(store)
    np.testing.assert_array_equal(whole, again)


def test_damaged_statistics_are_rejected(store: Packed) -> None:
    frozen_features(network(), store, seed=0, wish="fp32")
    (weights,) = store.folder.glob("features-*.safetensors")
    weights.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"cannot read the weights '.*safetensors': .*; delete it"):
        frozen_features(network(), store, seed=0, wish="fp32")


def test_a_head_standardises_by_the_rows_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onesheet.training.features.MOMENT_ROWS", 7)
    features = np.random.default_rng(1).normal(1000, [1, 5], (60, 2)).astype(np.float32)
    rows = np.arange(10, 50)
    head = FeatureHead(features, rows, torch.tensor([0.2, 0.4]), dropout=0.5)
    np.testing.assert_allclose(head.mean, features[rows].mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(head.deviation, features[rows].std(0, dtype=np.float64), rtol=1e-5)


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux says it")
def test_features_read_for_their_moments_do_not_stay_in_this_process(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, np.random.default_rng(1).normal(size=(6000, 512)).astype(np.float32))
    features = np.load(path, mmap_mode="r")

    assert features.sum() and resident_kb(path) > 10_000
    FeatureHead(features, np.arange(6000), torch.tensor([0.2, 0.4]), dropout=0.5)
    assert resident_kb(path) == 0


@pytest.mark.skipif(not SMAPS.exists(), reason="what is resident of a mapped file is told by Linux alone")
def test_adapting_keeps_no_posters_resident(store: Packed) -> None:
    path = store.folder / "posters.npy"
    assert store.posters.sum() and resident_kb(path) > 0
    adapt_normalisation(network(), store, seed=0, wish="fp32")
    assert resident_kb(path) == 0


def test_a_folded_head_gives_the_same_logits() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (50, 6)).astype(np.float32)
    features[:, 2] = 1.5  # a feature that never changes
    head = FeatureHead(features, np.arange(len(features)), torch.tensor([0.2, 0.4]), dropout=0.5).eval()
    torch.nn.init.normal_(head.linear.weight)
    folded = torch.nn.Linear(6, 2)
    head.fold(folded)
    batch = torch.from_numpy(features)
    torch.testing.assert_close(folded(batch), head(batch).logits, atol=2e-4, rtol=1e-4)


def test_adapting_gives_the_statistics_of_the_training_posters(packed: Packed) -> None:
    net = network()
    before = {name: value.clone() for name, value in net.named_parameters()}
    adapt_normalisation(net, packed, seed=0, wish="fp32")
    layer = next(module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    rows = packed.rows("train")
    with torch.inference_mode():
        net.eval().embed(torch.from_numpy(np.array(packed.posters[rows])).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(layer.running_mean, seen[0].mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    assert layer.momentum is not None
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())
