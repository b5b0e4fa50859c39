"""The page in a real browser, as a person uses it."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from serving_client import png, serving_here

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

LONG_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.duration)))
    .observe({ type: "longtask" });
}"""
BRIGHTEST = """() => {
  const heat = document.querySelector("#viewer-heat");
  const { data } = heat.getContext("2d").getImageData(0, 0, heat.width, heat.height);
  let best = 0;
  for (let place = 0; place < data.length; place += 4) {
    if (data[place] + data[place + 1] > data[best] + data[best + 1]) best = place;
  }
  return [((best / 4) % heat.width) / heat.width, Math.floor(best / 4 / heat.width) / heat.height];
}"""
SLOWEST = 100  # milliseconds
PACE = """() => {
  const start = performance.now();
  const box = document.body.appendChild(document.createElement("div"));
  for (let i = 0; i < 2000; i++) box.appendChild(document.createElement("p")).textContent = `Drama ${i}`;
  const height = box.offsetHeight;
  box.remove();
  return (performance.now() - start) * (height > 0);
}"""
QUIET_PACE = 30  # milliseconds that PACE takes on two quiet cores of 2019
POINTS = {"balanced": "Balanced", "precise": "Fewer wrong", "generous": "Fewer missed", "exact": "Best whole set"}


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


def predicted(page: sync_api.Page) -> list[list[str]]:
    """The genres predicted for each poster on the page."""
    cards = page.locator("#posters > li").all()
    return [card.locator(".chips b").all_inner_texts() for card in cards]


def choose(page: sync_api.Page, name: str) -> None:
    """An answer to "Which mistakes matter?"."""
    page.get_by_role("radio", name=name).check()


def test_drop_three_one_broken_switch_and_download(
    page: sync_api.Page, posters: list[bytes], model_path: Path, tmp_path: Path
) -> None:
    names = ['<img src=x onerror=alert(1)>, "the".png', "broken.png", "=1+1.png"]
    page.evaluate(DROP, encoded(list(zip(names, [posters[0], b"no picture", posters[3]], strict=True))))
    finished(page, "2 posters read, 1 could not be read.")
    assert names[0] in page.locator("#posters > li").first.inner_text()  # a name is text
    broken = page.locator("#posters > li").nth(1)
    assert "not a picture of a known format; use one of JPEG" in broken.inner_text()
    predictor = load(model_path, threads=1)
    for point, label in POINTS.items():
        choose(page, label)
        expected = [list(predictor.predict(poster, at=point).genres) for poster in (posters[0], posters[3])]
        assert predicted(page) == [expected[0], [], expected[1]], point
    choose(page, "Fewer missed")
    page.get_by_role("button", name="Table").click()
    rows = page.locator("#rows tr:not(.gaps)").all_inner_texts()
    assert len(rows) == 3 and "broken.png" in rows[1] and "cannot read" in rows[1]
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

    page.route("**/v1/predict?*", hold_the_last)
    page.get_by_label("Drop posters here").set_input_files(paths)
    finished(page, "Reading posters: 32 of 40 done.")
    progress = page.locator("#progress")
    assert (progress.get_attribute("max"), progress.get_attribute("value")) == ("40", "32")
    asked[4].continue_()
    finished(page, "40 posters read.")
    assert page.locator("#posters > li").count() == 40
    page.get_by_label("Drop posters here").set_input_files(paths[:1])
    finished(page, "41 posters read.")
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#posters > li").count() == 0 and not page.locator("#results").is_visible()
    sync_api.expect(page.get_by_role("button", name="Captain Turnip")).to_be_visible()


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

    page.route("**/v1/predict?*", busy)
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    page.evaluate(DROP, encoded([("b.png", posters[1])]))  # never answered
    page.get_by_role("button", name="Stop").click()
    finished(page, "1 poster read.")
    assert page.locator("#posters > li").count() == 1 and len(asked) >= 2
    page.close()


def test_a_pasted_picture_is_answered(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(PASTE, encoded([("image.png", posters[0])]))
    finished(page, "1 poster read.")


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
    finished(page, "0 posters read, 1 could not be read.")
    again = page.get_by_role("button", name="Try again")
    sync_api.expect(again).to_be_hidden()
    page.route("**/v1/predict?*", lambda route: route.abort())
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.png", posters[1])]))
    finished(page, "0 posters read, 1 could not be read, 2 got no answer from the service.")
    assert page.get_by_text("the service does not answer").count() == 2
    page.unroute("**/v1/predict?*")
    page.route("**/v1/predict?*", lambda route: route.fulfill(status=502, body="<p>Bad gateway</p>"))
    again.click()
    finished(page, "2 got no answer from the service.")
    page.unroute("**/v1/predict?*")
    again.click()
    finished(page, "2 posters read, 1 could not be read.")
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
          - region "Table 1":
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


def test_a_predicted_genre_says_how_often_it_is_right(page: sync_api.Page, posters: list[bytes]) -> None:
    card = page.request.get(page.url + "v1/model").json()["card"]
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    for point, label in POINTS.items():
        choose(page, label)
        counts, films = card["measured"]["points"][point], sum(card["measured"]["genre_films"])
        precision = round(100 * sum(counts["right"]) / sum(counts["predicted"]))
        recall = round(100 * sum(counts["right"]) / films)
        assert f"{precision}% right, {recall}% found" in page.locator("label", has_text=label).inner_text(), point
        assert f"Precision {precision}%" in page.locator("#point-meaning").inner_text()
        for chip in page.locator(".chips button").all():
            column = card["genres"].index(chip.locator("b").inner_text())
            right, predicted = counts["right"][column], counts["predicted"][column]
            assert chip.get_by_text("long shot").count() == (right < 0.2 * predicted or not predicted)
            rate = re.search(r"right (\d+) (?:in|of) (\d+) times when it says", chip.text_content() or "")
            assert rate and int(rate[1]) / int(rate[2]) == pytest.approx(right / predicted, abs=0.06)


def test_a_model_file_without_counts_shows_probabilities_alone(
    browser: sync_api.Browser, address: str, posters: list[bytes]
) -> None:
    page = browser.new_page()

    def without(route: sync_api.Route) -> None:
        found = route.fetch().json()
        found["card"]["measured"] = {}
        route.fulfill(json=found)

    page.route("**/v1/model", without)
    page.goto(address)
    page.get_by_text("Drop posters here").wait_for()
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    assert page.locator(".chips small").count() == 0 and page.locator(".chips b").count() > 0
    assert "export it again" in page.locator("#point-meaning").inner_text()
    page.close()


def test_blank_tiny_and_landscape_pictures_are_flagged(page: sync_api.Page, posters: list[bytes]) -> None:
    pictures = [("wide.png", png(90, 60)), ("tiny.png", png(8, 12)), ("poster.png", posters[0])]
    page.evaluate(DROP, encoded(pictures))
    finished(page, "3 posters read.")
    cards = page.locator("#posters > li")
    sync_api.expect(cards.nth(0).locator(".flag")).to_have_text([re.compile("^Landscape"), re.compile("^Blank")])
    sync_api.expect(cards.nth(1).locator(".flag")).to_have_text(["Tiny: 8 × 12 pixels.", re.compile("^Blank")])
    sync_api.expect(cards.nth(2).locator(".flag")).to_have_count(0)


def test_a_drawn_poster_is_one_click_away_and_its_result_on_a_phones_first_screen(
    browser: sync_api.Browser, address: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page.goto(address)
    sync_api.expect(page.locator("#drawn-posters img")).to_have_count(4)
    page.get_by_role("button", name="Captain Turnip").click()
    finished(page, "1 poster read.")
    tools, first = page.locator("#tools").bounding_box(), page.locator("#posters > li").first.bounding_box()
    assert tools and first and tools["y"] + tools["height"] <= first["y"] <= 200
    sync_api.expect(page.get_by_text("No poster at hand?")).to_be_hidden()
    page.close()


def test_new_posters_scroll_into_view_below_tools_that_stay(page: sync_api.Page, catalogue: Catalogue) -> None:
    paths = [film.poster for film in catalogue.films[:30]]
    high = page.get_by_label("Drop posters here").bounding_box()
    page.get_by_label("Drop posters here").set_input_files(paths)
    finished(page, "30 posters read.")
    bar = page.get_by_label("Drop posters here").bounding_box()
    assert high and bar and bar["height"] < 50 < high["height"]
    page.get_by_label("Drop posters here").set_input_files(paths[:1])
    finished(page, "31 posters read.")
    sync_api.expect(page.locator("#posters > li").last).to_be_in_viewport()
    assert page.evaluate("document.querySelector('#tools').getBoundingClientRect().top") == 0


def test_the_viewer_shows_heat_maps_without_sending_the_file_again(
    page: sync_api.Page, posters: list[bytes], model_path: Path
) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.png", posters[1])]))
    finished(page, "2 posters read.")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Show a.png large").click()
    viewer = page.get_by_role("dialog", name="a.png")
    assert viewer.locator("#viewer-genres li").count() == 3 and viewer.get_by_text("1 of 2").is_visible()
    sync_api.expect(viewer.locator("#viewer-heat")).to_be_hidden()
    viewer.get_by_role("button", name="Comedy", exact=True).click()
    said = page.locator("#viewer-said")
    sync_api.expect(said).to_have_text(re.compile("(Bright where|Nothing in) the poster speaks for Comedy"))
    sync_api.expect(viewer.get_by_label("Loading")).to_be_hidden()
    heat = load(model_path, threads=1).explain(posters[0], "Comedy")
    sync_api.expect(viewer.locator("#viewer-heat")).to_be_visible(visible=bool(heat.brightest))
    assert heat.brightest
    brightest = page.evaluate(BRIGHTEST)
    rows, columns = heat.values.shape
    row, column = divmod(int(heat.values.argmax()), columns)
    assert brightest == pytest.approx([(column + 0.5) / columns, (row + 0.5) / rows], abs=0.75 / min(rows, columns))
    opacity = viewer.get_by_label("Opacity of the heat map")
    opacity.focus()
    page.keyboard.press("Home")
    assert viewer.locator("#viewer-heat").evaluate("(heat) => heat.style.opacity") == "0"
    page.keyboard.press("ArrowRight")  # of the slider, not of the viewer
    assert viewer.get_by_text("1 of 2").is_visible()
    viewer.get_by_role("button", name="Next poster").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("dialog", name="b.png").wait_for()
    sync_api.expect(said).to_have_text(re.compile("the poster speaks for Comedy"))  # the same genre
    page.keyboard.press("ArrowLeft")
    page.get_by_role("dialog", name="a.png").wait_for()
    page.keyboard.press("Escape")
    sync_api.expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.ariaLabel") == "Show a.png large"  # where it was opened
    assert sent == []


def test_a_viewer_opened_before_the_answer_shows_it_when_it_comes(page: sync_api.Page, posters: list[bytes]) -> None:
    held: list[sync_api.Route] = []
    page.route("**/v1/predict*", lambda route: held.append(route))
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    page.get_by_role("button", name="Show a.png large").click()
    genres = page.get_by_role("dialog", name="a.png").locator("#viewer-genres li")
    sync_api.expect(genres).to_have_count(0)
    held[0].continue_()
    sync_api.expect(genres).to_have_count(3)


def test_a_picture_that_no_browser_shows_has_its_heat_map(page: sync_api.Page, posters: list[bytes]) -> None:
    tiff = io.BytesIO()
    Image.open(io.BytesIO(posters[0])).save(tiff, "TIFF")
    page.evaluate(DROP, encoded([("scan.tif", tiff.getvalue())]))
    finished(page, "1 poster read.")
    sync_api.expect(page.locator("#posters img")).to_be_hidden()
    sync_api.expect(page.get_by_text("no preview")).to_be_visible()
    page.get_by_role("button", name="Show scan.tif large").click()
    sync_api.expect(page.locator("#viewer-said")).to_have_text(re.compile("cannot show the picture"))
    page.get_by_role("button", name="Drama", exact=True).click()
    sync_api.expect(page.locator("#viewer-poster")).to_be_visible()
    sync_api.expect(page.locator("#viewer-poster")).to_have_js_property("naturalWidth", 32)
    sync_api.expect(page.locator("#viewer-said")).to_have_text(re.compile("the poster speaks for Drama"))


def test_a_heat_map_that_does_not_come_says_why(browser: sync_api.Browser, address: str, posters: list[bytes]) -> None:
    page = browser.new_page()  # not the fixture: the 429 is written to the console
    page.goto(address)
    page.get_by_text("Drop posters here").wait_for()
    page.route("**/v1/explain?*", lambda route: route.fulfill(status=429, json={"error": "the queue is full"}))
    tiff = io.BytesIO()
    Image.open(io.BytesIO(posters[0])).save(tiff, "TIFF")
    page.evaluate(DROP, encoded([("scan.tif", tiff.getvalue())]))
    finished(page, "1 poster read.")
    page.get_by_role("button", name=re.compile("^Drama")).click()
    sync_api.expect(page.locator("#viewer-said")).to_have_text("the queue is full")
    sync_api.expect(page.get_by_label("Loading")).to_be_hidden()
    page.close()


@pytest.fixture
def many(page: sync_api.Page, catalogue: Catalogue) -> sync_api.Page:
    """The table of 200 posters, answered without the service, every tenth with nothing predicted and one an error."""

    def answer(route: sync_api.Route) -> None:
        names = re.findall(r'filename="([^"]+)"', (route.request.post_data_buffer or b"").decode("latin-1"))
        found = []
        for name in names:
            number = int(name.split("-")[1].split(".")[0])
            chance = (number % 10) / 10
            probabilities = {"Comedy": chance, "Drama": chance / 2, "Horror": 0.001 * (number % 7)}
            found.append({"path": name, "genres": [], "probabilities": probabilities, "maps": None})
        if "poster-13.png" in names:
            found[names.index("poster-13.png")] = {"path": "poster-13.png", "error": "cannot read it"}
        route.fulfill(json={"predictions": found})

    page.route("**/v1/predict?*", answer)
    return page


def add_many(page: sync_api.Page, count: int, poster: bytes, folder: Path) -> None:
    paths = [folder / f"poster-{number}.png" for number in range(count)]
    for path in paths:
        path.write_bytes(poster)
    page.get_by_label("Drop posters here").set_input_files(paths)
    finished(page, f"{count - 1:,} posters read, 1 could not be read.")


def test_the_table_sorts_and_filters(many: sync_api.Page, posters: list[bytes], tmp_path: Path) -> None:
    page = many
    add_many(page, 200, posters[0], tmp_path)
    page.get_by_role("button", name="Table").click()

    def names() -> list[str]:
        return page.locator("#rows th").all_inner_texts()

    assert names()[:2] == ["poster-0.png", "poster-1.png"] and len(names()) < 30  # only those in sight
    assert page.get_by_role("table").get_attribute("aria-rowcount") == "201"
    for heading in ("Poster", "Poster"):
        page.get_by_role("button", name=heading, exact=True).click()
    assert names()[:2] == ["poster-199.png", "poster-198.png"]
    heading = page.get_by_role("columnheader", name="Highest")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending" and names()[0] == "poster-9.png"
    page.locator("#filter-kind").select_option("errors")
    assert names() == ["poster-13.png"]
    page.locator("#filter-kind").select_option("none")
    without = page.locator("#filtered").inner_text()
    assert re.fullmatch(r"\d+ of 200 posters", without) and "poster-5.png" in names()
    page.locator("#filter-kind").select_option("")
    page.locator("#filter-genre").select_option("Comedy")
    assert names() and all("Comedy" in row for row in page.locator("#rows td:nth-child(3)").all_inner_texts())
    page.locator("#filter-name").fill("POSTER-19")
    assert set(names()) <= {f"poster-{number}.png" for number in (19, *range(190, 200))} and names()
    page.locator("#rows .thumbnail").first.click()
    page.get_by_role("dialog").wait_for()


def use(page: sync_api.Page) -> None:
    """What a person does with many posters."""
    choose(page, "Fewer missed")
    page.get_by_role("button", name="Table").click()
    choose(page, "Best whole set")
    page.get_by_role("button", name="Highest").click()
    page.locator("#table-scroll").evaluate("(place) => place.scrollTo(0, place.scrollHeight)")
    page.locator("#filter-name").fill("7")
    page.get_by_role("button", name="Posters", exact=True).click()
    choose(page, "Balanced")
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")


def test_no_task_blocks_the_page_for_a_tenth_of_a_second(
    many: sync_api.Page, posters: list[bytes], tmp_path: Path
) -> None:
    page = many
    slowest = []
    for _ in range(3):  # a busy machine is no fault: a fixed task is timed before and after
        pace = page.evaluate(PACE)
        page.evaluate(LONG_TASKS)
        add_many(page, 200, posters[0], tmp_path)
        use(page)
        longest = max(page.evaluate("window.longTasks"), default=0)
        slowest.append(longest / max(1, pace / QUIET_PACE, page.evaluate(PACE) / QUIET_PACE))
        if slowest[-1] < SLOWEST:
            return
        page.get_by_role("button", name="Clear").click()
    raise AssertionError(f"milliseconds of the longest task, at the pace of a quiet machine: {slowest}")


def test_two_thousand_posters_are_drawn_where_they_are_seen(
    many: sync_api.Page, posters: list[bytes], tmp_path: Path
) -> None:
    page = many
    add_many(page, 2000, posters[0], tmp_path)
    drawn = page.locator("#posters .chips, #posters .waiting")
    assert 0 < drawn.count() < 200
    use(page)
    assert drawn.count() < 200
    page.get_by_role("button", name="Table").click()
    assert 0 < page.locator("#rows th").count() < 30


def test_what_is_pressed_is_large_enough_for_a_finger(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    pressed = page.locator("#tools button, #tools label, #results button, footer summary").all()
    heights = [box["height"] for one in pressed if (box := one.bounding_box())]
    assert len(heights) >= 8 and min(heights) >= 24  # WCAG 2.2, target size


def test_the_keyboard_reaches_everything(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    page.evaluate("document.activeElement.blur()")
    focused = []
    for _ in range(9):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert focused[:7] == ["choose", "show-posters", "show-table", "csv", "json", "balanced", "clear"]
    page.get_by_role("radio", name="Balanced").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="Fewer wrong").is_checked()
    page.locator(".chips button, .others button").first.focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="a.png")
    sync_api.expect(viewer).to_be_visible()
    page.keyboard.press("Escape")
    sync_api.expect(viewer).to_be_hidden()
    page.get_by_role("button", name="Table").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("table").is_visible()


def test_the_keyboard_alone_does_everything(page: sync_api.Page) -> None:
    def press(name: str, key: str = "Enter", *, role: str = "button", within: str = "body") -> None:
        """Tab until what has the name has the focus, then press a key."""
        wanted = page.locator(within).get_by_role(role, name=name).first  # type: ignore[arg-type]
        for _ in range(60):
            if wanted.evaluate("(one) => one === document.activeElement"):
                break
            page.keyboard.press("Tab")
        sync_api.expect(wanted).to_be_focused()
        page.keyboard.press(key)

    page.get_by_role("button", name="Captain Turnip").wait_for()
    press("Captain Turnip")
    finished(page, "1 poster read.")
    press("Balanced", "ArrowLeft", role="radio")
    assert page.get_by_role("radio", name="Best whole set").is_checked()
    press("Show Captain Turnip.jpg large")
    press("Comedy", "Space", within="#viewer")
    sync_api.expect(page.locator("#viewer-said")).to_have_text(re.compile("speaks for Comedy"))
    if page.locator("#viewer-slide").is_visible():
        press("Opacity of the heat map", "End", role="slider")
        assert page.locator("#viewer-opacity").input_value() == "100"
    page.keyboard.press("Escape")
    press("Table")
    press("Highest")
    press("Name", "z", role="searchbox")
    sync_api.expect(page.locator("#filtered")).to_have_text("0 of 1 posters")
    with page.expect_download():
        press("Download CSV")
    press("Clear")
    sync_api.expect(page.locator("#results")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "choose"


def test_a_screen_reader_finds_every_part(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0]), ("b.txt", b"no picture")]))
    finished(page, "1 poster read, 1 could not be read.")
    sync_api.expect(page.locator("main")).to_match_aria_snapshot(
        """
        - button /^Drop posters here or choose files.* up to 20 MB each/
        - group "Show as":
          - button "Posters" [pressed]
          - button "Table"
        - group "Download":
          - button "Download CSV"
          - button "Download JSON"
        - group "Which mistakes matter?":
          - radio /Balanced \\d+% right, \\d+% found/ [checked]
          - radio /Fewer wrong/
        - status: 1 poster read, 1 could not be read.
        - region "Predicted genres":
          - heading "Predicted genres" [level=2]
          - paragraph: /Precision \\d+%/
          - list:
            - listitem:
              - button "Show a.png large"
              - heading "a.png" [level=3]
              - list "Predicted genres":
                - listitem:
                  - button /(Comedy|Drama|Horror) \\d+% right .* times when it says/
            - listitem:
              - button /Show b.txt large/
              - heading "b.txt" [level=3]
              - paragraph: /not a picture of a known format/
        """
    )


def test_a_phone_needs_no_sideways_scrolling(page: sync_api.Page, posters: list[bytes]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.evaluate(DROP, encoded([("a-very-long-name-without-any-space-in-it" * 3 + ".png", posters[0]), ("b", b"no")]))
    finished(page, "1 poster read, 1 could not be read.")
    for button in ("Table", "Posters"):
        page.get_by_role("button", name=button, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator(".picture").first.click()
    assert page.locator("#viewer").evaluate("(viewer) => viewer.scrollWidth <= viewer.clientWidth")


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
        finished(page, "1 poster read.")
        page.close()
