"""Train a classifier on labels and soft targets for a given time; started again, it resumes."""

from __future__ import annotations

import json
import math
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from augmentation import augment, cutmix
from films import Films
from networks import Classifier
from onesheet.training.device import autocast

BATCH = 32
LEARNING_RATE = 5e-4
WEIGHT_DECAY = 0.05
AVERAGING = 0.998  # decay of the average of weights, per step
CUTMIX = 0.3  # share of batches
SIZES = ((0.0, (160, 128)), (0.5, (192, 128)))  # crops, from this share of the time on
CHECK_MINUTES = 20.0  # between validations, each with a checkpoint
NORM_POSTERS = 768  # posters that batch norm is fitted to


def mix_targets(films: Films, soft: NDArray[np.float32], share: float = 0.5) -> Tensor:
    """Labels and soft targets of the training films as one target, float32 N×G×2: weight of "yes", and of both.

    Unknown labels have no weight, so that only the soft targets speak there.

    Args:
        films: packed films.
        soft: probabilities of the training films, N×G.
        share: of the soft targets, in 0..1.
    """
    rows = films.rows("train")
    weights = (1 - share) * films.weights[rows]
    return torch.from_numpy(np.stack((weights * films.labels[rows] + share * soft, weights + share), -1))


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of logits N×G with targets of `mix_targets`, a scalar."""
    yes, both = targets.unbind(-1)
    return (both * F.softplus(logits) - yes * logits).mean()


def train(
    network: Classifier,
    films: Films,
    targets: Tensor,
    *,
    folder: Path,
    minutes: float,
    head_first: bool = True,
    learning_rate: float = LEARNING_RATE,
    check_minutes: float = CHECK_MINUTES,
) -> None:
    """Train `network` in place; it ends with the averaged weights that were best on validation.

    `folder` keeps `last.pt`, from which a killed run resumes, `best.pt` and `log.jsonl`.

    Args:
        network: with pretrained weights.
        films: packed films.
        targets: of `mix_targets`.
        folder: is created.
        minutes: training time over all runs; learning rate and crops depend on the share of it that is gone.
        head_first: fit batch norm and the head before everything learns.
        learning_rate: the highest, after the first 200 steps.
        check_minutes: time between validations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.to(memory_format=torch.channels_last)
    rows = films.rows("train")
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
    last = folder / "last.pt"
    if last.exists():
        kept = torch.load(last, weights_only=True)
        network.load_state_dict(kept["network"])
        average = deepcopy(network)
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        step, gone, best = kept["step"], kept["seconds"], kept["best"]
    else:
        step, best, start = 0, -1.0, time.monotonic()
        if head_first:
            fit_batch_norm(network, films.posters, rows)
            _fit_head(network, films.posters, rows, targets)
        average = deepcopy(network)
        gone = time.monotonic() - start
    begun = time.monotonic() - gone
    checked = gone if last.exists() else -math.inf
    losses: list[float] = []
    while True:
        seconds = time.monotonic() - begun
        done = seconds >= 60 * minutes
        if done or seconds - checked >= 60 * check_minutes:
            if done and last.exists() and not losses:
                break  # finished before
            fit_batch_norm(average, films.posters, rows)
            validation = films.rows("validation")
            scores = macro_scores(score(average, films.posters, validation), films, validation)
            entry = {"minutes": round(seconds / 60, 1), "epoch": round(step * BATCH / len(rows), 2)}
            entry |= {"loss": round(float(np.mean(losses)), 4) if losses else None} | scores
            losses = []
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
            if scores["roc_auc"] + scores["map"] > best:
                best = scores["roc_auc"] + scores["map"]
                _save(average.state_dict(), folder / "best.pt")
            checked = time.monotonic() - begun
            kept = {"network": network.state_dict(), "average": average.state_dict()}
            kept |= {"optimizer": optimizer.state_dict(), "step": step, "seconds": checked, "best": best}
            _save(kept, last)
            if done:
                break
        share = min(1.0, seconds / (60 * minutes))
        rate = learning_rate * min(1, (step + 1) / 200) * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses.append(_step(network, optimizer, films.posters, rows, targets, step, share))
        step += 1
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - min(AVERAGING, (1 + step) / (10 + step)))
    network.load_state_dict(torch.load(folder / "best.pt", weights_only=True))


def score(network: Classifier, posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits of rows of posters uint8 N×H×W×3, float32 len(rows)×G."""
    network.eval()
    with torch.inference_mode(), autocast("auto"):
        return torch.cat([network(_read(posters, part) / 255).float() for part in _batches(rows)]).numpy()


def macro_scores(logits: NDArray[np.float32], films: Films, rows: NDArray[np.int64]) -> dict[str, float]:
    """ROC-AUC and mean average precision, means over genres; films whose label is unknown are left out."""
    aucs, precisions = [], []
    for genre in range(len(films.genres)):
        known = films.weights[rows, genre] > 0
        labels = films.labels[rows, genre][known]
        if 0 < labels.sum() < len(labels):
            aucs.append(roc_auc_score(labels, logits[known, genre]))
            precisions.append(average_precision_score(labels, logits[known, genre]))
    return {"roc_auc": round(float(np.mean(aucs)), 4), "map": round(float(np.mean(precisions)), 4)}


def fit_batch_norm(network: nn.Module, posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    """Replace the statistics of batch norm by those of whole posters."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
    some = np.random.default_rng(0).permutation(rows)[:NORM_POSTERS]
    with torch.no_grad(), autocast("auto"):
        for part in _batches(some):
            network(_read(posters, part) / 255)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _step(
    network: Classifier,
    optimizer: torch.optim.Optimizer,
    posters: NDArray[np.uint8],
    rows: NDArray[np.int64],
    targets: Tensor,
    step: int,
    share: float,
) -> float:
    """One batch, which depends on the step alone; the loss."""
    per_epoch = max(1, len(rows) // BATCH)
    order = np.random.default_rng(step // per_epoch).permutation(len(rows))
    picked = np.sort(order[step % per_epoch * BATCH :][:BATCH])
    generator = torch.Generator().manual_seed(step)
    size = next(size for start, size in reversed(SIZES) if share >= start)
    batch, mixed = augment(_read(posters, rows[picked]), generator, size), targets[picked]
    shuffled = torch.randperm(len(batch), generator=generator)
    batch, mixed = batch[shuffled], mixed[shuffled]
    if float(torch.rand(1, generator=generator)) < CUTMIX:
        batch, mixed = cutmix(batch, mixed, generator)
    network.train()
    torch.manual_seed(step)  # dropout
    with autocast("auto"):
        logits = network(batch)
    loss = loss_of(logits.float(), mixed)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def _fit_head(network: Classifier, posters: NDArray[np.uint8], rows: NDArray[np.int64], targets: Tensor) -> None:
    """Train the head alone on the frozen backbone's features of whole posters."""
    network.eval()
    with torch.no_grad(), autocast("auto"):
        features = [network.pooled(_read(posters, part) / 255).float() for part in _batches(rows)]
    inputs = torch.cat(features)
    optimizer = torch.optim.AdamW(network.head.parameters(), lr=1e-3, weight_decay=0.1)
    network.head.train()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        for part in torch.randperm(len(inputs), generator=generator).split(256):
            optimizer.zero_grad()
            loss_of(network.head(inputs[part]), targets[part]).backward()
            optimizer.step()


def _read(posters: NDArray[np.uint8], rows: NDArray[np.int64]) -> Tensor:
    """Rows of posters as uint8 N×3×H×W, channels last in memory."""
    return torch.from_numpy(posters[rows]).permute(0, 3, 1, 2)


def _batches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _save(state: dict[str, object], path: Path) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
