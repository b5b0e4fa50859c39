from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from onesheet.data import Catalogue, write_catalogue
from onesheet.errors import ConfigError, OnesheetError
from onesheet.packed import Packed
from onesheet.pipeline import Recipe, train
from onesheet.training import TrainConfig, fit

PACKAGES = {"data", "audit", "packed", "models", "training", "exporting", "predict", "evaluation", "reporting"}
CHECKS = ["training"]  # `check_fit`, before anything is written
STEPS = ["data", "audit", "reporting", "packed", "training", "exporting", "predict", "evaluation", "reporting"]


def package_of(frame: FrameType | None) -> str:
    """Its package within onesheet."""
    words = (frame.f_globals.get("__name__", "") if frame else "").split(".")
    return words[1] if words[0] == "onesheet" and len(words) > 1 else ""


def entered(work: Callable[[], Any]) -> list[str]:
    """The packages whose functions the pipeline calls, in order; repeated ones once."""
    calls: list[str] = []

    def trace(frame: FrameType, _event: str, _: object) -> None:
        name = frame.f_code.co_qualname
        if "." not in name and name[0] not in "<_" and package_of(frame.f_back) == "pipeline":
            calls.append(package_of(frame))

    sys.settrace(trace)  # of calls alone: a profile would also trace returns and C functions
    try:
        work()
    finally:
        sys.settrace(None)
    return [package for package, _ in groupby(one for one in calls if one in PACKAGES)]


def test_train_enters_each_package_once_in_the_order_of_the_data(
    catalogue: Catalogue, tiny: TrainConfig, tmp_path: Path
) -> None:
    table = tmp_path / "films.csv"
    write_catalogue(catalogue, table)
    recipe = Recipe(catalogue=(str(table),), size=(48, 32), min_films=5, draws=10, training=replace(tiny, epochs=1))
    assert entered(lambda: train(recipe, tmp_path / "run")) == CHECKS + STEPS


WRONG = {
    "a teacher that is not there": ({"teacher": ("no.onnx",)}, "no model file 'no.onnx'"),
    "an unknown model": ({"model": "lenet", "widths": None}, "unknown model 'lenet'"),
    "widths that make no network": ({"widths": (8,) * 12}, "needs posters of at least 4096×4096"),
}


@pytest.mark.parametrize(("choices", "message"), WRONG.values(), ids=WRONG)
def test_fit_and_train_reject_the_same_before_anything_is_written(
    choices: dict[str, Any], message: str, tiny: TrainConfig, packed: Packed, tmp_path: Path
) -> None:
    config, out = replace(tiny, **choices), tmp_path / "run"
    recipe = Recipe(catalogue=("missing.csv",), size=(48, 32), training=config)
    for work in (lambda: train(recipe, out), lambda: fit(config, packed, folder=out)):
        with pytest.raises(OnesheetError, match=message):
            work()
        assert not out.exists() or not list(out.iterdir())


def test_a_recipe_without_a_catalogue_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no catalogue given; pass a table or a folder of posters"):
        train(Recipe(training=TrainConfig(model="poster-cnn")), tmp_path / "run")


@pytest.mark.parametrize("module", ["recipe", "preparation", "file_evaluation", "source_evaluation"])
def test_all_but_fitting_a_network_loads_without_pytorch(module: str) -> None:
    code = f"import sys, onesheet.pipeline.{module}\nassert not {{'torch', 'lightning'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
