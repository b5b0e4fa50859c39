"""The stages of a training: the head on a frozen backbone's features, then everything."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onesheet.errors import ConfigError
from onesheet.models import PosterNetwork
from onesheet.packed.store import Packed
from onesheet.progress import Progress
from onesheet.training.augment import Augmenting, as_floats, build_augmentation
from onesheet.training.config import TrainConfig
from onesheet.training.distillation import soft_targets
from onesheet.training.features import FeatureHead, frozen_features
from onesheet.training.loader import BatchLoader
from onesheet.training.loop import Stage, train_stage
from onesheet.training.module import TrainingModule
from onesheet.training.processes import Processes
from onesheet.training.run import CHECKPOINTS, Run
from onesheet.training.weights import load_weights, save_weights

TARGETS = "targets.safetensors"
HEAD_DECAY_FILMS = (
    75  # validation mAP was best near it with 5,055 and with 18,566 training films (docs/dev/experiments.md)
)


class Clock:
    """Seconds spent on a run, earlier calls included."""

    def __init__(self, earlier_seconds: float) -> None:
        self._earlier_seconds, self._started = earlier_seconds, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Up to now."""
        return self._earlier_seconds + time.perf_counter() - self._started


@dataclass(frozen=True, eq=False)
class Fitting:
    """A run that trains.

    Attributes:
        run: its folder and choices.
        network: what trains; in the end with the kept weights.
        packed: the posters.
        here: this process among those that train together; the first alone writes.
        clock: what the run has taken.
        progress: reports every step.
    """

    run: Run
    network: PosterNetwork
    packed: Packed
    here: Processes
    clock: Clock
    progress: Progress

    def train(self) -> None:
        """Every stage of the configuration.

        Raises:
            Interrupted: Ctrl-C; everything is saved.
        """
        config, targets = self.run.config, self.here.in_turn(self._targets)
        if config.model.startswith("hf:") and (config.tune == "head" or config.head_epochs):
            self._head(targets)
        if config.tune == "full":
            self._full(targets)

    def _targets(self) -> NDArray[Any]:
        """What is to be learnt; what teachers predict is kept, so that a resumed run learns the same."""
        path = self.run.folder / CHECKPOINTS / TARGETS
        if path.exists():
            kept: NDArray[np.float32] = load_weights(path)["targets"].numpy()
            return kept
        config = self.run.config
        targets = soft_targets(self.packed, config.teacher, threads=config.threads, progress=self.progress)
        if config.teacher:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(path, {"targets": torch.from_numpy(targets)})
        return targets

    def _head(self, targets: NDArray[Any]) -> None:
        """Train the head on the frozen backbone's features and put it into the network."""
        packed = self.packed
        config = _head_config(self.run.config, len(packed.rows("train")))
        features = self.here.in_turn(
            lambda: frozen_features(
                self.network, packed, seed=config.seed, wish=config.arithmetic, progress=self.progress
            )
        )
        network = self.network.cpu()
        frequencies = _frequencies(packed)
        head = FeatureHead(features, packed.rows("train"), frequencies, dropout=config.dropout or 0.0)
        loaders = self._loaders(features, targets, config)
        in_fp32 = replace(config, arithmetic="fp32")  # features are small: nothing to gain
        module = TrainingModule(head, in_fp32, frequencies, loaders=loaders, here=self.here)

        def weights(best: nn.Module) -> dict[str, Tensor]:
            with torch.no_grad():
                folded = copy.deepcopy(best).cpu()
            folded.fold(network.head[-1])  # type: ignore[operator]
            return network.state_dict()

        self._stage(Stage("head", module, loaders, self.here), weights, last=self.run.config.tune == "head")

    def _full(self, targets: NDArray[Any]) -> None:
        """Train everything."""
        config, packed = self.run.config, self.packed
        network = self.network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        crops = build_augmentation(
            network, packed.posters, packed.rows("train"), crop_area=config.crop_area, seed=config.seed
        )
        loaders = self._loaders(packed.posters, targets, config, Augmenting(config, crops if config.augment else None))
        module = TrainingModule(network, config, _frequencies(packed), loaders=loaders, here=self.here)
        self._stage(Stage("full", module, loaders, self.here), lambda best: best.state_dict(), last=True)

    def _stage(self, stage: Stage, weights: Callable[[nn.Module], dict[str, Tensor]], *, last: bool) -> None:
        """Train a stage and leave its best epoch's weights in the network; those of the last stage are the run's.

        The weights of the best epoch so far are always on disk, whatever stops the run.
        """
        checkpoints = self.run.folder / CHECKPOINTS
        path = self.run.network_path if last else checkpoints / f"{stage.name}-best.safetensors"

        def on_epoch(stage: Stage) -> None:
            if not self.here.first:
                return
            if stage.history[-1]["epoch"] == stage.best_epoch:
                save_weights(path, weights(stage.module.best_network))
            if last:
                current = replace(self.run, best_epoch=stage.best_epoch, seconds=self.clock.seconds)
                current.write_history(stage.history)
                current.write()

        train_stage(stage, checkpoints, on_epoch=on_epoch, progress=self.progress)
        self.network.load_state_dict(load_weights(path))

    def _loaders(
        self,
        inputs: NDArray[Any],
        targets: NDArray[Any],
        config: TrainConfig,
        augment: Augmenting | None = None,
    ) -> tuple[BatchLoader, BatchLoader]:
        packed, size, share = self.packed, config.batch_size or 1, (self.here.rank, self.here.count)
        train, validation = packed.rows("train"), packed.rows("validation")
        loader = partial(BatchLoader, inputs, packed.truth, targets, batch_size=size, share=share)
        loaders = (
            loader(train, seed=config.seed, transform=augment),
            loader(validation, transform=as_floats if augment else None),
        )
        if len(train) // len(loaders[0]) < self.here.count:
            raise ConfigError(
                f"a batch of {len(train) // len(loaders[0])} posters cannot be shared by {self.here.count} processes; "
                "raise --batch-size or start fewer"
            )
        return loaders


def _head_config(config: TrainConfig, films: int) -> TrainConfig:
    """The choices of the head's stage: the run's, or, before everything is tuned, those that suit a head.

    Its weight decay is a belief about the weights that so many training films outweigh: the more, the less.
    """
    if config.tune != "head":
        config = replace(
            TrainConfig(model=config.model, tune="head", epochs=config.head_epochs).resolved(),
            loss=config.loss,
            positive_weights=config.positive_weights,
            select=config.select,
            seed=config.seed,
            arithmetic=config.arithmetic,
        )
    if config.weight_decay is None:
        config = replace(config, weight_decay=HEAD_DECAY_FILMS / (HEAD_DECAY_FILMS + films))
    return config


def _frequencies(packed: Packed) -> Tensor:
    """Share of training films with each genre among those of which it is known, kept away from 0 and 1."""
    rows = packed.rows("train")
    known = len(rows) if packed.known is None else packed.known[rows].sum(0)
    return torch.from_numpy((packed.labels[rows].sum(0) + 0.5) / (known + 1)).float()
