"""Fine-tuning through `fit` against the same network and step on float tensors already in memory.

python benchmarks/tuning.py DATA BACKBONE OUT [--steps N] [--no-augment]

The bare step is fit's: forward, loss, backward, clipped gradients, AdamW, averaged weights, in the same arithmetic.
What fit adds: reading the store, floats, augmentation, Lightning's loop, training metrics, progress. Only training
steps are timed, no validation, no start.
"""

import shutil
import time
from pathlib import Path

from onesheet.speed.thread_policy import let_waiting_threads_sleep

let_waiting_threads_sleep()  # before torch loads, as the command does

import torch
from material import SIZE, read, to_tune
from ratio import arguments, at_least, in_turn, load_now, quotients, report, row, spread
from torch.optim.swa_utils import get_ema_multi_avg_fn

from onesheet.models import build_network
from onesheet.packed import Packed, pack
from onesheet.training import TrainConfig, fit
from onesheet.training.device import arithmetic, autocast, device, prepare
from onesheet.training.loader import BatchLoader
from onesheet.training.module import TrainingModule

SKIPPED = 3  # first steps: memory is claimed, kernels are chosen
VALIDATION = 64


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("backbone", help="folder of a pretrained backbone")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=40, help="steps a round")
    parser.add_argument("--no-augment", action="store_true")
    given = parser.parse_args()
    if given.steps <= SKIPPED:
        parser.error(f"--steps must be more than {SKIPPED}, which are not counted; got {given.steps}")
    load = load_now()
    config = tuned(f"hf:{given.backbone}", augment=not given.no_augment)
    batch = config.batch_size or 1
    parts = to_tune(read(given.data), train=batch * given.steps, validation=VALIDATION)
    packed = pack(parts, given.out / f"packed-{given.steps}-steps", size=SIZE)
    prepare(None)
    step = BareStep(config, packed)
    mine, bare = in_turn(
        lambda: pipeline_rate(config, packed, given.out / "run-by-tuning"),
        lambda: step.rate(given.steps),
        repeats=given.repeats,
    )
    ratio = quotients(mine, bare)
    line = row(
        f"fine-tuning, {arithmetic('auto')}, {'with' if config.augment else 'without'} augmentation",
        spread(mine, "posters/s"),
        f"the same step on tensors in memory: {spread(bare, 'posters/s')}",
        ratio,
        "≥ 0.95",
        at_least(ratio, 0.95),
    )
    report([line], repeats=given.repeats, packages=("torch", "lightning", "transformers"), load=load)


def tuned(model: str, *, augment: bool = True, batch_size: int | None = None) -> TrainConfig:
    """One epoch of everything, as `fit` chooses by itself."""
    config = TrainConfig(model=model, epochs=1, head_epochs=0, augment=augment, batch_size=batch_size)
    return config.resolved()


def wait() -> None:
    """For the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def pipeline_rate(config: TrainConfig, packed: Packed, folder: Path) -> float:
    """Posters/s of fit's training steps; the run is deleted again."""
    times: list[float] = []

    def clock(task: str, done: int, total: int, note: str = "") -> None:
        if task == "fit full":
            if done in (SKIPPED, total):
                wait()
            times.append(time.perf_counter())

    shutil.rmtree(folder, ignore_errors=True)
    try:
        fit(config, packed, folder=folder, progress=clock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return (len(times) - SKIPPED) * (config.batch_size or 1) / (times[-1] - times[SKIPPED - 1])


class BareStep:
    """A network and its training step, one batch of random floats in memory."""

    def __init__(self, config: TrainConfig, packed: Packed, *, compiled: bool = False) -> None:
        where, genres = device(), len(packed.genres)
        self.config, self.batch = config, config.batch_size or 1
        network = build_network(config.model, genres=genres, size=packed.size)
        self.network = network.to(where, memory_format=torch.channels_last).train()
        targets = packed.labels.astype("float32")
        loader = BatchLoader(packed.posters, packed.labels, targets, packed.rows("train"), batch_size=self.batch)
        module = TrainingModule(self.network, config, torch.full((genres,), 0.1), loaders=(loader, loader)).to(where)
        self.loss = module.loss
        self.optimizer = module.configure_optimizers()[0][0]
        self.average = get_ema_multi_avg_fn(config.ema or 0.0)
        self.parameters = list(self.network.parameters())
        self.current = [values for values in self.network.state_dict().values() if values.is_floating_point()]
        self.averaged = [values.clone() for values in self.current]
        inputs = torch.rand(self.batch, 3, *packed.size, device=where)
        self.inputs = inputs.contiguous(memory_format=torch.channels_last)
        self.targets = torch.randint(0, 2, (self.batch, genres), device=where).float()
        self.forward = torch.compile(self.network) if compiled else self.network

    def __call__(self) -> None:
        """One step."""
        with autocast(self.config.arithmetic):
            loss = self.loss(self.forward(self.inputs).logits.float(), self.targets)
        self.optimizer.zero_grad(set_to_none=self.inputs.device.type != "cpu")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average(self.averaged, self.current, None)

    def rate(self, steps: int) -> float:
        """Posters/s of so many steps, the first ones not counted."""
        started = time.perf_counter()
        for number in range(steps):
            if number == SKIPPED:
                wait()
                started = time.perf_counter()
            self()
        wait()
        return (steps - SKIPPED) * self.batch / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
