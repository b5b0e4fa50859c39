"""axe-core finds nothing serious or critical on any view of the page, light or dark, on a phone or wide."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_client import serving_here
from test_serving_page import BROWSER, DROP, browser, encoded, finished

from drawn_review import write_run
from onesheet.data import Catalogue

NPM = shutil.which("npm")
pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium"),
    pytest.mark.skipif(not NPM and "CI" not in os.environ, reason="no npm here; apt-get install npm"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
__all__ = ["browser"]  # a fixture

RUN = """async () => (await axe.run(document)).violations.map(
  ({ id, impact, nodes }) => [impact, id, nodes[0].html.slice(0, 120), nodes[0].failureSummary])"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    assert NPM, "no npm here; apt-get install npm"
    installed = subprocess.run(
        [NPM, "install", "--prefix", str(folder), "axe-core@4", "--no-audit", "--no-fund"],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop(f"npm cannot install axe-core: {installed.stderr.strip().splitlines()[-1]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(model_path: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    run = write_run(tmp_path_factory.mktemp("accessible") / "run", catalogue)
    with serving_here(model_path, run=run) as url:
        yield url


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_on_any_view(
    browser: sync_api.Browser, axe: str, address: str, posters: list[bytes], scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()

    def check(view: str) -> None:
        page.evaluate(axe)
        found = [one for one in page.evaluate(RUN) if one[0] in ("serious", "critical")]
        assert found == [], view

    page.goto(address)
    page.locator("#drawn-posters li").nth(3).wait_for()
    check("first")
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.png", posters[1]), ("c.png", b"no picture")]))
    finished(page, "2 posters read, 1 could not be read.")
    check("posters")
    page.get_by_role("button", name="Table").click()
    check("table")
    page.locator(".thumbnail").first.click()
    page.locator("#viewer-genres button").first.click()
    page.locator("#viewer-said:not(:empty)").wait_for()
    check("viewer")
    page.keyboard.press("Escape")
    page.goto(f"{address}/#review")
    page.locator("#case-title:not(:empty)").wait_for()
    page.locator("#history summary").click()
    check("review")
    context.close()
