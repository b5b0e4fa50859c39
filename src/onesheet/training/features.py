"""The frozen backbone runs once per poster; its features stay on disk; the head trains on them in seconds."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from onesheet.files import read_json, reserve, sole_use, write_text
from onesheet.models import Output, PosterNetwork
from onesheet.models.network import SECOND_VIEW
from onesheet.packed.store import Packed, let_go
from onesheet.progress import Progress, silent
from onesheet.training.device import arithmetic, autocast, device
from onesheet.training.weights import load_weights, save_weights

CHUNK = 64
MOMENT_ROWS = 1024  # rows whose mean and deviation are taken at a time: memory does not grow with the catalogue
ADAPTATION_POSTERS = 2048


def adapt_normalisation(network: PosterNetwork, packed: Packed, *, seed: int, wish: str) -> None:
    """Re-estimate the backbone's batch-norm statistics on training posters (AdaBN, Li et al. 2016).

    Posters are not the photographs a backbone was trained on: with their own statistics its features tell genres apart
    better (docs/dev/experiments.md), and full tuning starts from where training mode would take it. Networks without
    batch norm stay as they are.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
    where = device()
    network = network.to(where, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    rows = np.random.default_rng(seed).permutation(packed.rows("train"))[:ADAPTATION_POSTERS]
    with torch.no_grad(), autocast(wish):
        for chunk in np.array_split(rows, -(-len(rows) // CHUNK)):
            network.embed(_to_batch(packed.posters[np.sort(chunk)], where))
            let_go(packed.posters)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _to_batch(posters: NDArray[np.uint8], where: torch.device) -> Tensor:
    """uint8 N×H×W×3 -> float N×3×H×W in [0, 1] on the device."""
    return torch.from_numpy(np.array(posters)).to(where).permute(0, 3, 1, 2).float().div_(255)


def frozen_features(
    network: PosterNetwork, packed: Packed, *, seed: int, wish: str, progress: Progress = silent
) -> NDArray[np.float32]:
    """Every poster's embedding, float32 N×D, and the network's batch norm adapted to posters.

    Both are kept in the packed store's folder, `features-<key>.npy` and `.safetensors`, for the next head on the same
    backbone. The key depends on the posters, the weights, the arithmetic, the seed. An interrupted run
    resumes.

    Raises:
        OnesheetError: the folder cannot be written, another process works in it, or the weights in it are damaged.
    """
    key = _key(network, packed, arithmetic(wish), seed)
    array_path = packed.folder / f"features-{key}.npy"
    weights_path = array_path.with_suffix(".safetensors")
    if weights_path.exists():
        network.load_state_dict(load_weights(weights_path, cure="delete it"), strict=False)
    else:
        adapt_normalisation(network, packed, seed=seed, wish=wish)
        save_weights(weights_path, dict(network.named_buffers()))
    if _done(array_path) < len(packed):
        with sole_use(packed.folder):
            _compute(array_path, network, packed, wish=wish, progress=progress)
    features: NDArray[np.float32] = np.load(array_path, mmap_mode="r", allow_pickle=False)
    return features


def _done(array_path: Path) -> int:
    """How many posters' features have safely reached the disk; 0 where the record is damaged."""
    state_path = array_path.with_suffix(".json")
    if not (state_path.exists() and array_path.exists()):
        return 0
    try:
        return int(read_json(state_path)["done"])
    except (KeyError, TypeError, ValueError):
        return 0


def _compute(array_path: Path, network: PosterNetwork, packed: Packed, *, wish: str, progress: Progress) -> None:
    """Compute what is not done yet."""
    done, shape = _done(array_path), (len(packed), network.embedding_size)
    features = np.lib.format.open_memmap(array_path, mode="r+" if done else "w+", dtype=np.float32, shape=shape)
    reserve(array_path)
    where = device()
    network = folded(network).to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode(), autocast(wish):
        for start in range(done, len(features), CHUNK):
            embedding = network.embed(_to_batch(packed.posters[start : start + CHUNK], where))
            features[start : start + CHUNK] = embedding.float().cpu().numpy()
            finished = min(start + CHUNK, len(features))
            if finished == len(features) or (start // CHUNK) % 32 == 31:
                features.flush()
                write_text(array_path.with_suffix(".json"), json.dumps({"done": finished}))
                let_go(features)
                let_go(packed.posters)
            progress("features", finished, len(features))


def folded(network: PosterNetwork) -> PosterNetwork:
    """A copy for inference, in evaluation mode, whose batch norm is done by the convolutions before it.

    Found where a layer calls the two `convolution` and `normalization`, as those of transformers' MobileNets and
    ResNets do; elsewhere it stays. The outputs are the same but for rounding.
    """
    network = copy.deepcopy(network).eval()
    for layer in network.modules():
        convolution, norm = getattr(layer, "convolution", None), getattr(layer, "normalization", None)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layer.convolution, layer.normalization = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network


def _key(network: PosterNetwork, packed: Packed, precision: str, seed: int) -> str:
    """What the features depend on: the posters, the backbone's weights, levels and views, the arithmetic, the seed."""
    digest = hashlib.sha256(
        f"{packed.fingerprint} {precision} {seed} {network.tta and SECOND_VIEW} {network.embedding_size}".encode()
    )
    for name, values in network.state_dict().items():
        if not name.startswith("head."):
            digest.update(name.encode())
            digest.update(values.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _parts(features: NDArray[np.float32], rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """The rows' features, some at a time; what has been read of a mapped file does not stay in this process."""
    for chunk in np.array_split(rows, -(-len(rows) // MOMENT_ROWS)):
        yield features[chunk]
        let_go(features)


class FeatureHead(nn.Module):
    """A linear head on standardised features; `fold` gives the same head for features as they come.

    Args:
        features: float32 N×D, memory-mapped or not.
        rows: int64, the training set: its mean and standard deviation are taken.
        frequencies: share of training films with each genre, float G in (0, 1): the bias starts at its log-odds.
        dropout: in [0, 1).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, features: NDArray[np.float32], rows: NDArray[np.int64], frequencies: Tensor, *, dropout: float
    ) -> None:
        super().__init__()
        mean = sum(part.sum(0, dtype=np.float64) for part in _parts(features, rows)) / len(rows)
        variance = sum(((part - mean) ** 2).sum(0) for part in _parts(features, rows)) / len(rows)
        self.register_buffer("mean", torch.from_numpy(mean).float())
        deviation = torch.from_numpy(np.sqrt(variance)).float()
        self.register_buffer("deviation", deviation.where(deviation > 1e-4, 1.0))  # a constant feature says nothing
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features.shape[1], len(frequencies))
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias.copy_(torch.logit(frequencies))

    def forward(self, features: Tensor) -> Output:
        """Features N×D -> logits N×G (as `Output`)."""
        logits = self.linear(self.dropout((features - self.mean) / self.deviation))
        return Output(logits, features, None)

    def fold(self, head: nn.Linear) -> None:
        """Write the head into `head`, standardisation included."""
        with torch.no_grad():
            weight = self.linear.weight / self.deviation
            head.weight.copy_(weight)
            head.bias.copy_(self.linear.bias - weight @ self.mean)
