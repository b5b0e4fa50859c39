"""The review, heat maps, nearest posters and the report in a real browser, as a person uses them."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving_client import serving_here
from test_serving_page import BROWSER, DROP, browser, encoded, finished

from drawn_review import write_run
from onesheet.apps.review import DecisionStore, read_source
from onesheet.data import Catalogue
from onesheet.predict import load

pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
__all__ = ["browser"]  # a fixture


@pytest.fixture
def run_folder(catalogue: Catalogue, tmp_path: Path) -> Path:
    """Films whose titles are markup, which the page must show as text."""
    films = tuple(replace(film, title=f"<img src=x onerror=alert(1)>{film.title}") for film in catalogue.films)
    return write_run(tmp_path / "run", replace(catalogue, films=films))


@pytest.fixture
def address(model_path: Path, run_folder: Path, catalogue: Catalogue, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "posters").mkdir()
    for film in catalogue.films[:5]:
        shutil.copy(film.poster, tmp_path / "posters")
    with serving_here(model_path, run=run_folder, similar_in=tmp_path / "posters") as url:
        yield url


@pytest.fixture
def page(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:
    """The page, opened; the test fails on any console error and any request to elsewhere."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    context.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    own = (address, "blob:", "data:")
    context.on("request", lambda request: None if request.url.startswith(own) else wrong.append(request.url))
    opened = context.new_page()
    opened.goto(address)
    opened.get_by_text("Drop posters here").wait_for()
    yield opened
    context.close()
    assert wrong == []


def said(page: sync_api.Page, words: str) -> None:
    page.locator("#review-said").filter(has_text=words).wait_for()


def titled(page: sync_api.Page, words: str) -> None:
    page.get_by_role("heading", name=words, exact=True).wait_for()


def test_review_and_undo_with_the_keyboard(page: sync_api.Page, run_folder: Path, tmp_path: Path) -> None:
    page.get_by_role("link", name="Review").focus()
    page.keyboard.press("Enter")
    queue = page.request.get(page.url.split("#")[0] + "v1/review").json()["films"]
    first, second, third = queue[:3]
    titled(page, first["title"])
    assert page.evaluate("document.activeElement.id") == "case-title"
    assert f"labelled {first['doubted'][0]}, which the model predicts with" in page.locator("#case-why").inner_text()
    checked = page.locator("#case-genres input:checked").count()
    assert checked == len(first["genres"])
    sync_api.expect(page.locator("#case-heat")).to_have_js_property("naturalWidth", 32)
    sync_api.expect(page.locator("#case-poster")).to_have_js_property("naturalWidth", 32)
    page.keyboard.press("c")
    said(page, "These are its genres already")
    page.keyboard.press("a")
    titled(page, second["title"])
    said(page, f"{first['title']} accepted.")
    for box in page.locator("#case-genres input:checked").all():
        box.uncheck()
    page.keyboard.press("c")
    said(page, "A film needs at least one genre")
    for box in second["genres"]:
        page.get_by_role("checkbox", name=box).check()
    page.keyboard.press("1")  # the doubted genre
    page.keyboard.press("a")
    said(page, "You have ticked other genres")
    page.keyboard.press("c")
    titled(page, third["title"])
    page.keyboard.press("s")
    said(page, f"{third['title']} skipped.")
    standing = {film: one.action for film, one in DecisionStore(run_folder / "decisions.sqlite").standing().items()}
    assert standing == {first["film"]: "accept", second["film"]: "correct", third["film"]: "skip"}
    page.keyboard.press("u")
    said(page, f"Taken back: {third['title']}.")
    titled(page, third["title"])
    page.keyboard.press("p")
    titled(page, second["title"])
    assert page.locator("#case-state").inner_text() == "Already corrected."
    page.keyboard.press("n")
    titled(page, third["title"])
    page.locator("#review-counts").filter(has_text="Decided: 2, skipped: 0.").wait_for()
    page.get_by_text("History", exact=True).click()
    page.locator("#history-rows li").nth(3).wait_for()
    assert f"{third['title']} taken back" in page.locator("#history-rows li").first.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrected catalogue").click()
    download.value.save_as(tmp_path / "corrected.csv")
    with (tmp_path / "corrected.csv").open(newline="", encoding="utf-8") as file:
        genres = {row["film_id"]: tuple(row["genres"].split("|")) for row in csv.DictReader(file)}
    before = {film.film_id: film.genres for film in read_source(run=run_folder).catalogue.films}
    changed = {film for film in before if genres[film] != before[film]}
    assert changed == {second["film"]}
    assert set(genres[second["film"]]) ^ set(before[second["film"]]) == {second["doubted"][0]}


def test_keys_work_after_a_click_on_the_poster(page: sync_api.Page) -> None:
    page.goto(page.url + "#review")
    title = page.locator("#case-title").inner_text()
    page.locator("#case-poster").click()
    page.keyboard.press("s")
    said(page, f"{title} skipped.")


def test_m_takes_the_models_genres_and_enter_saves_what_is_ticked(page: sync_api.Page, run_folder: Path) -> None:
    page.goto(page.url + "#review")
    first, second, third = page.request.get(page.url.split("#")[0] + "v1/review").json()["films"][:3]
    titled(page, first["title"])
    sync_api.expect(page.locator("#review-place")).to_have_text(re.compile(r"^0 of \d+$"))
    page.evaluate("document.activeElement.blur()")  # keys work wherever the focus is
    page.keyboard.press("m")
    titled(page, second["title"])
    page.keyboard.press("1")
    ticked = page.locator("#case-genres li:has(input:checked) label").all_inner_texts()
    page.locator("#case-genres input").first.focus()
    page.keyboard.press("Enter")
    titled(page, third["title"])
    page.keyboard.press("Enter")  # nothing else is ticked: its genres are right
    page.locator("#case-title").filter(has_not_text=third["title"]).wait_for()
    sync_api.expect(page.locator("#review-place")).to_have_text(re.compile(r"^3 of \d+$"))
    standing = DecisionStore(run_folder / "decisions.sqlite").standing()
    assert standing[first["film"]].genres == tuple(first["predicted"])
    assert set(standing[second["film"]].genres) == {text.split()[0] for text in ticked}
    assert standing[third["film"]].action == "accept"


def test_the_queue_is_filtered_by_reason_and_genre(page: sync_api.Page) -> None:
    page.goto(page.url + "#review")
    page.locator("#case-title").wait_for()
    page.locator("#review-reason").select_option("unsure")
    page.locator("#case-why").filter(has_text="not sure of any genre").wait_for()
    page.locator("#review-reason").focus()
    title = page.locator("#case-title").inner_text()
    page.keyboard.press("s")  # in a list it chooses an entry
    assert page.locator("#case-title").inner_text() == title
    page.locator("#review-reason").select_option("")
    page.locator("#review-genre").select_option("Horror")
    films = page.request.get(page.url.split("#")[0] + "v1/review?genre=Horror").json()["films"]
    titled(page, films[0]["title"])
    page.locator("#review-reason").select_option("no-genres")
    said(page, "There is nothing to review.")


def test_learning_from_the_corrections_offers_a_new_file(page: sync_api.Page, tmp_path: Path) -> None:
    page.goto(page.url + "#review")
    page.locator("#case-title:not(:empty)").wait_for()
    title = page.locator("#case-title").inner_text()
    learn = page.get_by_role("button", name="Learn from the corrections")
    page.keyboard.press("a")
    said(page, f"{title} accepted.")
    learn.click()
    told = page.locator("#learn-said")
    sync_api.expect(told).to_have_text(
        re.compile(r"1 of them decided here.*held out, mean average.*\d"), timeout=60_000
    )
    sync_api.expect(page.locator("#review-place")).to_have_text(re.compile(r"^1 of \d+$"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download genres-1.onnx").click()
    download.value.save_as(tmp_path / "new.onnx")
    assert load(tmp_path / "new.onnx", threads=1).genres.names == ("Comedy", "Drama", "Horror")
    sync_api.expect(learn).not_to_have_attribute("aria-disabled", "true")


def test_after_a_reload_the_last_decision_can_still_be_undone(page: sync_api.Page) -> None:
    page.goto(page.url + "#review")
    page.locator("#case-title").wait_for()
    title = page.locator("#case-title").inner_text()
    page.keyboard.press("a")
    said(page, f"{title} accepted.")
    page.reload()
    page.locator("#case-title").filter(has_not_text=title).wait_for()
    page.get_by_role("button", name="Undo").click()
    said(page, f"Taken back: {title}.")
    titled(page, title)


def test_what_is_not_kept_is_said_and_stays(browser: sync_api.Browser, address: str, run_folder: Path) -> None:
    context = browser.new_context()  # not the fixture: what fails is written to the console
    page = context.new_page()
    page.goto(f"{address}/#review")
    page.locator("#case-title").wait_for()
    title = page.locator("#case-title").inner_text()
    ticked = page.locator("#case-genres input").first.is_checked()
    page.keyboard.press("1")
    page.keyboard.press("n")
    page.locator("#case-title").filter(has_not_text=title).wait_for()
    page.keyboard.press("p")
    titled(page, title)
    assert page.locator("#case-genres input").first.is_checked() is not ticked
    assert page.locator("#case-state").inner_text() == "Ticked and not kept yet: Correct keeps it."
    page.locator("#review-counts").filter(has_text="Decided: 0, skipped: 0.").wait_for()
    context.set_offline(True)
    page.keyboard.press("s")
    said(page, "Not kept: the service does not answer; start it again and press the key again.")
    context.set_offline(False)
    page.keyboard.press("s")
    said(page, f"{title} skipped.")
    page.locator("#review-counts").filter(has_text="Decided: 0, skipped: 1.").wait_for()
    assert [row.action for row in DecisionStore(run_folder / "decisions.sqlite").history(last=9)] == ["skip"]
    context.close()


def test_counts_that_come_late_are_not_shown(page: sync_api.Page) -> None:
    page.goto(page.url + "#review")
    counts = page.locator("#review-counts")
    counts.filter(has_text="Decided: 0, skipped: 0.").wait_for()
    late: list[tuple[sync_api.Route, sync_api.APIResponse]] = []

    def hold(route: sync_api.Route) -> None:
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    page.route("**/v1/review?limit=1", hold)
    title = page.locator("#case-title").inner_text()
    page.keyboard.press("n")
    page.locator("#case-title").filter(has_not_text=title).wait_for()
    page.keyboard.press("s")
    counts.filter(has_text="Decided: 0, skipped: 1.").wait_for()
    [(route, answer)] = late
    with page.expect_event("requestfinished", lambda request: request == route.request):
        route.fulfill(response=answer)
    assert "skipped: 1." in counts.inner_text()


def test_a_grey_heat_map_is_said(page: sync_api.Page) -> None:
    def grey(route: sync_api.Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "onesheet-brightest": ""})

    page.route("**/heat-maps/**", grey)
    page.goto(page.url + "#review")
    page.locator("#case-heat-genre").filter(has_text="Nothing in the poster speaks for").wait_for()
    page.unroute_all(behavior="wait")


def test_two_tabs_do_not_overwrite_each_other(browser: sync_api.Browser, address: str, run_folder: Path) -> None:
    context = browser.new_context()  # not the fixture: the 409 is written to the console
    tabs = [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(f"{address}/#review")
        tab.locator("#case-title").wait_for()
    title = tabs[0].locator("#case-title").inner_text()
    tabs[0].get_by_role("button", name="Accept").click()
    said(tabs[0], f"{title} accepted.")
    tabs[1].get_by_role("button", name="Skip").click()
    said(tabs[1], "Decided in another tab or by another person meanwhile")
    titled(tabs[1], title)
    assert tabs[1].locator("#case-state").inner_text() == "Already accepted."
    assert [row.action for row in DecisionStore(run_folder / "decisions.sqlite").history(last=9)] == ["accept"]
    context.close()


def test_similar_posters_and_the_report(page: sync_api.Page, posters: list[bytes]) -> None:
    page.evaluate(DROP, encoded([("a.png", posters[0])]))
    finished(page, "1 poster read.")
    page.get_by_role("button", name="Show a.png large").click()
    page.get_by_text("Similar posters").click()
    page.locator(".neighbours li").nth(4).wait_for()
    assert page.locator(".neighbours li").first.bounding_box()["width"] > 90  # to be recognised
    assert page.locator(".neighbours li").first.inner_text().split("\n") == ["100% alike", "0000.png"]
    page.keyboard.press("Escape")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Report").click()
    sync_api.expect(popup.value).to_have_title("ran")  # its script may run


def test_the_review_fits_a_phone(page: sync_api.Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(page.url + "#review")
    page.locator("#case-title").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
