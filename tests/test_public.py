"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import onesheet
from onesheet.errors import CatalogueError, MissingExtra, require
from onesheet.genres import GenreSet

SOURCE = Path(onesheet.__file__).parent
STUBS = sorted(path.parent for path in SOURCE.rglob("__init__.pyi"))
TRAINING = {"exporting", "models", "pipeline", "speed", "training"}  # using these may load torch


def module_of(path: Path) -> str:
    return ".".join(("onesheet", *path.relative_to(SOURCE).parts))


@pytest.mark.parametrize("package", STUBS, ids=module_of)
def test_public_names_load_with_first_use(package: Path) -> None:
    if package.name in ("exporting", "models", "pipeline", "speed", "training"):
        pytest.importorskip("torch", reason="PyTorch is not installed; pip install 'onesheet-genres[train]'")
    module = import_module(module_of(package))
    assert set(module.__all__) <= set(dir(module))  # for completion
    for name in module.__all__:
        value = getattr(module, name)
        assert callable(value) or isinstance(value, str | Path | tuple) or name == "OperatingPoint"
    with pytest.raises(AttributeError):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("package", STUBS, ids=module_of)
def test_no_module_is_named_as_a_public_name(package: Path) -> None:
    """Once imported it would hide that name."""
    assert not set(import_module(module_of(package)).__all__) & {path.stem for path in package.glob("*")}


def test_type_checkers_may_read_the_annotations() -> None:
    assert (Path(onesheet.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    "package", ["", *sorted({path.relative_to(SOURCE).parts[0] for path in STUBS if path != SOURCE} | {"apps", "cli"})]
)
def test_importing_loads_no_training_packages(package: str) -> None:
    """Nor does the use of any public name, but for those that train."""
    module = f"onesheet.{package}".rstrip(".")
    code = (
        f"import sys, {module}\n"
        f"{'' if package in TRAINING else f'from {module} import *'}\n"
        "heavy = {'torch', 'lightning', 'transformers', 'onnx', 'pyarrow', 'matplotlib', 'jinja2', 'scipy',"
        " 'usearch', 'fsspec', 'ray', 'httpx2', 'h5py', 'datasets', 'keras'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(
        MissingExtra, match=r"reading minds needs telepathy; run: pip install 'onesheet-genres\[train\]'"
    ):
        require("telepathy", purpose="reading minds", extra="train")


def test_genre_sets() -> None:
    genres = GenreSet(["Comedy", "Drama"])
    assert genres.decode(genres.encode([[], ["Drama", "Comedy"]])) == [(), ("Comedy", "Drama")]
    with pytest.raises(CatalogueError, match="unknown genre 'Noir'; use one of Comedy, Drama"):
        genres.encode([["Noir"]])
    with pytest.raises(CatalogueError, match="must differ"):
        GenreSet(["Drama", "Drama"])
