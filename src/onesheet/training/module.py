"""TrainingModule: one network, its loss, optimiser, averaged weights and the metrics of every epoch."""

from __future__ import annotations

import copy
import math
import time
from functools import cached_property
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from onesheet.errors import RunError
from onesheet.evaluation.summary import SUMMARY_METRICS, summary_metrics
from onesheet.training.config import TrainConfig
from onesheet.training.device import seed_dropout
from onesheet.training.epoch_metrics import EpochPredictions
from onesheet.training.loader import Batch, BatchLoader
from onesheet.training.losses import build_loss
from onesheet.training.processes import Processes

GRADIENT_NORM = 1.0  # at most
TRAIN_SAMPLE = 20_000  # posters of an epoch whose predictions the training metrics are computed from


class TrainingModule(pl.LightningModule):
    """Trains `network` by `config`.

    Args:
        network: forward(inputs) -> an object with `.logits`; inputs are float N×3×H×W in [0, 1], or features.
        config: resolved choices.
        frequencies: share of training films with each genre, float G in (0, 1).
        loaders: training and validation batches; the place in the first is kept in checkpoints.
        here: this process among those that train together.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        frequencies: Tensor,
        *,
        loaders: tuple[BatchLoader, BatchLoader],
        here: Processes | None = None,
    ) -> None:
        super().__init__()
        self._here = here or Processes()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False) if config.ema else None
        self.config = config
        self.loss = build_loss(config.loss, frequencies, positive_weights=config.positive_weights)
        # Not trainer.estimated_stepping_batches: asking for it sets the loader up before a checkpoint is restored,
        # and a resumed run would begin the epoch anew.
        self._loader, validation = loaders
        self.total_steps = len(self._loader) * (config.epochs or 1)
        self.history: list[dict[str, float]] = []
        room = {
            "train": min(self._loader.most_rows, TRAIN_SAMPLE // self._here.count),
            "validation": validation.most_rows,
        }
        self._seen = {split: EpochPredictions(rows, len(frequencies)) for split, rows in room.items()}
        self._steps = 0
        self._started = time.perf_counter()
        self._earlier_seconds = 0.0

    @property
    def best_network(self) -> nn.Module:
        """The averaged network where there is one."""
        return self.network if self.average is None else self.average

    def optimizer_zero_grad(self, _: int, __: int, optimizer: Any) -> None:
        """Zero gradients where they are on a CPU; on a GPU let them go, as torch keeps the memory itself.

        Claimed anew amid a step's maps they leave holes that the next step's maps do not fit into.
        """
        optimizer.zero_grad(set_to_none=self.device.type != "cpu")

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step; remembers logits for the epoch's training metrics."""
        seed_dropout(batch.seed)
        logits = self.network(batch.inputs).logits.float()
        self._seen["train"].add(logits.detach(), batch.labels)
        return self.loss(logits, batch.targets) * batch.weight

    @cached_property
    def _followed(self) -> tuple[list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Averaged tensors, those they follow, and pairs of counts; all change in place; requested in training."""
        pairs = list(zip(self.best_network.state_dict().values(), self.network.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        return [averaged for averaged, _ in floats], [current for _, current in floats], counts

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Step, then move the averaged weights; early on they follow faster, so that the first steps count little."""
        super().optimizer_step(*arguments, **options)
        self._steps += 1
        if self.average is None:
            return
        decay = min(self.config.ema or 0.0, (1 + self._steps) / (10 + self._steps))
        averaged, current, counts = self._followed
        get_ema_multi_avg_fn(decay)(averaged, current, self._steps)  # type: ignore[no-untyped-call]
        for count, followed in counts:
            count.copy_(followed)

    @cached_property
    def _all_parameters(self) -> list[nn.Parameter]:
        """Found once: going through all modules takes a millisecond, at every step."""
        return list(self.network.parameters())

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """By norm. Lightning's own rejects fused optimisers, as those may unscale gradients; ours have no scale."""
        nn.utils.clip_grad_norm_(self._all_parameters, GRADIENT_NORM)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Predictions of the network that would be kept; a small batch may leave nothing for this process."""
        logits = self.best_network(batch.inputs).logits.float() if len(batch.inputs) else batch.labels
        self._seen["validation"].add(logits, batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics that choose the best epoch."""
        self._validation = self._metrics("validation")
        self.log_dict({f"validation_{name}": self._validation[name] for name in ("map", "loss")})

    def end_epoch(self) -> None:
        """Add the epoch's row to the history; called after validation, before the journal saves."""
        train = self._metrics("train")
        optimizer = self.optimizers()
        self.history.append(
            {
                "epoch": self.current_epoch + 1,
                **{
                    f"{split}_{name}": metrics[name]
                    for name in ("loss", *SUMMARY_METRICS)
                    for split, metrics in (("train", train), ("validation", self._validation))
                },
                "learning_rate": optimizer.param_groups[-1]["lr"],
                "seconds": self._earlier_seconds + time.perf_counter() - self._started,
            }
        )

    def _metrics(self, split: str) -> dict[str, float]:
        logits, labels = self._gathered(split)
        self._seen[split].clear()
        if not torch.isfinite(logits).all():
            raise RunError(
                f"training diverged in epoch {self.current_epoch + 1}: its outputs are no longer finite; "
                "choose a lower --learning-rate and another --out"
            )
        known = None if (unknown := labels.isnan().numpy()).sum() == 0 else ~unknown
        metrics = summary_metrics(labels.numpy() > 0.5, torch.sigmoid(logits).numpy(), known=known)
        return {"loss": float(self.loss(logits, labels)), **metrics}

    def _gathered(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits and labels of all processes, N×G each."""
        logits, labels = (self._here.gathered(column) for column in self._seen[split].both)
        return logits, labels

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what an uninterrupted run would still have in memory; every process calls it."""
        seen = self._gathered("train") if len(self._seen["train"]) else ()
        checkpoint["onesheet"] = {
            "history": self.history,
            "steps": self._steps,
            "seconds": self._earlier_seconds + time.perf_counter() - self._started,
            "loader": self._loader.state_dict(),
            "seen": [column.clone() for column in seen],  # without the room kept for more
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        kept = checkpoint["onesheet"]
        self.history, self._steps = list(kept["history"]), kept["steps"]
        self._earlier_seconds, self._started = kept["seconds"], time.perf_counter()
        self._loader.load_state_dict(kept["loader"])  # Lightning does so inside an epoch only
        rank, count = self._here.rank, self._here.count
        if kept["seen"]:
            self._seen["train"].add(*(column[rank::count] for column in kept["seen"]))

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule."""
        config = self.config
        rate = config.learning_rate or 0.0
        groups = parameter_groups(self.network, config.weight_decay or 0.0)
        if config.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, fused=True)
        else:
            kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
            optimizer = kind(groups, lr=rate, fused=True)
        schedule = LambdaLR(
            optimizer, lambda step: rate_factor(config.schedule, step / self.total_steps, config.warmup)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def parameter_groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """What the optimiser trains: weights, which decay, and biases and normalisation, which do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def rate_factor(schedule: str, progress: float, warmup: float) -> float:
    """The learning rate's share of its peak.

    Args:
        schedule: "cosine", or "constant-then-decay" (for a quarter, then e^(-0.1) each fortieth of the run, as in
            40-epoch Keras recipes).
        progress: share of the run that is over, in [0, 1].
        warmup: share of the run in which the rate rises in a line from 0.

    Example:
        >>> rate_factor("cosine", 0.5, 0.0)
        0.5
    """
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    after = min(1.0, (progress - warmup) / (1 - warmup))
    if schedule == "cosine":
        return round(0.5 * (1 + math.cos(math.pi * after)), 12)
    return 1.0 if after < 0.25 else math.exp(-4 * (after - 0.25))
