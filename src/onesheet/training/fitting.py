"""fit: a packed catalogue and a configuration to a trained network in a run folder."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onesheet.data.pack import Packed
from onesheet.errors import ConfigError, Interrupted, PackError, RunError
from onesheet.models import PosterNetwork, build_network
from onesheet.models.pretrained import save_architecture
from onesheet.progress import Progress, silent
from onesheet.training.augment import build_augmentation
from onesheet.training.config import TrainConfig, refuse_other_choices
from onesheet.training.features import FeatureHead, frozen_features
from onesheet.training.loader import BatchLoader
from onesheet.training.loop import Stage, train_stage
from onesheet.training.machine import prepare
from onesheet.training.module import TrainingModule
from onesheet.training.run import ARCHITECTURE, CHECKPOINTS, STATE, Run, open_run
from onesheet.training.teacher import soft_targets
from onesheet.training.weights import load_weights, save_weights

TARGETS = "targets.safetensors"


def fit(
    config: TrainConfig,
    packed: Packed,
    *,
    folder: str | Path,
    resume: bool = False,
    progress: Progress = silent,
) -> Run:
    """Train a network.

    With `tune="head"` the frozen backbone runs once per poster and only the head learns. With `tune="full"` and a
    pretrained backbone the head learns first, on the frozen features, so that the first steps do not spoil the
    backbone (Kumar et al. 2022), then everything does.

    Args:
        config: the choices.
        packed: the posters, with parts "train" and "validation".
        folder: the run's folder; must not hold a run yet, unless `resume`.
        resume: go on where the run in `folder` stopped; a finished one is returned as it is.
        progress: told of every step.

    Returns:
        The run. After Ctrl-C it is the unfinished run, with the best weights so far where an epoch has ended.

    Raises:
        RunError: the folder holds a run already, or one that was started otherwise.
        PackError: the store has no posters to learn from or to validate on.
    """
    config, folder = config.resolved(), Path(folder)
    earlier = _earlier_run(config, packed, folder, resume=resume)
    if earlier and earlier.finished:
        return earlier
    prepare(config.threads)
    torch.manual_seed(config.seed)
    network = build_network(
        config.model,
        genres=len(packed.genres),
        size=packed.size,
        dropout=config.dropout,
        widths=config.widths,
        mirror=config.mirror,
    )
    check_growth(config, network)
    run = earlier or Run(folder, config, packed.folder, packed.fingerprint)
    if not earlier:
        packed.verify(progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        if config.model.startswith("hf:"):
            save_architecture(network, folder / ARCHITECTURE)
        run.write()
    clock = _Clock(run.seconds)
    try:
        targets = _targets(run, packed, progress)
        if config.model.startswith("hf:") and (config.tune == "head" or config.head_epochs):
            _fit_head(run, network, packed, targets, clock, progress)
        if config.tune == "full":
            _fit_full(run, network, packed, targets, clock, progress)
    except Interrupted:
        return open_run(folder)
    run = replace(open_run(folder), finished=True, seconds=clock.seconds)
    run.write()
    shutil.rmtree(folder / CHECKPOINTS)
    return run


def check_growth(config: TrainConfig, network: PosterNetwork) -> None:
    """Crops may grow only for a network that takes any size.

    Raises:
        ConfigError: this one does not.
    """
    if config.start_scale != 1 and not network.has_evidence:
        raise ConfigError(f"{config.model} is a network for one size; leave out --start-scale")


class _Clock:
    """Seconds spent on a run, earlier calls included."""

    def __init__(self, earlier_seconds: float) -> None:
        self._earlier_seconds, self._started = earlier_seconds, time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._earlier_seconds + time.perf_counter() - self._started


def _earlier_run(config: TrainConfig, packed: Packed, folder: Path, *, resume: bool) -> Run | None:
    """The run in the folder, if there is one to go on with."""
    for part in ("train", "validation"):
        if not len(packed.rows(part)):
            raise PackError(f"{str(packed.folder)!r} has no posters in part {part!r}; split and pack again")
    if not (folder / STATE).exists():
        return None
    if not resume:
        raise RunError(f"{str(folder)!r} holds a run already; go on with --resume or choose another --out")
    earlier = open_run(folder)
    if earlier.fingerprint != packed.fingerprint:
        raise RunError(f"the run in {str(folder)!r} learnt from other posters; choose another --out")
    refuse_other_choices(earlier.config.to_dict(), config.to_dict(), folder)
    return earlier


def _targets(run: Run, packed: Packed, progress: Progress) -> NDArray[np.float32]:
    """What is to be learnt; what teachers say is kept, so that a resumed run learns the same."""
    path = run.folder / CHECKPOINTS / TARGETS
    if path.exists():
        kept: NDArray[np.float32] = load_weights(path)["targets"].numpy()
        return kept
    config = run.config
    targets = soft_targets(
        packed, config.teacher, smoothing=config.label_smoothing, threads=config.threads, progress=progress
    )
    if config.teacher:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights(path, {"targets": torch.from_numpy(targets)})
    return targets


def _fit_head(
    run: Run,
    network: PosterNetwork,
    packed: Packed,
    targets: NDArray[np.float32],
    clock: _Clock,
    progress: Progress,
) -> None:
    """Train the head on the frozen backbone's features and put it into the network."""
    config = run.config
    if config.tune == "full":
        defaults = TrainConfig(model=config.model, tune="head", epochs=config.head_epochs).resolved()
        config = replace(
            defaults,
            loss=config.loss,
            positive_weights=config.positive_weights,
            select=config.select,
            seed=config.seed,
            arithmetic=config.arithmetic,
        )
    features = frozen_features(network, packed, seed=config.seed, wish=config.arithmetic, progress=progress)
    network = network.cpu()
    head = FeatureHead(features, packed.rows("train"), _frequencies(packed), dropout=config.dropout or 0.0)
    loaders = _loaders(features, packed, targets, batch_size=config.batch_size or 1, seed=config.seed)
    in_fp32 = replace(config, arithmetic="fp32")  # features are small: nothing to gain
    stage = Stage("head", TrainingModule(head, in_fp32, _frequencies(packed), loader=loaders[0]), loaders)

    def weights(best: nn.Module) -> dict[str, Tensor]:
        with torch.no_grad():
            folded = copy.deepcopy(best).cpu()
        folded.fold(network.head[-1])  # type: ignore[operator]
        return network.state_dict()

    _train(run, stage, network, weights, clock, progress, last=run.config.tune == "head")


def _fit_full(
    run: Run,
    network: PosterNetwork,
    packed: Packed,
    targets: NDArray[np.float32],
    clock: _Clock,
    progress: Progress,
) -> None:
    """Train everything."""
    network = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    augment = build_augmentation(
        network, packed.posters, packed.rows("train"), crop_area=run.config.crop_area, seed=run.config.seed
    )
    loaders = _loaders(packed.posters, packed, targets, batch_size=run.config.batch_size or 1, seed=run.config.seed)
    module = TrainingModule(
        network,
        run.config,
        _frequencies(packed),
        loader=loaders[0],
        augment=augment if run.config.augment else None,
    )
    _train(run, Stage("full", module, loaders), network, lambda best: best.state_dict(), clock, progress, last=True)


def _train(
    run: Run,
    stage: Stage,
    network: PosterNetwork,
    weights: Callable[[nn.Module], dict[str, Tensor]],
    clock: _Clock,
    progress: Progress,
    *,
    last: bool,
) -> None:
    """Train a stage and leave its best epoch's weights in `network`; those of the last stage are the run's.

    The weights of the best epoch so far are always on disk, whatever stops the run.
    """
    checkpoints = run.folder / CHECKPOINTS
    path = run.network_path if last else checkpoints / f"{stage.name}-best.safetensors"

    def on_epoch(stage: Stage) -> None:
        if stage.history[-1]["epoch"] == stage.best_epoch:
            save_weights(path, weights(stage.module.best_network))
        if last:
            current = replace(run, best_epoch=stage.best_epoch, seconds=clock.seconds)
            current.write_history(stage.history)
            current.write()

    train_stage(stage, checkpoints, on_epoch=on_epoch, progress=progress)
    network.load_state_dict(load_weights(path))


def _frequencies(packed: Packed) -> Tensor:
    """Share of training films with each genre, kept away from 0 and 1."""
    labels = packed.labels[packed.rows("train")]
    return torch.from_numpy((labels.sum(0) + 0.5) / (len(labels) + 1)).float()


def _loaders(
    inputs: NDArray[Any], packed: Packed, targets: NDArray[np.float32], *, batch_size: int, seed: int
) -> tuple[BatchLoader, BatchLoader]:
    train, validation = packed.rows("train"), packed.rows("validation")
    return (
        BatchLoader(inputs, packed.labels, targets, train, batch_size=batch_size, seed=seed),
        BatchLoader(inputs, packed.labels, targets, validation, batch_size=batch_size),
    )
