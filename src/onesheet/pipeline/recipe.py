"""Recipe: every choice of the whole way from a catalogue to a model file and its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from onesheet.errors import ConfigError
from onesheet.options import check_names, check_options, option, options_of, plain_values, read_config
from onesheet.training.config import TrainConfig

REMOVED = ("first_layer_rate", "label_smoothing", "mixup")  # options of older configurations
BUNDLED = "default"  # the `model` that means the bundled model
PRECISIONS = ("fp32", "w8", "int8")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice of the whole way: what `config.toml` contains, in one flat file with those of `training`.

    Raises:
        ConfigError: a value out of range, or choices that do not go together.

    Example:
        >>> recipe = Recipe(catalogue=("posters.csv",), training=TrainConfig(model="poster-cnn"))
        >>> recipe.to_dict()["model"], recipe.to_dict()["min_films"]
        ('poster-cnn', 20)
    """

    catalogue: tuple[str, ...] = option((), "tables or folders of posters and genres", group="catalogue", common=True)
    posters: tuple[str, ...] = option(
        (),
        "folder of the posters, repeatable",
        group="catalogue",
        unset="beside each table",
        common=True,
        separate=True,
    )
    poster_column: str | None = option(
        None, "column of the posters' paths", group="catalogue", unset="found", common=True
    )
    genre_column: str | None = option(
        None, "columns of the genres, as A,B,C", group="catalogue", unset="found", common=True
    )
    genre_delimiter: str | None = option(
        None, "what separates genres in a cell", group="catalogue", unset="found for each cell"
    )
    genres: str | None = option(
        None, "file of genre names, a line each, for a table of 0 and 1 without headings", group="catalogue"
    )
    id_column: str | None = option(None, "column of the films' ids", group="catalogue", unset="found")
    genre_map: str | None = option(
        None,
        "file of genre renamings (CSV, TSV, TOML or JSON): Science Fiction -> Sci-Fi",
        group="catalogue",
        common=True,
    )
    min_films: int = option(
        20, "leave out genres with fewer films", group="catalogue", bounds=(1, 1_000_000), common=True
    )
    keep: tuple[str, ...] = option(
        (), "audit flags whose films stay all the same, comma-separated", group="audit and split"
    )
    split: tuple[str, ...] = option(
        (), "split file to use instead of splitting, repeatable", group="audit and split", separate=True
    )
    resplit: bool = option(False, "split anew a catalogue that comes with a split of its own", group="audit and split")
    validation: float = option(
        0.15, "share of the films in the validation set", group="audit and split", bounds=(0.001, 0.98), common=True
    )
    test: float = option(
        0.15, "share of the films in the test set", group="audit and split", bounds=(0.001, 0.98), common=True
    )
    size: tuple[int, int] | None = option(
        None,
        "H×W of the packed posters",
        group="model",
        unset="by model",
        bounds=(16, 2048),
        common=True,
    )
    resize: str = option("stretch", "how a poster is brought to that size", group="model", choices=("stretch", "pad"))
    precision: str = option("fp32", "arithmetic of the model file", group="output", choices=PRECISIONS, common=True)
    precision_target: float = option(
        0.7, "micro precision of the operating point precise", group="output", bounds=(0.01, 0.99)
    )
    recall_target: float = option(
        0.8, "recall of each genre at the operating point generous", group="output", bounds=(0.01, 0.99)
    )
    draws: int = option(1000, "bootstrap samples behind every interval", group="output", bounds=(10, 100_000))
    training: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_options(self)
        if self.validation + self.test >= 1:
            raise ConfigError(
                f"--validation and --test must leave films to train on; got {self.validation:g} and {self.test:g}"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Recipe:
        """A recipe from values by name, those of `training` among them.

        Raises:
            ConfigError: an unknown name, a value out of range, or choices that do not go together.
        """
        check_names(values, OPTIONS)
        theirs = {name: values[name] for name in options_of(TrainConfig) if name in values}
        ours = {name: value for name, value in values.items() if name not in theirs}
        return cls(**ours, training=TrainConfig(**theirs))

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a `config.toml`.

        Raises:
            ConfigError: it cannot be read, or has an unknown key or a value out of range.
        """
        return cls.of(read_config(path, OPTIONS, removed=REMOVED))

    def resolved(self) -> Recipe:
        """With every None of the training that has a value suiting the model filled in."""
        return replace(self, training=self.training.resolved())

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, flat, None left out."""
        own = plain_values(self, (item.name for item in fields(self) if item.name != "training"))
        return self.training.to_dict() | own


OPTIONS = options_of(TrainConfig, Recipe)  # every option of `config.toml`, by name


def starts_from_file(model: str) -> bool:
    """Whether a `model` option names a model file, and so needs no PyTorch.

    Raises:
        ConfigError: it is the path of something else.
    """
    path = Path(model)
    if (path / "genres.onnx").is_file():
        raise ConfigError(f"{model!r} is a folder; name the model file in it: --model {path / 'genres.onnx'}")
    starts = model == BUNDLED or path.suffix.lower() == ".onnx"
    if path.is_file() and not starts:
        raise ConfigError(f"{model!r} is not a model file, whose name ends in .onnx; name one, or leave out --model")
    return starts
