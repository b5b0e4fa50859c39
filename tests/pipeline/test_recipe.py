from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from onesheet.cli.arguments import add_options
from onesheet.errors import ConfigError
from onesheet.images import RESIZES
from onesheet.options import GROUPS, Option, to_toml
from onesheet.pipeline import Recipe
from onesheet.pipeline.recipe import OPTIONS
from onesheet.training import TrainConfig

RANGED = [one for one in OPTIONS.values() if one.kind == "float"]


@pytest.mark.parametrize("declared", RANGED, ids=lambda one: one.name)
def test_help_says_the_range_that_is_taken(declared: Option) -> None:
    parser = argparse.ArgumentParser(formatter_class=lambda prog: argparse.HelpFormatter(prog, width=1000))
    add_options(parser, declared.name)
    assert declared.bounds
    low, high = declared.bounds
    assert f"({low:g} to {high:g}; default: " in parser.format_help()
    others = {"validation": 0.01, "test": 0.01, "model": "poster-cnn"}
    for edge, beyond in ((low, low - 1e-6), (high, high + 1e-6)):
        Recipe.of(others | {declared.name: edge})
        with pytest.raises(ConfigError, match=f"between {low:g} and {high:g}"):
            Recipe.of(others | {declared.name: beyond})


def test_every_option_has_a_group_and_a_default_to_show() -> None:
    assert {one.group for one in OPTIONS.values()} == set(GROUPS)
    shown = {name for name, one in OPTIONS.items() if not one.shown_default}
    assert shown == {
        "catalogue",
        "genre_map",
        "genres",
        "keep",
        "split",
        "teacher",
    }  # without these nothing takes their place


def test_a_recipe_is_the_same_from_its_file(tmp_path: Path) -> None:
    recipe = Recipe(
        catalogue=("a.csv", "b"),
        size=(96, 64),
        training=TrainConfig(model="poster-cnn", widths=(4, 8), teacher=("old.onnx",)),
    ).resolved()
    (tmp_path / "config.toml").write_text(to_toml(recipe.to_dict()), encoding="utf-8")
    assert Recipe.read(tmp_path / "config.toml") == recipe


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mirror = true", "unknown key 'mirror' in .*; its name is 'tta' now"),
        ("mixup = 0.2", "key 'mixup' in .* is no option any more; leave it out"),
    ],
)
def test_keys_of_older_configurations_name_the_cure(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(line)
    with pytest.raises(ConfigError, match=message):
        Recipe.read(tmp_path / "config.toml")


def test_training_and_validation_must_leave_films() -> None:
    with pytest.raises(ConfigError, match="must leave films to train on"):
        Recipe(validation=0.5, test=0.5)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_the_recipes_are_recipes(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.min_films == 60 and recipe.resolved().training.epochs


def test_choices_that_other_modules_repeat_are_theirs() -> None:
    assert OPTIONS["resize"].choices == RESIZES  # images needs Pillow, which no --help loads
