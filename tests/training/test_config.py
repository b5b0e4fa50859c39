from __future__ import annotations

import math
import tomllib
from dataclasses import Field, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.errors import ConfigError
from onesheet.training.config import Recipe, TrainConfig, read_config, to_toml


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"epochs": 0}, "the --epochs option must be between 1 and 10000; got 0"),
        ({"learning_rate": math.nan}, "--learning-rate option must be between"),
        ({"dropout": 1.0}, "--dropout option must be between 0 and 0.95"),
        ({"loss": "hinge"}, "must be one of bce, asymmetric, focal, distribution-balanced; got 'hinge'"),
        ({"optimizer": "lion"}, "must be one of adamw, adam, sgd"),
        ({"model": "alexnet", "tune": "head"}, "needs a pretrained backbone"),
        ({"model": "alexnet", "start_scale": 0.5}, "leave them out with --tune head, --model alexnet"),
        ({"model": "alexnet", "crop_scale": 0.5}, "leave them out with --tune head, --model alexnet"),
        ({"epochs": "3"}, "the --epochs option must be a whole number; got '3'"),
        ({"epochs": 2.5}, "must be a whole number; got 2.5"),
        ({"widths": 5}, "--widths option must be a list of whole numbers; got 5"),
        ({"augment": 1}, "must be true or false; got 1"),
        ({"start_scale": 0.5, "augment": False}, "--crop-scale and --start-scale need random crops"),
    ],
)
def test_wrong_values_are_refused_with_the_cure(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "item", [item for item in fields(Recipe) if " in [" in item.metadata["help"]], ids=lambda item: item.name
)
def test_help_says_the_range_that_is_taken(item: Field[object]) -> None:
    low, high = item.metadata["help"].partition(" in [")[2].partition("]")[0].split(", ")
    for edge, beyond in ((float(low), float(low) - 1e-6), (float(high), float(high) + 1e-6)):
        TrainConfig(model="poster-cnn", **{item.name: edge})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=f"between {low} and {high}"):
            TrainConfig(model="poster-cnn", **{item.name: beyond})  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["alexnet", "poster-cnn", "hf:some/backbone"])
@pytest.mark.parametrize("tune", ["full", "head"])
def test_resolved_leaves_nothing_open_that_training_reads(model: str, tune: str) -> None:
    if tune == "head" and not model.startswith("hf:"):
        return
    resolved = TrainConfig(model=model, tune=tune).resolved()
    for name in ("epochs", "learning_rate", "dropout", "optimizer", "ema"):
        assert getattr(resolved, name) is not None
    assert (resolved.weight_decay is None) == (tune == "head")  # a head's depends on how many films there are
    assert resolved.resolved() == resolved


def test_given_values_survive_resolving() -> None:
    assert TrainConfig(model="alexnet", epochs=3, ema=0.5).resolved().epochs == 3


def test_an_unknown_key_names_the_nearest_right_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("learning_rat = 0.1\n")
    known = [item.name for item in fields(Recipe)]
    with pytest.raises(ConfigError, match=r"unknown key 'learning_rat' in .*; did you mean 'learning_rate'\?"):
        read_config(path, known)
    path.write_text("xyzzy = 1\n")
    with pytest.raises(ConfigError, match="use one of model, "):
        read_config(path, known)


@pytest.mark.parametrize("content", [b"a = \n", b"\xff\xfe"], ids=["broken", "not text"])
def test_what_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(path, ["a"])
    with pytest.raises(ConfigError, match="cannot read configuration"):
        read_config(tmp_path / "missing.toml", ["a"])


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
        st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF))
        | st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(st.integers(0, 100)),
    )
)
def test_toml_reads_back_as_written(values: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(values)) == values


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_the_recipes_are_recipes(path: Path) -> None:
    recipe = Recipe(**read_config(path, [item.name for item in fields(Recipe)]))
    assert recipe.min_films == 60 and recipe.resolved().epochs
