"""TrainConfig: every choice of a training run, checked when it is made; free of torch."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from onesheet.errors import ConfigError, RunError

LOSSES = ("bce", "asymmetric", "focal", "distribution-balanced")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "step", "plateau", "constant-then-decay", "constant")
TUNES = ("full", "head")
SELECTS = ("map", "loss")
ARITHMETICS = ("auto", "fp32", "bf16")
PRECISIONS = ("fp32", "w8", "int8")
RESIZES = ("stretch", "pad")


def option(default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    """A field with the sentence that --help shows."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every choice of a training run.

    A value of None means "what suits the model": `resolved()` fills it in.

    Raises:
        ConfigError: a value out of range.

    Example:
        >>> TrainConfig(model="poster-cnn").resolved().epochs
        40
    """

    model: str = option("hf:google/mobilenet_v2_1.0_224", "alexnet, poster-cnn or hf:<hub name or folder>")
    tune: str = option("full", "train the whole network, or its head on a frozen backbone", TUNES)
    widths: tuple[int, ...] | None = option(None, "poster-cnn: channels of each block, comma-separated")
    levels: bool = option(True, "hf: the head reads all levels of the backbone, not the last one alone")
    dropout: float | None = option(None, "dropout before the last layer, in [0, 0.95]")
    epochs: int | None = option(None, "passes over the training part")
    head_epochs: int = option(30, "tune=full on a pretrained backbone: epochs of the head alone, first")
    batch_size: int | None = option(None, "posters a step")
    optimizer: str | None = option(None, "optimiser", OPTIMIZERS)
    learning_rate: float | None = option(None, "peak learning rate")
    first_layer_rate: float = option(
        1.0, "the first layer's learning rate as a share of the last's; geometric between (1: all learn alike)"
    )
    weight_decay: float | None = option(
        None, "weight decay; default: what suits the model, for tune=head the films too"
    )
    schedule: str = option("cosine", "learning rate over time", SCHEDULES)
    warmup: float = option(0.05, "share of the steps in which the learning rate rises, in [0, 0.9]")
    loss: str = option("bce", "loss function", LOSSES)
    positive_weights: bool = option(False, "weigh a genre's positives by how rare it is")
    augment: bool = option(True, "random crop, flip, colour and blur (tune=head trains on whole posters)")
    crop_area: float = option(0.6, "smallest share of the poster that a training crop shows, in [0.08, 1]")
    crop_scale: float = option(
        1.0,
        "side of the training crops, as a share of the poster's, in [0.5, 1]: "
        "a network answers best to what is larger than they",
    )
    start_scale: float = option(
        1.0, "side of the training crops in the first epoch, as a share of the last's, in [0.25, 1]; it grows in a line"
    )
    mirror: bool = option(
        True, "answer from the mean of a poster and its somewhat smaller mirror image (alexnet: from ten crops)"
    )
    cutmix: float = option(0.0, "share of the batches mixed by CutMix, in [0, 1]")
    mixup: float = option(0.0, "share of the batches mixed by mixup, in [0, 1]")
    label_smoothing: float = option(
        0.0, "how far targets move from the labels to each genre's share of the training films, in [0, 0.99]"
    )
    teacher: tuple[str, ...] = option(
        (), "model files whose answers are learnt together with the labels, comma-separated"
    )
    ema: float | None = option(None, "decay of the averaged weights; 0 = none")
    select: str = option("map", "what chooses the best epoch, on validation: mean average precision or loss", SELECTS)
    patience: int | None = option(None, "stop after so many epochs without a better one")
    arithmetic: str = option("auto", "bf16 where the machine has it, or as said", ARITHMETICS)
    seed: int = option(0, "seed of everything random in training")
    threads: int | None = option(None, "processor threads; default: all cores")
    devices: int | None = option(
        None, "processes (GPUs, where there are some) on each machine; default: as started, or 1"
    )
    nodes: int | None = option(None, "machines, on each of which torchrun or Slurm has started this command")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not fits(item, value):
                raise ConfigError(f"the {flag(item.name)} option must be {in_words(item)}; got {value!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name, None)
            if value is not None and not (low <= value <= high and math.isfinite(value)):
                raise ConfigError(f"the {flag(name)} option must be between {low:g} and {high:g}; got {value}")
        for item in fields(self):
            choices, value = item.metadata["choices"], getattr(self, item.name)
            if choices and value is not None and value not in choices:
                raise ConfigError(f"the {flag(item.name)} option must be one of {', '.join(choices)}; got {value!r}")
            if isinstance(value, list):
                object.__setattr__(self, item.name, tuple(value))
        if self.tune == "head" and not self.model.startswith("hf:"):
            raise ConfigError(
                f"tune='head' needs a pretrained backbone (hf:…); got model {self.model!r}; use tune='full'"
            )

        if self.tune == "head" and (self.cutmix or self.mixup):
            raise ConfigError("tune='head' trains on features, which cannot be mixed; leave out --cutmix and --mixup")
        if self.smaller_crops and (self.tune == "head" or self.model == "alexnet" or not self.augment):
            raise ConfigError(
                "--crop-scale and --start-scale need random crops and a network for any size; leave them out with "
                "--tune head, --model alexnet and --no-augment"
            )
        if self.cutmix + self.mixup > 1:
            raise ConfigError(f"--cutmix and --mixup must not exceed 1 together; got {self.cutmix} and {self.mixup}")
        if self.widths is not None and self.model != "poster-cnn":
            raise ConfigError(f"--widths belongs to poster-cnn; got model {self.model!r}: leave it out")

    @property
    def smaller_crops(self) -> bool:
        """Whether some training crops have fewer pixels than the posters answered to."""
        return self.crop_scale != 1 or self.start_scale != 1

    def resolved(self) -> Self:
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
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainConfig):
    """Every choice of the whole way from a catalogue to a model file and its report: what `config.toml` holds."""

    catalogue: tuple[str, ...] = option((), "tables or folders of posters and genres")
    posters: tuple[str, ...] = option((), "folders where the posters lie; default: beside each table")
    poster_column: str | None = option(None, "column of the posters' paths")
    id_column: str | None = option(None, "column of the films' ids")
    genre_column: str | None = option(None, "column of the genres")
    genre_map: str | None = option(None, "file of genre renamings (CSV, TSV, TOML or JSON): Science Fiction -> Sci-Fi")
    min_films: int = option(20, "leave out genres with fewer films")
    keep: tuple[str, ...] = option((), "audit flags whose films stay in all the same, comma-separated")
    split: tuple[str, ...] = option((), "split files to use instead of splitting")
    validation: float = option(0.15, "share of the films to validate on")
    test: float = option(0.15, "share of the films to test on")
    size: tuple[int, int] | None = option(
        None, "H×W of the packed posters, such as 224x160; default: what suits the model"
    )
    resize: str = option("stretch", "how a poster is brought to that size", RESIZES)
    precision: str = option("fp32", "arithmetic of the model file", PRECISIONS)
    precision_target: float = option(0.7, "micro precision wanted at the operating point precise")
    recall_target: float = option(0.8, "recall of each genre wanted at the operating point generous")
    draws: int = option(1000, "bootstrap draws behind every interval")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation + self.test >= 1:
            raise ConfigError(
                f"--validation and --test must leave films to train on; got {self.validation:g} and {self.test:g}"
            )
        if self.size is not None and not all(16 <= side <= 2048 for side in self.size):
            raise ConfigError(f"each side of --size must be between 16 and 2048 pixels; got {self.size}")

    @property
    def training(self) -> TrainConfig:
        """The part that `fit` takes."""
        return TrainConfig(**{item.name: getattr(self, item.name) for item in fields(TrainConfig)})


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text in quotes"),
    "tuple[int, ...]": (int, "a list of whole numbers"),
    "tuple[int, int]": (int, "two whole numbers, [height, width]"),
    "tuple[str, ...]": (str, "a list of texts"),
}


def fits(item: Field[Any], value: Any) -> bool:
    """Whether a value is of a field's type; a list passes for a tuple, a whole number for a number."""
    kind = _kind(item)
    wanted = _KINDS[kind][0]
    if kind.startswith("tuple"):
        right = isinstance(value, list | tuple) and all(type(one) is wanted for one in value)
        return right and (kind != "tuple[int, int]" or len(value) == 2)
    return isinstance(value, wanted) and (kind == "bool" or not isinstance(value, bool))


def in_words(item: Field[Any]) -> str:
    """A field's type for a person."""
    return _KINDS[_kind(item)][1]


def _kind(item: Field[Any]) -> str:
    return str(item.type).removesuffix(" | None")


def flag(name: str) -> str:
    """A field's command-line option."""
    return "--" + name.replace("_", "-")


_RANGES: dict[str, tuple[float, float]] = {
    "min_films": (1, 1_000_000),
    "validation": (0.001, 0.98),
    "test": (0.001, 0.98),
    "precision_target": (0.01, 0.99),
    "recall_target": (0.01, 0.99),
    "draws": (10, 100_000),
    "dropout": (0, 0.95),
    "epochs": (1, 10_000),
    "head_epochs": (0, 10_000),
    "batch_size": (1, 65_536),
    "learning_rate": (1e-8, 10),
    "first_layer_rate": (1e-4, 1),
    "weight_decay": (0, 10),
    "warmup": (0, 0.9),
    "crop_scale": (0.5, 1),
    "start_scale": (0.25, 1),
    "crop_area": (0.08, 1),
    "cutmix": (0, 1),
    "mixup": (0, 1),
    "label_smoothing": (0, 0.99),
    "ema": (0, 0.999999),
    "patience": (1, 10_000),
    "threads": (1, 1024),
    "devices": (1, 1024),
    "nodes": (1, 65_536),
    "seed": (0, 2**31 - 1),
}


def read_config(path: str | Path, known: Iterable[str]) -> dict[str, Any]:
    """Read a flat TOML file of options.

    Args:
        path: the file.
        known: the keys that may stand in it.

    Raises:
        ConfigError: not there, not TOML, or with an unknown key.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"configuration {str(path)!r} is not TOML: {error}") from error
    known = list(known)
    for key in values:
        if key not in known:
            raise _unknown_key(key, known, where=f"configuration {str(path)!r}")
    return values


def _unknown_key(key: str, known: list[str], *, where: str) -> ConfigError:
    """The error for a key nobody knows, with the nearest right name."""
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1, cutoff=0.5)
    cure = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
    return ConfigError(f"unknown key {key!r} in {where}; {cure}")


def refuse_other_choices(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """A run goes on with the choices it was started with; the numbers of threads and processes may change.

    Raises:
        RunError: another choice differs.
    """
    for key in sorted((old.keys() | new.keys()) - {"threads", "devices", "nodes"}):
        if old.get(key) != new.get(key):
            raise RunError(
                f"the run in {str(folder)!r} was started with {key} = {old.get(key)!r}, not {new.get(key)!r}; "
                "resume it with that or choose another --out"
            )


def to_toml(values: Mapping[str, Any]) -> str:
    """Flat TOML text of strings, numbers, booleans and lists; None left out."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items() if value is not None)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(f"{text!r} has bytes that are no UTF-8 and cannot stand in a configuration; rename it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
