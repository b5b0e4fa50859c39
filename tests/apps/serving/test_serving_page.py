"""The page in a real browser, as a person uses it."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from serving_client import serving_here

from onesheet.data import Catalogue
from onesheet.predict import load

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
DROP = """files => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""
PASTE = DROP.split("for (const kind")[0] + (
    "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true }));}"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def address(model_path: Path) -> Iterator[str]:
    with serving_here(model_path) as url:
        yield url


@pytest.fixture
def page(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:
    """The page, opened; the test fails on any console error and any request to elsewhere."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    own = (address, "blob:", "data:")
    opened.on("request", lambda request: None if request.url.startswith(own) else wrong.append(request.url))
    opened.goto(address)
    opened.get_by_text("Drop posters here").wait_for()
    yield opened
    context.close()
    assert wrong == []


def encoded(files: list[tuple[str, bytes]]) -> list[list[str]]:
    return [[name, base64.b64encode(data).decode()] for name, data in files]


def finished(page: sync_api.Page, said: str) -> None:
    page.get_by_role("status").filter(has_text=said).wait_for()


def given(page: sync_api.Page) -> list[list[str]]:
    """The genres given to each poster on the page."""
    cards = page.locator("#posters > li").all()
    return [[text.split("\n")[0] for text in card.locator("li.given").all_inner_texts()] for card in cards]


def test_drop_three_one_broken_switch_and_download(
    page: sync_api.Page, posters: list[bytes], model_path: Path, tmp_path: Path
) -> None:
    names = ['<img src=x onerror=alert(1)>, "the".png', "broken.png", "=1+1.png"]
    page.evaluate(DROP, encoded(list(zip(names, [posters[0], b"no picture", posters[3]], strict=True))))
    finished(page, "2 posters answered, 1 could not be read.")
    assert names[0] in page.locator("#posters > li").first.inner_text()  # a name is text
    broken = page.locator("#posters > li").nth(1)
    assert "not a picture of a known format; use one of JPEG" in broken.inner_text()
    predictor = load(model_path, threads=1)
    for point in ("balanced", "precise", "generous", "exact"):
        page.get_by_role("radio", name=point).check()
        expected = [list(predictor.predict(poster, at=point).genres) for poster in (posters[0], posters[3])]
        assert given(page) == [expected[0], [], expected[1]], point
    page.get_by_role("radio", name="generous").check()
    page.get_by_role("button", name="Table").click()
    rows = page.locator("#rows tr").all_inner_texts()
    assert len(rows) == 3 and rows[1].startswith("broken.png\tcannot read")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "genres.csv")
    with (tmp_path / "genres.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["path", "genres", *predictor.genres.names, "error"]
    assert [row["path"] for row in table] == [*names[:2], "'=1+1.png"]  # no formula for a spreadsheet
    prediction = predictor.predict(posters[0], at="generous")
    assert table[0]["genres"] == "|".join(prediction.genres)
    assert float(table[0]["Drama"]) == pytest.approx(prediction.probabilities["Drama"], abs=2e-6)
    assert table[1]["genres"] == "" and table[1]["error"].startswith("cannot read")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    download.value.save_as(tmp_path / "genres.json")
    objects = json.loads((tmp_path / "genres.json").read_text(encoding="utf-8"))
    assert [one["path"] for one in objects] == names
    assert [row["genre"] for row in objects[0]["genres"]] == list(prediction.genres)
    assert objects[0]["probabilities"] == pytest.approx(prediction.probabilities, abs=2e-6)
    assert set(objects[0]) == {"path", "genres", "probabilities"} and set(objects[1]) == {"path", "error"}


def test_many_posters_show_progress_and_can_be_cleared(page: sync_api.Page, catalogue: Catalogue) -> None:
    paths = [film.poster for film in catalogue.films[:40]]
    asked = []

    def hold_the_last(route: sync_api.Route) -> None:
        asked.append(route)
        if len(asked) != 5:
            route.continue_()

    page.route("**/v1/predict", hold_the_last)
    page.get_by_label("Drop posters here").set_input_files(paths)
    finished(page, "Reading posters: 32 of 40 done.")
    asked[4].continue_()
    finished(page, "40 posters answered.")
    assert len(given(page)) == 40
    assert page.locator("#progress").get_attribute("max") == "40"
    assert page.locator("#count").text_content() == "40 of 40"
    page.get_by_label("Drop posters here").set_input_files(paths[:1])
    finished(page, "41 posters answered.")
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#posters > li").count() == 0 and not page.locator("#results").is_visible()


def test_a_busy_service_is_asked_again_and_work_can_be_stopped(
    browser: sync_api.Browser, address: str, posters: list[bytes]
) -> None:
    page = browser.new_page()  # not the fixture: the 429 is written to the console
    page.goto(address)
    page.get_by_text("Drop posters here").wait_for()
    asked = []

    def busy(route: sync_api.Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": "busy"})
        elif len(asked) == 2:
            route.continue_()

    page.route("**/v1/predict", busy)
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster answered.")
    page.evaluate(DROP, encoded([("b.png", posters[1])]))  # never answered
    page.get_by_role("button", name="Stop").click()
    finished(page, "1 poster answered.")
    assert page.locator("#posters > li").count() == 1 and len(asked) >= 2
    page.close()


def test_a_pasted_picture_is_answered(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(PASTE, encoded([("image.png", posters[0])]))
    finished(page, "1 poster answered.")


def test_pasted_or_dropped_text_is_no_picture(page: sync_api.Page) -> None:
    for script in (PASTE, DROP):
        page.evaluate("document.querySelector('#status').textContent = ''")
        page.evaluate(script, [])
        finished(page, "Drop or paste a picture or its file, not its address or name.")


def test_a_service_that_is_gone_is_not_the_posters_fault(
    browser: sync_api.Browser, address: str, posters: list[bytes]
) -> None:
    page = browser.new_page()  # not the fixture: failed requests are written to the console
    page.goto(address)
    page.get_by_text("Drop posters here").wait_for()
    page.evaluate(DROP, encoded([("broken.png", b"no picture")]))
    finished(page, "0 posters answered, 1 could not be read.")
    again = page.get_by_role("button", name="Try again")
    sync_api.expect(again).to_be_hidden()
    page.route("**/v1/predict", lambda route: route.abort())
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.png", posters[1])]))
    finished(page, "0 posters answered, 1 could not be read, 2 got no answer from the service.")
    assert page.get_by_text("the service does not answer").count() == 2
    page.unroute("**/v1/predict")
    page.route("**/v1/predict", lambda route: route.fulfill(status=502, body="<p>Bad gateway</p>"))
    again.click()
    finished(page, "2 got no answer from the service.")
    page.unroute("**/v1/predict")
    again.click()
    finished(page, "2 posters answered, 1 could not be read.")
    sync_api.expect(again).to_be_hidden()
    page.close()


def test_the_model_card_is_read_as_markdown_and_nothing_more(
    browser: sync_api.Browser, address: str, posters: list[bytes]
) -> None:
    card = (
        "# A model\n\n<!-- figures -->\n\nIt is **fair**, see `docs`.\nOn two lines. <img src=x onerror=alert(1)>\n\n"
        "| figure | value |\n| --- | --- |\n| mAP | **0.3** |\n\n## Limits\n- one\n  and more\n- two <b>x</b>\n"
    )
    page = browser.new_page()

    def with_card(route: sync_api.Route) -> None:
        route.fulfill(json=route.fetch().json() | {"model_card": card})

    page.route("**/v1/model", with_card)
    page.goto(address)
    page.get_by_text("About this model").click()
    sync_api.expect(page.locator("#about")).to_match_aria_snapshot(
        """
        - group:
          - heading "A model" [level=2]
          - paragraph:
            - text: It is
            - strong: fair
            - text: ", see"
            - code: docs
            - text: /On two lines. <img src=x onerror=alert\\(1\\)>/
          - region "Table":
            - table:
              - rowgroup:
                - row "figure value"
              - rowgroup:
                - row "mAP 0.3":
                  - cell "mAP"
                  - cell "0.3"
          - heading "Limits" [level=3]
          - list:
            - listitem: one and more
            - listitem: two <b>x</b>
        """
    )
    page.close()


def test_what_is_pressed_is_large_enough_for_a_finger(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster answered.")
    pressed = page.locator("#results button, #results summary, footer summary").all()
    heights = [box["height"] for one in pressed if (box := one.bounding_box())]
    assert len(heights) >= 8 and min(heights) >= 24  # WCAG 2.2, target size


def test_the_keyboard_reaches_everything(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster answered.")
    focused = []
    for _ in range(10):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert focused[:7] == ["choose", "balanced", "show-posters", "show-table", "csv", "json", "clear"]
    page.get_by_role("radio", name="balanced").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="precise").is_checked()
    assert "Few wrong genres" in page.locator("#point-meaning").inner_text()
    page.get_by_role("button", name="Table").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("table").is_visible()


def test_a_screen_reader_finds_every_part(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.txt", b"no picture")]))
    finished(page, "1 poster answered, 1 could not be read.")
    sync_api.expect(page.locator("main")).to_match_aria_snapshot(
        """
        - button /^Drop posters here or choose files.* up to 20 MB each$/
        - group "How sure must a genre be?":
          - radio "balanced" [checked]
          - radio "precise"
          - paragraph: /the usual choice/
        - status: 1 poster answered, 1 could not be read.
        - region "Answers":
          - heading "Answers" [level=2]
          - group "Show as":
            - button "Posters" [pressed]
            - button "Table"
          - group "Download":
            - button "Download CSV"
            - button "Download JSON"
          - list:
            - listitem:
              - heading "a.png" [level=3]
              - list:
                - listitem:
                  - button /Comedy|Drama|Horror/
                  - text: /% , given, given from .* % on/
            - listitem:
              - heading "b.txt" [level=3]
              - paragraph: /not a picture of a known format/
        """
    )


def test_a_picture_that_no_browser_shows_has_its_heat_map(page: sync_api.Page, posters: list[bytes]) -> None:
    tiff = io.BytesIO()
    Image.open(io.BytesIO(posters[0])).save(tiff, "TIFF")
    page.evaluate(DROP, encoded([("scan.tif", tiff.getvalue())]))
    finished(page, "1 poster answered.")
    shown = page.locator("#posters img")
    sync_api.expect(shown).to_be_hidden()
    sync_api.expect(page.get_by_text("no preview")).to_be_visible()
    genre = page.get_by_role("button", name="Drama", exact=True)
    genre.click()
    sync_api.expect(shown).to_be_visible()
    sync_api.expect(shown).to_have_attribute("alt", "Heat map of Drama")
    sync_api.expect(page.get_by_text("no preview")).to_be_hidden()
    finished(page, "Heat map of Drama over scan.tif")
    genre.click()
    sync_api.expect(shown).to_be_hidden()
    finished(page, "1 poster answered.")  # of a map that is closed nothing is said


def test_a_heat_map_that_does_not_come_says_why(browser: sync_api.Browser, address: str, posters: list[bytes]) -> None:
    page = browser.new_page()  # not the fixture: the 429 is written to the console
    page.goto(address)
    page.get_by_text("Drop posters here").wait_for()
    page.route("**/v1/explain?*", lambda route: route.fulfill(status=429, json={"error": "the queue is full"}))
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster answered.")
    genre = page.get_by_role("button", name="Drama", exact=True)
    genre.click()
    finished(page, "the queue is full")
    sync_api.expect(genre).to_have_attribute("aria-pressed", "false")
    page.close()


def test_a_phone_needs_no_sideways_scrolling(page: sync_api.Page, posters: list[bytes]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate(DROP, encoded([("a-very-long-name-without-any-space-in-it" * 3 + ".png", posters[0]), ("b", b"no")]))
    finished(page, "1 poster answered, 1 could not be read.")
    for button in ("Table", "Posters"):
        page.get_by_role("button", name=button, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_page_asks_for_the_token(browser: sync_api.Browser, model_path: Path, posters: list[bytes]) -> None:
    with serving_here(model_path, token="secret") as url:
        page = browser.new_page()
        page.goto(url)
        field = page.get_by_label("This service wants a token")
        field.fill("wrong")
        field.press("Enter")
        page.get_by_role("alert").filter(has_text="That is not the token.").wait_for()
        field.fill("secret")
        field.press("Enter")
        page.get_by_text("Drop posters here").wait_for()
        page.evaluate(DROP, encoded([("a.png", posters[0])]))
        finished(page, "1 poster answered.")
        page.close()
