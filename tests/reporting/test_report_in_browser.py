"""The pages in a real browser, as they are opened from a disk."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from test_report_page import example, write

from drawn_evaluation import answers, evaluation
from onesheet.evaluation.comparison import compare_predictions
from onesheet.evaluation.threshold_steps import threshold_steps
from onesheet.reporting.comparison_page import write_comparison

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine; apt install chromium")

GENRES = ("Action", "Drama", "Horror")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a file; afterwards there must have been no console message, no error and no outside request."""
    told, asked, contexts = [], [], []

    def open_page(path, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(5)
    labels = rng.random((200, 3)) < (0.5, 0.3, 0.2)
    return labels, np.clip(0.3 * labels + 0.7 * rng.random(labels.shape), 0, 1)


@pytest.fixture(scope="module")
def report(truth, tmp_path_factory):
    labels, probabilities = truth
    folder = tmp_path_factory.mktemp("report")
    sample = [
        dataclasses.replace(
            example(f"Film {row}", "sample", names=GENRES),
            true=tuple(np.array(GENRES)[labels[row]].tolist()),
            probabilities=dict(zip(GENRES, probabilities[row].tolist(), strict=True)),
        )
        for row in range(40)
    ]
    steps = {
        genre: threshold_steps(labels[:, k], probabilities[:, k], points={"balanced": 0.4, "precise": 0.7})
        for k, genre in enumerate(GENRES)
    }
    write(folder, evaluation=evaluation(names=GENRES), steps=steps, examples=[example(), *sample])
    return folder / "report.html"


def column(page, number):
    rows = page.locator("#genres tbody tr").all()
    return [row.locator("th, td").nth(number).get_attribute("data-value") for row in rows]


def test_a_columns_title_sorts_by_it(open_page, report):
    page = open_page(report)
    titles = page.locator("#genres thead button")
    for number, kind in ((0, str), (3, float), (7, float)):
        titles.nth(number).click()
        first = column(page, number)
        titles.nth(number).click()
        assert column(page, number) == first[::-1]
        assert sorted(first, key=kind) in (first, first[::-1])
    titles.nth(0).focus()
    page.keyboard.press("Enter")
    assert column(page, 0) == sorted(GENRES)


def test_moving_a_threshold_changes_figures_and_posters(open_page, report, truth):
    labels, probabilities = truth
    page = open_page(report)

    def shown():
        names = ("threshold", "precision", "recall", "predicted")
        figures = [float(page.locator(f"[data-metric={name}]").inner_text()) for name in names]
        return figures, *(page.locator(f"[data-wall={wall}] figure").count() for wall in ("predicted", "missed"))

    def expected(genre, threshold):
        own, given = labels[:, genre], probabilities[:, genre] >= threshold
        right, sample = (own & given).sum(), slice(40)
        figures = [threshold, right / given.sum(), right / own.sum(), given.sum()]
        return pytest.approx(figures, abs=6e-4), given[sample].sum(), (own & ~given)[sample].sum()

    page.locator(".explorer select").select_option("Drama")
    assert shown() == expected(1, 0.4)
    page.get_by_role("button", name="precise").click()
    assert shown() == expected(1, 0.7) != expected(1, 0.4)
    slider = page.locator(".explorer input")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert shown()[0][0] < 0.7 and shown()[0][2] >= expected(1, 0.7)[0].expected[2]
    page.keyboard.press("Home")
    assert shown()[0] == pytest.approx([0, labels[:, 1].mean(), 1, 200], abs=6e-4)
    assert shown()[1:] == (40, 0)
    page.locator(".explorer select").select_option("Horror")
    assert shown() == expected(2, 0.4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_a_phone_and_a_desk(open_page, report, width, scheme):
    page = open_page(report, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert colour == ("rgb(253, 252, 249)" if scheme == "light" else "rgb(23, 24, 27)")


def test_it_prints_on_a_sheet_of_a4(open_page, tmp_path):
    drawn = evaluation(names=GENRES)
    write(tmp_path, evaluation=dataclasses.replace(drawn, baselines={"commonest label set": drawn.at["0.5"]}))
    page = open_page(tmp_path / "report.html", viewport={"width": 680, "height": 980})  # 15 mm free at each side
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 680


def test_without_scripts_all_figures_are_there(open_page, report):
    page = open_page(report, java_script_enabled=False)
    assert page.locator("#genres tbody tr").count() == 3
    assert not page.locator(".explorer").is_visible()
    assert "needs JavaScript" in page.locator("#explorer").inner_text()


def test_a_comparison_sorts_and_fits_too(open_page, tmp_path):
    comparison = compare_predictions(answers(60, seed=1), answers(60, seed=2), draws=20)
    write_comparison(tmp_path / "compare.html", comparison, name_one="<i>old", name_other="new")
    page = open_page(tmp_path / "compare.html", viewport={"width": 390, "height": 800})
    page.locator("#genres thead button").nth(0).click()
    assert column(page, 0) == sorted(column(page, 0))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    alone = len(comparison.only_one[:24]) + len(comparison.only_other[:24])
    assert page.locator(".example").count() == alone > 0
    assert "<i>old" in page.locator(".kicker").inner_text()
