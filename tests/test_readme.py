"""What the README and the docs show exists: commands parse, links lead somewhere, tables are complete."""

import json
import re
import shlex
import tomllib

import pytest

from onesheet.__main__ import build_parser
from onesheet.data.findings import FLAGS
from pages import PAGES, ROOT, blocks


def commands(program):
    for block in blocks("console"):
        for line in block.commands:
            if line.startswith(f"{program} "):
                yield shlex.split(line, comments=True)[1:]


def test_the_readme_shows_code_and_commands():
    assert len(list(blocks("python"))) >= 2
    assert len(list(commands("onesheet"))) >= 3
    assert ["demo"] in list(commands("make"))


@pytest.mark.parametrize("arguments", list(commands("onesheet")), ids=" ".join)
def test_commands_parse(arguments):
    assert build_parser().parse_args(arguments).command == arguments[0]


@pytest.mark.parametrize("arguments", list(commands("make")), ids=" ".join)
def test_make_targets_exist(arguments):
    assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "src").rglob("*.py"))], ids=lambda path: path.name)
def test_pip_installs_this_project_and_not_the_other_one_named_onesheet(path):
    assert not re.search(
        r"pip install (?:-U |--upgrade )?['\"]?onesheet\b(?!-genres)", path.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("block", list(blocks("toml", "json")), ids=str)
def test_data_is_well_formed(block):
    whole = block.text.replace("…", "")
    if block.language == "toml":
        assert tomllib.loads(whole)
    else:  # an object, or one a line
        documents, rest = [], whole.strip()
        while rest:
            document, end = json.JSONDecoder().raw_decode(rest)
            documents.append(document)
            rest = rest[end:].strip()
        assert documents


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_flag_of_a_finding_is_explained():
    page = (ROOT / "docs" / "guides" / "data.md").read_text(encoding="utf-8")
    assert [name for name, meaning in FLAGS.items() if f"| `{name}` | {meaning} |" not in page] == []


def test_the_headline_is_the_model_cards():
    def rows(page):
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("| "):
                yield [cell.strip().replace("0.", ".") for cell in line.strip("|").split("|")]

    of_card = {cells[0]: cells[1:] for cells in rows(ROOT / "docs" / "model-card.md") if len(cells) == 3}
    at = ("macro-F1 at `balanced`", "micro-F1 at `balanced`", "all genres right at `exact`")
    metrics = ("ROC-AUC, macro", "mAP, macro", *at)
    headline = {cells[0]: cells[1:] for cells in rows(ROOT / "README.md") if len(cells) == 1 + len(metrics)}
    assert headline["the bundled model"] == [of_card[metric][0] for metric in metrics]
    assert headline["the best baseline"] == [of_card[metric][1].split()[0] for metric in metrics]
