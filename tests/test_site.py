"""The documentation site builds without a warning, needs no other place, and names every command and public name."""

from __future__ import annotations

import argparse
import html
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from axe_core import axe, serious
from onesheet.__main__ import build_parser
from onesheet.pipeline.recipe import OPTIONS
from pages import ROOT

PACKAGES = [path.parent.name for path in sorted(ROOT.glob("src/onesheet/*/__init__.py"))]
INSIDE = {"apps", "cli", "models", "speed"}
"""Packages without public names: the commands, the networks behind `TrainConfig`, the apps' parent, speed."""
MODULES = [path.stem for path in sorted(ROOT.glob("src/onesheet/[a-z]*.py"))]
INNER = {
    *("calibrated_graph", "files", "formats", "markup", "model_writer", "onnx_file", "options", "progress"),
    *("spreadsheets", "threads", "zipped"),
}
"""Modules that serve the others."""
__all__ = ["axe"]  # a fixture


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs"]
    built = subprocess.run(
        [*command, "--doctree-dir", out / "doctrees", ".", out / "site"], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return out / "site"


def words(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_nothing_comes_from_another_place(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30 and site / "index.html" in pages
    for page in pages:
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]*)", page.read_text(encoding="utf-8"))
        loaded += re.findall(r"<link\b[^>]*\bhref=\"([^\"]*)", page.read_text(encoding="utf-8"))
        assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|@font-face|url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from options(one)
    yield parser.prog, [option for action in parser._actions for option in action.option_strings if action.help]


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    sections = dict(
        re.findall(
            r"^(onesheet [a-z ]+)¶\n(.*?)(?=^onesheet [a-z ]+¶|\Z)",
            words(site / "docs/reference/commands.html"),
            re.M | re.S,
        )
    )
    known = {prog: names for prog, names in options(build_parser()) if prog in sections}
    ends = {
        prog
        for prog, _ in options(build_parser())
        if not any(other.startswith(f"{prog} ") for other, _ in options(build_parser()))
    }
    assert set(known) == ends
    for prog, names in known.items():
        assert [
            name for name in names if name not in ("-h", "--help", "--help-all") and name not in sections[prog]
        ] == [], prog


def test_every_key_of_a_configuration_is_in_the_reference(site: Path) -> None:
    page = (site / "docs/reference/configuration.html").read_text(encoding="utf-8")
    assert [name for name in OPTIONS if f"{name}</span>" not in page] == []


def reference(site: Path, module: str) -> str:
    return (site / f"docs/reference/python/{module}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - INSIDE))
def test_every_public_class_and_function_is_in_the_reference(site: Path, package: str) -> None:
    page, home = reference(site, package), import_module(f"onesheet.{package}")
    for name in (name for name in home.__all__ if callable(getattr(home, name))):
        assert f'id="onesheet.{package}.{name}"' in page, f"onesheet.{package}.{name}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - INNER))
def test_every_public_class_and_function_of_a_module_is_in_the_reference(site: Path, name: str) -> None:
    page, module = reference(site, name), import_module(f"onesheet.{name}")
    made = [one for one, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    public = [one for one in made if not one.startswith("_") and callable(getattr(module, one))]
    assert public
    assert [one for one in public if f'id="onesheet.{name}.{one}"' not in page] == [], name


def packages_in_layers() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [name for layer in layers for name in layer.split(" | ") if name != "__main__"]


def test_the_list_of_packages_has_them_all() -> None:
    page = (ROOT / "docs" / "dev" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^  (\w+)(?:\.py|/) ", page.split("## Packages")[1].split("```")[1], re.M)
    assert sorted(listed) == sorted(packages_in_layers())


def test_the_picture_of_the_design_has_the_packages_as_they_are() -> None:
    packages = packages_in_layers()
    picture = (ROOT / "docs" / "dev" / "design.svg").read_text(encoding="utf-8").split("The packages:")[1]
    assert re.findall(r'text-anchor="middle" fill="#222">([^<]+)', picture) == packages


KINDS = (
    "index",
    "install",
    "results",
    "guides/data",
    "dev/reliability",
    "reference/commands",
    "reference/python/predict",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing_serious_on_pages_of_each_kind(site: Path, axe: str, scheme: str) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser_path:
        pytest.skip("no chromium here; apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"]).new_page()
        page.emulate_media(color_scheme=scheme)
        for kind in KINDS:
            page.goto((site / "docs" / f"{kind}.html").as_uri())
            page.evaluate(axe)
            assert serious(page) == [], kind
