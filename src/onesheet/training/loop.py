"""One stage of training: Lightning's loop, and the callbacks that stop it, save its state and report its progress."""

from __future__ import annotations

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from onesheet.errors import Interrupted, RunError
from onesheet.progress import Progress
from onesheet.training.device import arithmetic, device
from onesheet.training.loader import BatchLoader
from onesheet.training.module import TrainingModule
from onesheet.training.processes import Processes
from onesheet.training.weights import WholeCheckpoints

SAVE_SECONDS = 120  # at most so much work is lost to a crash

# Shown as train/validation: name, metric, digits.
SHOWN = (
    *(("loss", "loss", 3), ("precision", "precision", 2), ("recall", "recall", 2)),
    *(("F1", "f1", 2), ("mAP", "map", 3), ("AUC", "roc_auc", 3)),
)
OnEpoch = Callable[["Stage"], None]


@dataclass
class Stage:
    """A module with its batches.

    Attributes:
        name: "head" or "full"; prefix of its checkpoint.
        module: what trains.
        loaders: training and validation batches.
        here: this process among those that train together.
    """

    name: str
    module: TrainingModule
    loaders: tuple[BatchLoader, BatchLoader]
    here: Processes = field(default_factory=Processes)

    @property
    def history(self) -> list[dict[str, float]]:
        """One row per epoch."""
        return self.module.history

    @property
    def best_epoch(self) -> int:
        """The best epoch so far, counted from 1; the first of equals."""
        key, sign = ("validation_map", 1) if self.module.config.select == "map" else ("validation_loss", -1)
        return int(max(self.history, key=lambda row: sign * row[key])["epoch"])

    @property
    def out_of_patience(self) -> bool:
        """Whether as many epochs have passed without a better one as the configuration allows."""
        patience = self.module.config.patience
        return bool(patience and self.history and self.history[-1]["epoch"] - self.best_epoch >= patience)


class EpochEnd(Callback):
    """Completes the history after every epoch, hands it on, and ends training when patience is over.

    Stands before the journal, which saves the history.
    """

    def __init__(self, stage: Stage, on_epoch: OnEpoch) -> None:
        self._stage, self._on_epoch = stage, on_epoch

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """A resumed run may have been over."""
        trainer.should_stop = self._stage.out_of_patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Training and validation of the epoch are over."""
        pl_module.end_epoch()
        self._on_epoch(self._stage)
        trainer.should_stop = self._stage.out_of_patience


def train_stage(stage: Stage, folder: Path, *, on_epoch: OnEpoch, progress: Progress) -> None:
    """Train a stage to its end, or on from its `last` checkpoint in `folder`.

    Args:
        stage: what trains.
        folder: of the checkpoint.
        on_epoch: called after every epoch, before the checkpoint is saved.
        progress: reports every step.

    Raises:
        Interrupted: Ctrl-C; the checkpoint resumes it.
    """
    config = stage.module.config
    last_path = folder / f"{stage.name}-last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(last_path, stage.here)
    with quiet(), journal.listening():
        trainer = pl.Trainer(
            **_together(stage.here),
            precision="bf16-mixed" if arithmetic(config.arithmetic) == "bf16" else "32-true",
            max_epochs=config.epochs,
            callbacks=[EpochEnd(stage, on_epoch), journal, ProgressBar(progress, f"fit {stage.name}")],
            default_root_dir=folder,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        checkpoint = _checked(last_path) if last_path.exists() else None
        trainer.fit(stage.module, *stage.loaders, ckpt_path=checkpoint, weights_only=True)


def _checked(checkpoint: Path) -> Path:
    """A checkpoint that holds nothing but weights, numbers and texts: nothing in it can run."""
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch's errors have no common base
        raise RunError(
            f"{str(checkpoint)!r} is no whole checkpoint of weights alone; delete it, and the stage begins anew"
        ) from error
    return checkpoint


def _together(here: Processes) -> dict[str, Any]:
    """Lightning's options for so many processes.

    Batch norm is over the posters of all GPUs; on a CPU each process has its own statistics, and the first one's count.
    The graph is static, so that a backbone may have weights that its embedding does not use.
    """
    plugins: list[Any] = [WholeCheckpoints(), *([here.environment] if here.environment else [])]
    options = {"accelerator": device().type, "devices": here.devices, "num_nodes": here.nodes, "plugins": plugins}
    if here.count == 1:
        return options
    on_cpu = device().type == "cpu"
    strategy = DDPStrategy(broadcast_buffers=on_cpu, static_graph=True)
    return options | {"strategy": strategy, "sync_batchnorm": not on_cpu}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's own notices: what matters is reported through `Progress`."""
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


class Journal(Callback):
    """Keeps `last.ckpt` current: every epoch, every two minutes, and on Ctrl-C, then stops; every process at once."""

    def __init__(self, path: Path, here: Processes) -> None:
        self._path, self._here = path, here
        self._saved = time.monotonic()
        self._asked_to_stop = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C requests a stop between two steps; the earlier handler comes back in the end."""
        if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
            yield
            return
        earlier = signal.signal(signal.SIGINT, self._stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, earlier)

    def _stop(self, *_: object) -> None:
        self._asked_to_stop = True

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Between two steps: save if it is time, stop if requested."""
        last_of_epoch = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if last_of_epoch:
            return  # validation comes next; the epoch's end saves
        stop = self._here.any(self._asked_to_stop)
        if self._here.any(stop or time.monotonic() - self._saved > SAVE_SECONDS):
            self._save(trainer)
        if stop:
            raise Interrupted("interrupted; resume with --resume")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch is over, validation included."""
        self._save(trainer)
        if self._here.any(self._asked_to_stop):
            raise Interrupted("interrupted; resume with --resume")

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()


class ProgressBar(Callback):
    """Reports every step to a `Progress`, with the last epoch's metrics, train/validation."""

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress, self._task = progress, task

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Report the step."""
        history = pl_module.history
        note = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        if history:
            row = history[-1]
            note += "".join(
                f"  {name} {row[f'train_{key}']:.{digits}f}/{row[f'validation_{key}']:.{digits}f}"
                for name, key, digits in SHOWN
            )
        self._progress(self._task, trainer.global_step, pl_module.total_steps, note)
