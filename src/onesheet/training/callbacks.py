"""What happens around the training loop: journal, interruption, progress."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from onesheet.errors import Interrupted
from onesheet.progress import Progress
from onesheet.training.processes import Processes

SAVE_SECONDS = 120  # at most so much work is lost to a crash


class Journal(Callback):
    """Keeps `last.ckpt` current: every epoch, every two minutes, and on Ctrl-C, then stops; every process at once."""

    def __init__(self, path: Path, here: Processes) -> None:
        self._path, self._here = path, here
        self._saved = time.monotonic()
        self._asked_to_stop = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C asks to stop between two steps; the earlier handler comes back in the end."""
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
        """Between two steps: save if it is time, stop if asked."""
        last_of_epoch = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if last_of_epoch:
            return  # validation comes next; the epoch's end saves
        stop = self._here.any(self._asked_to_stop)
        if self._here.any(stop or time.monotonic() - self._saved > SAVE_SECONDS):
            self._save(trainer)
        if stop:
            raise Interrupted("interrupted; go on with --resume")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch is over, validation included."""
        self._save(trainer)
        if self._here.any(self._asked_to_stop):
            raise Interrupted("interrupted; go on with --resume")

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()


# Shown as train/validation: name, figure, digits.
SHOWN = (
    *(("loss", "loss", 3), ("precision", "precision", 2), ("recall", "recall", 2)),
    *(("F1", "f1", 2), ("mAP", "map", 3), ("AUC", "roc_auc", 3)),
)


class ProgressBar(Callback):
    """Tells a `Progress` of every step, with the last epoch's figures, train/validation."""

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
