"""One stage of training: Lightning's loop with our journal, its best epoch kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import nn

from onesheet.progress import Progress
from onesheet.training.callbacks import Journal, ProgressBar
from onesheet.training.loader import BatchLoader
from onesheet.training.machine import arithmetic
from onesheet.training.module import TrainingModule

OnEpoch = Callable[[list[dict[str, float]]], None]


@dataclass
class Stage:
    """A module with its batches, and the checkpoints it leaves.

    Attributes:
        name: "head" or "full"; prefix of its checkpoints.
        module: what trains.
        loaders: training and validation batches.
        best_path: checkpoint of the best epoch.
    """

    name: str
    module: TrainingModule
    loaders: tuple[BatchLoader, BatchLoader]
    best_path: Path | None = None

    @property
    def has_best(self) -> bool:
        """Whether an epoch has been kept."""
        return self.best_path is not None and self.best_path.exists() and bool(self.module.history)

    @property
    def best_epoch(self) -> int:
        """The epoch kept, counted from 1; the first of equals."""
        key, sign = ("validation_map", 1) if self.module.config.select == "map" else ("validation_loss", -1)
        return int(max(self.module.history, key=lambda row: sign * row[key])["epoch"])

    def best_network(self) -> nn.Module:
        """The (averaged) network as it was after the best epoch."""
        if self.best_path is None:
            raise ValueError("the stage has not been trained")
        checkpoint = torch.load(self.best_path, map_location="cpu", weights_only=True)
        self.module.load_state_dict(checkpoint["state_dict"])
        return self.module.best_network


class EpochEnd(Callback):
    """Completes the history after every epoch and hands it on; stands before the journal, which saves it."""

    def __init__(self, on_epoch: OnEpoch) -> None:
        self._on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Training and validation of the epoch are over."""
        pl_module.end_epoch()
        self._on_epoch(pl_module.history)


def train_stage(stage: Stage, folder: Path, *, on_epoch: OnEpoch, progress: Progress) -> None:
    """Train a stage to its end, or on from its `last` checkpoint in `folder`.

    Raises:
        Interrupted: Ctrl-C; the checkpoints say where to go on.
    """
    config = stage.module.config
    last_path = folder / f"{stage.name}-last.ckpt"
    stage.best_path = folder / f"{stage.name}-best.ckpt"
    journal = Journal(last_path)
    monitor, mode = f"validation_{config.select}", "max" if config.select == "map" else "min"
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder,
            stage.best_path.stem,
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_weights_only=True,
        ),
        EpochEnd(on_epoch),
        journal,
        ProgressBar(progress, f"fit {stage.name}"),
    ]
    if config.patience:
        callbacks.insert(1, EarlyStopping(monitor, mode=mode, patience=config.patience))
    with quiet(), journal.listening():
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if arithmetic(config.arithmetic) == "bf16" else "32-true",
            max_epochs=config.epochs,
            callbacks=callbacks,
            default_root_dir=folder,
            gradient_clip_val=1.0,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(
            stage.module,
            *stage.loaders,
            ckpt_path=last_path if last_path.exists() else None,
            weights_only=True,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's own notices silenced: what matters is said through `Progress`."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
