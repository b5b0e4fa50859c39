"""What the README and the docs show exists: their Python imports, their commands parse, their tables are complete."""

import ast
import importlib
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from onesheet.cli import build_parser
from onesheet.data.findings import FLAGS
from onesheet.training.config import TrainConfig, flag

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S), 1):
            yield pytest.param(block, id=f"{page.name}-{number}")


def commands(program):
    for parameter in blocks("console"):
        for line in re.findall(rf"^\$ {program} .*", parameter.values[0], re.M):
            yield shlex.split(line, comments=True)[2:]


def test_the_readme_shows_code_and_commands():
    assert len(list(blocks("python"))) >= 2
    assert len(list(commands("onesheet"))) >= 3
    assert ["demo"] in list(commands("make"))


@pytest.mark.parametrize("code", list(blocks("python")))
def test_python_compiles_and_its_imports_exist(code):
    tree = ast.parse(code)
    compile(tree, "a page", "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"


@pytest.mark.parametrize("arguments", list(commands("onesheet")), ids=" ".join)
def test_commands_parse(arguments):
    if arguments[0] == "COMMAND":
        pytest.skip("stands for every command")
    assert build_parser().parse_args(arguments).command == arguments[0]


@pytest.mark.parametrize("arguments", list(commands("make")), ids=" ".join)
def test_make_targets_exist(arguments):
    assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_usage_names_every_flag_and_every_training_option():
    usage = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    assert [name for name, meaning in FLAGS.items() if f"| `{name}` | {meaning} |" not in usage] == []
    rows = [line.split(" | ") for line in usage.splitlines() if line.startswith("| `--") and line.count(" | ") == 2]
    sentences = {row[0].strip("| `"): row[2].removesuffix(" |") for row in rows}
    for item in fields(TrainConfig)[1:]:  # --model has a section of its own
        choices = ", ".join(f"`{choice}`" for choice in item.metadata["choices"])
        expected = item.metadata["help"] + (f": {choices}" if choices else "")
        assert sentences[flag(item.name)] == expected.split("; default")[0], item.name
