"""Every row of benchmarks/ablation.py is a choice that `fit` takes, of the recipe as it is now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from onesheet.__main__ import build_parser
from onesheet.cli.arguments import recipe_from

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "ablation.py"
specification = importlib.util.spec_from_file_location("ablation", SCRIPT)
assert specification and specification.loader
ablation = importlib.util.module_from_spec(specification)
specification.loader.exec_module(ablation)


@pytest.mark.parametrize("name", ablation.ROWS)
def test_a_row_is_a_training_that_fit_would_begin(name: str) -> None:
    options = map(str, ablation.fit_options(ablation.ROWS[name][1], Path("out")))
    words = ["fit", "packed", "--model", "hf:backbone", *options, "--out", "out"]
    config = recipe_from(build_parser().parse_args(words)).training.resolved()
    assert config.tune == ("head" if name == "head" else "full")
