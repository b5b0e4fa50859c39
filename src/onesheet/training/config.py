"""TrainConfig: every choice of a training run, checked when it is made; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError, RunError
from onesheet.options import check_options, option, plain_values

BY_MODEL = "by model"  # see `TrainConfig.resolved`


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every choice of a training run.

    A value of None means "what suits the model": `resolved()` fills it in.

    Raises:
        ConfigError: a value out of range, or choices that do not go together.

    Example:
        >>> TrainConfig(model="poster-cnn").resolved().epochs
        40
    """

    # The network.
    model: str = option(
        "hf:google/mobilenet_v2_1.0_224", "alexnet, poster-cnn or hf:<hub name or folder>", group="model", common=True
    )
    tune: str = option(
        "full",
        "train the whole network, or its head on a frozen backbone",
        group="model",
        choices=("full", "head"),
        common=True,
    )
    widths: tuple[int, ...] | None = option(
        None,
        "poster-cnn: channels of each block, comma-separated",
        group="model",
        unset="32,64,128,256",
        bounds=(1, 4096),
    )
    levels: bool = option(True, "hf: the head reads all levels of the backbone, not the last one alone", group="model")
    dropout: float | None = option(
        None, "dropout before the last layer", group="model", unset=BY_MODEL, bounds=(0, 0.95)
    )
    tta: bool = option(
        True,
        "test-time augmentation: the mean of a poster and its somewhat smaller mirror image (alexnet: ten crops)",
        group="model",
        formerly=("mirror",),
    )

    # How it learns.
    epochs: int | None = option(
        None,
        "passes over the training set",
        group="optimisation",
        unset=BY_MODEL,
        bounds=(1, 10_000),
        common=True,
    )
    head_epochs: int = option(
        30,
        "tune=full on a pretrained backbone: epochs of the head alone, first",
        group="optimisation",
        bounds=(0, 10_000),
    )
    batch_size: int | None = option(
        None, "posters per step", group="optimisation", unset=BY_MODEL, bounds=(1, 65_536), common=True
    )
    optimizer: str | None = option(
        None, "optimiser", group="optimisation", unset=BY_MODEL, choices=("adamw", "adam", "sgd")
    )
    learning_rate: float | None = option(
        None, "peak learning rate", group="optimisation", unset=BY_MODEL, bounds=(1e-8, 10), common=True
    )
    weight_decay: float | None = option(
        None,
        "weight decay",
        group="optimisation",
        unset="by model, for tune=head by the number of films too",
        bounds=(0, 10),
    )
    schedule: str = option(
        "cosine",
        "learning rate over time",
        group="optimisation",
        choices=("cosine", "constant-then-decay"),
    )
    warmup: float = option(
        0.05, "share of the steps in which the learning rate rises", group="optimisation", bounds=(0, 0.9)
    )
    loss: str = option(
        "bce",
        "loss function",
        group="optimisation",
        choices=("bce", "asymmetric", "focal", "distribution-balanced"),
        common=True,
    )
    positive_weights: bool = option(False, "weigh a genre's positives by how rare it is", group="optimisation")
    teacher: tuple[str, ...] = option(
        (),
        "model files whose predictions the network learns as well as the labels, comma-separated (distillation)",
        group="optimisation",
    )
    ema: float | None = option(
        None,
        "decay of the averaged weights; 0 = none",
        group="optimisation",
        unset=BY_MODEL,
        bounds=(0, 0.999999),
    )
    select: str = option(
        "map",
        "what chooses the best epoch, on the validation set: mean average precision or loss",
        group="optimisation",
        choices=("map", "loss"),
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better one",
        group="optimisation",
        unset="never",
        bounds=(1, 10_000),
    )
    arithmetic: str = option(
        "auto",
        "arithmetic of training; auto: bf16 where the machine has it",
        group="optimisation",
        choices=("auto", "fp32", "bf16"),
    )
    seed: int = option(0, "seed of everything random", group="optimisation", bounds=(0, 2**31 - 1), common=True)
    threads: int | None = option(
        None, "processor threads", group="optimisation", unset="all cores", bounds=(1, 1024), common=True
    )
    devices: int | None = option(
        None,
        "processes (GPUs, where there are some) on each machine",
        group="optimisation",
        unset="as started, or 1",
        bounds=(1, 1024),
    )
    nodes: int | None = option(
        None,
        "machines, on each of which torchrun or Slurm has started this command",
        group="optimisation",
        unset="as started, or 1",
        bounds=(1, 65_536),
    )

    # What it sees.
    augment: bool = option(
        True,
        "random crop, flip, colour and blur (tune=head trains on whole posters)",
        group="augmentation",
        common=True,
    )
    crop_area: float = option(
        0.6, "smallest share of the poster that a training crop shows", group="augmentation", bounds=(0.08, 1)
    )
    crop_scale: float = option(
        1.0,
        "side of the training crops, as a share of the poster's; below 1, train on crops smaller than the inference "
        "size (FixRes)",
        group="augmentation",
        bounds=(0.5, 1),
    )
    start_scale: float = option(
        1.0,
        "side of the training crops in the first epoch, as a share of the last's; it grows linearly",
        group="augmentation",
        bounds=(0.25, 1),
    )
    cutmix: float = option(0.0, "share of the batches mixed by CutMix", group="augmentation", bounds=(0, 1))

    def __post_init__(self) -> None:
        check_options(self)
        if self.tune == "head" and not self.model.startswith("hf:"):
            raise ConfigError(
                f"tune='head' needs a pretrained backbone (hf:…); got model {self.model!r}; use tune='full'"
            )
        if self.tune == "head" and self.cutmix:
            raise ConfigError("tune='head' trains on features, which cannot be mixed; leave out --cutmix")
        if self.smaller_crops and (self.tune == "head" or self.model == "alexnet" or not self.augment):
            raise ConfigError(
                "--crop-scale and --start-scale need random crops and a network for any size; leave them out with "
                "--tune head, --model alexnet and --no-augment"
            )
        if self.widths is not None and self.model != "poster-cnn":
            raise ConfigError(f"--widths belongs to poster-cnn; got model {self.model!r}: leave it out")

    @property
    def smaller_crops(self) -> bool:
        """Whether some training crops have fewer pixels than the posters of inference."""
        return self.crop_scale != 1 or self.start_scale != 1

    def resolved(self) -> TrainConfig:
        """With every None that has a value suiting the model filled in."""
        suits: dict[str, Any]
        if self.tune == "head":
            suits = {
                "epochs": 60,
                "learning_rate": 0.2,
                "dropout": 0.5,
                "optimizer": "sgd",
                "batch_size": 256,
                "ema": 0.0,
            }
        elif self.model.startswith("hf:"):
            suits = {"epochs": 8, "learning_rate": 5e-4, "weight_decay": 0.05, "dropout": 0.2}
        elif self.model == "alexnet":
            suits = {"epochs": 40, "learning_rate": 1e-4, "weight_decay": 5e-4, "dropout": 0.5}
        else:
            suits = {"epochs": 40, "learning_rate": 2e-3, "weight_decay": 0.01, "dropout": 0.2}
        suits = {"optimizer": "adamw", "ema": 0.998, "batch_size": 32, **suits}
        return replace(self, **{name: value for name, value in suits.items() if getattr(self, name) is None})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, None left out."""
        return plain_values(self, (item.name for item in fields(self)))


def check_same_choices(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """A run resumes with the choices it was started with; the numbers of threads and processes may change.

    Args:
        old: the run's choices.
        new: those it is to resume with.
        folder: the run's.

    Raises:
        RunError: another choice differs.
    """
    for key in sorted((old.keys() | new.keys()) - {"threads", "devices", "nodes"}):
        if old.get(key) != new.get(key):
            raise RunError(
                f"the run in {str(folder)!r} was started with {key} = {old.get(key)!r}, not {new.get(key)!r}; "
                "resume it with that or choose another --out"
            )
