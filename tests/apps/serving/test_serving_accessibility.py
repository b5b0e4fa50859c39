"""axe-core finds nothing serious or critical on any view of the page, light or dark, on a phone or wide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_client import serving_here
from test_serving_page import BROWSER, DROP, browser, encoded, finished

from axe_core import axe, serious
from drawn_review import write_run
from onesheet.data import Catalogue

pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
__all__ = ["axe", "browser"]  # fixtures


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
        assert serious(page) == [], view

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
