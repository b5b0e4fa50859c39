"""What the README and the docs show exists: commands parse, links lead somewhere, tables are complete."""

import importlib.util
import json
import re
import shlex
import tomllib

import pytest

from onesheet.__main__ import build_parser
from onesheet.data.findings import FLAGS
from pages import PAGES, ROOT, blocks

specification = importlib.util.spec_from_file_location("results_pages", ROOT / "benchmarks" / "results_pages.py")
results_pages = importlib.util.module_from_spec(specification)
specification.loader.exec_module(results_pages)


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


@pytest.mark.parametrize("page", results_pages.pages(), ids=lambda page: page.name)
def test_tables_of_results_are_those_of_the_numbers_file(page):
    text = page.read_text(encoding="utf-8")
    assert results_pages.with_tables(text, results_pages.read()) == text, "run benchmarks/results_pages.py"


def test_every_result_is_shown_and_names_its_command():
    shown = " ".join(page.read_text(encoding="utf-8") for page in results_pages.pages())
    for name, entry in results_pages.read().items():
        assert f"<!-- results {name}" in shown
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", entry["measured"]), name
        words = entry["command"].removeprefix(".venv/bin/python ").split()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        else:
            assert (ROOT / words[0]).exists(), words[0]
        assert {len(row) for row in entry["rows"]} == {len(entry["columns"])}


def test_errors_in_the_faq_are_errors_of_onesheet():
    source = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    source = re.sub(r'"\s*f?"', "", source)  # strings that go on in the next line
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    errors = [error for error in re.findall(r"\*\*`(.+?)`\*\*", page) if not error.startswith("No module")]
    assert len(errors) >= 10
    for error in errors:
        for piece in re.split(r"\W*…\W*|; pip install .*", error):
            assert piece.strip() in source, piece
