"""The public names, and what importing them costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import onesheet
import onesheet.adopting
import onesheet.batch
import onesheet.data
import onesheet.evaluation
import onesheet.fetch
import onesheet.library
import onesheet.models
import onesheet.predict
import onesheet.review
import onesheet.serving
import onesheet.training
from onesheet.errors import CatalogueError, MissingExtra, require
from onesheet.genres import GenreSet

PUBLIC = {
    onesheet: {"Failure", "Prediction", "Predictor", "__version__", "load"},
    onesheet.batch: {"BatchDone", "run_batch"},
    onesheet.adopting: {"Conventions", "adopt", "read_genres"},
    onesheet.training: {
        "Run",
        "TrainConfig",
        "evaluate_file",
        "export",
        "export_hf",
        "fit",
        "grad_cam",
        "open_run",
        "read_config",
        "train",
    },
    onesheet.fetch: {"Fetched", "fetch"},
    onesheet.predict: {
        "DEFAULT_MODEL",
        "Failure",
        "HeatMap",
        "Neighbour",
        "PosterIndex",
        "Prediction",
        "Predictor",
        "find_posters",
        "heat_maps",
        "index_posters",
        "load",
        "score_part",
    },
    onesheet.review: {
        "Case",
        "Decision",
        "DecisionStore",
        "Review",
        "Source",
        "Standing",
        "about_export",
        "corrected",
        "decisions_path",
        "export",
        "open_review",
        "read_source",
        "review_queue",
    },
    onesheet.library: {
        "Change",
        "Left",
        "Library",
        "LibraryFilm",
        "Remark",
        "Suggestion",
        "Undone",
        "apply_changes",
        "kometa_metadata",
        "plan_changes",
        "scan_library",
        "suggest_genres",
        "undo_write",
        "unreadable_posters",
    },
    onesheet.serving: {"Limits", "create_app", "serve"},
    onesheet.models: {"Ensemble", "Output", "PosterNetwork", "TenCrop", "build_network", "default_size"},
}


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_public_names(module: object) -> None:
    assert set(module.__all__) == PUBLIC[module]  # type: ignore[attr-defined, index]
    assert set(module.__all__) <= set(dir(module))  # type: ignore[attr-defined]  # for completion
    for name in module.__all__:  # type: ignore[attr-defined]
        value = getattr(module, name)
        assert callable(value) or isinstance(value, str | Path)
    with pytest.raises(AttributeError):
        module.nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "package", [onesheet.adopting, onesheet.data, onesheet.evaluation, onesheet.predict, onesheet.training], ids=str
)
def test_no_module_is_named_as_a_name_that_comes_with_first_use(package: ModuleType) -> None:
    """Once imported it would stand in that name's place."""
    assert not set(package.__all__) & {path.stem for path in Path(str(package.__file__)).parent.glob("*.py")}


def test_type_checkers_may_read_the_annotations() -> None:
    assert (Path(onesheet.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    "module",
    [
        "onesheet",
        "onesheet.batch",
        "onesheet.adopting",
        "onesheet.cli",
        "onesheet.data",
        "onesheet.doctor",
        "onesheet.evaluation",
        "onesheet.library",
        "onesheet.fetch",
        "onesheet.predict",
        "onesheet.review",
        "onesheet.serving",
        "onesheet.training",
    ],
)
def test_importing_brings_no_training_packages(module: str) -> None:
    """Nor does any public name, but for those that train."""
    used = "" if module in ("onesheet.adopting", "onesheet.training") else f"from {module} import *"
    code = (
        f"import sys, {module}\n"
        f"{used}\n"
        "heavy = {'torch', 'lightning', 'transformers', 'onnx', 'pyarrow', 'matplotlib', 'jinja2', 'scipy',"
        " 'usearch', 'fsspec', 'ray', 'httpx2', 'h5py', 'datasets', 'keras'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["onesheet.training", "onesheet.models"])
def test_threads_of_training_spin_for_moments_only(module: str) -> None:
    """The library that reads it does so once, as torch loads."""
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': print(*map(os.environ.get, ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'))); sys.exit()\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"import {module}, torch\n"
    )
    for set_before, wanted in ((None, ["passive", "2000"]), ("active", ["active", "None"])):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
        environment |= {"OMP_WAIT_POLICY": set_before} if set_before else {}
        said = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        ).stdout
        assert said.split() == wanted


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"reading minds needs telepathy; .*: pip install '\.\[train\]'"):
        require("telepathy", purpose="reading minds", extra="train")


def test_genre_sets() -> None:
    genres = GenreSet(["Comedy", "Drama"])
    assert genres.decode(genres.encode([[], ["Drama", "Comedy"]])) == [(), ("Comedy", "Drama")]
    with pytest.raises(CatalogueError, match="unknown genre 'Noir'; use one of Comedy, Drama"):
        genres.encode([["Noir"]])
    with pytest.raises(CatalogueError, match="must differ"):
        GenreSet(["Drama", "Drama"])
