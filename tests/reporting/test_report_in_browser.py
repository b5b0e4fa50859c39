"""The pages in a real browser, as they are opened from a disk."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from test_report_page import example, write

from axe_core import axe, serious
from drawn_evaluation import ANSWERED_GENRES, answers, evaluation, genre
from onesheet.audit import audit
from onesheet.data import read_catalogue
from onesheet.drawn import draw_catalogue
from onesheet.evaluation import Thresholds, evaluate
from onesheet.evaluation.comparison import compare_predictions
from onesheet.evaluation.threshold_steps import threshold_steps
from onesheet.reporting import write_audit
from onesheet.reporting.comparison_page import write_comparison

__all__ = ["axe"]  # a fixture

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine; apt install chromium")

GENRES = ("Action", "Drama", "Horror")
MIDDLE = "const box = one.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2];"
CENTRE = f"(plot) => {{ const one = plot.querySelector('i'); {MIDDLE} }}"
CENTRE_OF_MARK = f"(one) => {{ {MIDDLE} }}"


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

    def open_page(path, unfold=True, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        if unfold:
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
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
            predicted=tuple(np.array(GENRES)[probabilities[row] >= 0.4].tolist()),
            probabilities=dict(zip(GENRES, probabilities[row].tolist(), strict=True)),
        )
        for row in range(40)
    ]
    steps = {
        genre: threshold_steps(labels[:, k], probabilities[:, k], points={"balanced": 0.4, "precise": 0.7})
        for k, genre in enumerate(GENRES)
    }
    points = {"balanced": Thresholds((0.4,) * 3), "precise": Thresholds((0.7,) * 3)}
    measured = evaluate(labels, probabilities, genres=GENRES, points=points, train_labels=labels, draws=20)
    write(folder, evaluation=measured, steps=steps, examples=[example(), *sample], audit="audit.html")
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
    assert shown()[0][0] < 0.7 and shown()[0][2] >= round(expected(1, 0.7)[0].expected[2], 3)
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


def test_the_first_screen_holds_headline_tiles_and_all_genres(open_page, tmp_path):
    genres = [genre(f"Genre {k}", f1=0.3 + k / 100, support=20 + 10 * k) for k in range(24)]
    write(tmp_path, evaluation=evaluation(genres), balance={"test": range(24)}, examples=[])
    page = open_page(tmp_path / "report.html", unfold=False, viewport={"width": 1400, "height": 900})
    for inside in ("h1", ".tiles", ".chart"):
        box = page.locator(inside).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, inside
    assert page.locator(".tiles b").all_inner_texts() == [
        f"{name}\nat balanced" for name in ("Precision", "Recall", "Exact match")
    ]
    rows = page.locator(".chart tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == [f"Genre {k}" for k in (*range(23, 0, -1), 0)]
    assert "20 films, predicted 20 times, right 10" in rows[-1]


def test_a_link_opens_its_section_and_the_sections_stay_in_sight(open_page, report):
    page = open_page(report, unfold=False, viewport={"width": 1400, "height": 900})
    assert not page.locator("#curves .multiples").is_visible()
    page.locator("nav a", has_text="Precision and recall").click()
    page.locator("#curves .multiples").wait_for()
    assert 0 <= page.locator("#curves").bounding_box()["y"] < 900
    assert page.locator("nav").bounding_box()["y"] == 0


def test_it_prints_in_under_8_pages(open_page, tmp_path):
    names = [f"Genre {k}" for k in range(24)]
    examples = [example(f"Film {k}", "worst", (224, 160), names) for k in range(24)]
    write(tmp_path, evaluation=evaluation(names=names), balance={"test": range(24)}, examples=examples)
    page = open_page(tmp_path / "report.html", unfold=False)
    assert page.pdf(format="A4").count(b"/Type /Page\n") in range(2, 8)


def test_pointing_at_a_curve_reads_it(open_page, report, truth):
    labels, probabilities = truth
    page = open_page(report, viewport={"width": 1280, "height": 900})
    figure = page.locator("[data-curve=Drama]")
    plot = figure.locator(".plot")
    plot.scroll_into_view_if_needed()

    own, given = labels[:, 1], probabilities[:, 1] >= 0.4
    right = (own & given).sum()
    said = f"threshold 0.400, precision {right / given.sum():.3f}, recall {right / own.sum():.3f}"
    plot.focus()
    assert figure.locator(".reading").inner_text() == said == plot.get_attribute("aria-valuetext")
    place = plot.evaluate(CENTRE)
    marks = plot.locator("svg use").all()
    assert min(np.hypot(*np.subtract(mark.evaluate(CENTRE_OF_MARK), place)) for mark in marks) < 1
    plot.press("End")
    assert figure.locator(".reading").inner_text() != said
    page.mouse.move(*place)
    assert figure.locator(".reading").inner_text() == said
    plot.press("ArrowRight")
    above = min(value for value in probabilities[:, 1] if value > 0.4)
    read = figure.locator(".reading").inner_text()
    assert read.startswith("threshold ") and float(read.split()[1].strip(",")) >= round(above, 3)


def test_a_cell_opens_its_posters(open_page, report, truth):
    labels, probabilities = truth
    page = open_page(report)
    row, column = "Drama", "Action"
    own, given = labels[:, GENRES.index(row)], probabilities[:, GENRES.index(column)] >= 0.4
    cell = page.get_by_role("button", name=f"{row} films, predicted {column}:")
    both, share = int((own & given).sum()), (own & given).sum() / own.sum()
    assert cell.get_attribute("title") == f"{row} films, predicted {column}: {both} ({100 * share:.0f}%)"
    cell.click()
    dialog = page.get_by_role("dialog")
    shown = min(12, int((own & given)[:40].sum()))
    assert dialog.locator("img").count() == shown > 3
    assert f"{shown} of {both}" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    # the keyboard walks the table
    page.locator(".cells button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert dialog.is_visible() and dialog.locator("h2").inner_text() == (
        f"{page.locator('.cells tbody th').nth(1).inner_text()} films, predicted "
        f"{page.locator('.cells thead th').nth(1).inner_text()}"
    )


def test_the_diagonal_of_the_table_is_recall(open_page, report, truth):
    labels, probabilities = truth
    page = open_page(report)
    for column, name in enumerate(GENRES):
        own, given = labels[:, column], probabilities[:, column] >= 0.4
        recall = (own & given).sum() / own.sum()
        assert page.locator(f"td[data-row='{column}'][data-column='{column}']").inner_text() == f"{100 * recall:.0f}"
        told = page.locator(f"#genres tr:has(th[data-value={name}]) td").nth(5).get_attribute("data-value")
        assert float(told) == pytest.approx(recall)


def test_without_scripts_all_figures_are_there(open_page, report):
    page = open_page(report, unfold=False, java_script_enabled=False)
    assert page.locator("#genres tbody tr").count() == 3
    page.locator("#curves summary").click()
    assert "balanced: threshold 0.400" in page.locator("#curves").inner_text()
    page.locator("#mistakes summary").click()
    assert page.locator(".cells td").first.is_visible() and "Press a cell" not in page.locator("#mistakes").inner_text()
    page.locator("#explorer summary").click()
    assert not page.locator(".explorer").is_visible()
    assert "needs JavaScript" in page.locator("#explorer").inner_text()


def test_a_comparison_sorts_and_fits_too(open_page, tmp_path):
    comparison = compare_predictions(answers(60, seed=1), answers(60, seed=2), draws=20)
    write_comparison(tmp_path / "compare.html", comparison, name_one="<i>old", name_other="new")
    page = open_page(tmp_path / "compare.html", viewport={"width": 390, "height": 800})
    page.locator("#genres thead button").nth(0).click()
    assert column(page, 0) == sorted(column(page, 0))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for genre_name in ANSWERED_GENRES:
        strokes = page.locator(f"#curves figure:has(figcaption:has-text('{genre_name}')) svg path").all()
        styles = " ".join(stroke.get_attribute("style") or "" for stroke in strokes)
        assert styles.count("stroke: var(--accent)") == styles.count("stroke: var(--second)") == 1
    alone = len(comparison.only_one[:24]) + len(comparison.only_other[:24])
    assert page.locator(".example").count() == alone > 0
    assert "<i>old" in page.locator(".kicker").inner_text()


def test_better_is_to_the_right_whatever_the_metric(open_page, tmp_path):
    """The other model is far better: also where less is better its dots are right of the middle."""
    comparison = compare_predictions(answers(400, skill=0.2, seed=1), answers(400, skill=3, seed=2), draws=20)
    assert comparison.at["balanced"]["hamming_loss"].surely == -1
    for turned in (False, True):
        one, other = ("new", "old") if turned else ("old", "new")
        if turned:
            comparison = compare_predictions(comparison.other, comparison.one, draws=20)
        write_comparison(tmp_path / "compare.html", comparison, name_one=one, name_other=other)
        page = open_page(tmp_path / "compare.html")
        for name in ("Mean average precision", "Micro-F1", "Wrong predictions"):
            row = page.locator(".gains tr", has=page.get_by_role("rowheader", name=name))
            line, dot = (row.locator(f".spark .{part}").bounding_box() for part in ("line", "dot"))
            right = dot["x"] + dot["width"] / 2 > line["x"] + line["width"] / 2
            assert right is not turned, name


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "compare", "audit"])
def test_axe_finds_nothing_serious(open_page, axe, report, tmp_path, name, scheme, width):
    path = {"report": report}.get(name, tmp_path / f"{name}.html")
    if name == "compare":
        comparison = compare_predictions(answers(60, seed=1), answers(60, seed=2), draws=20)
        write_comparison(path, comparison, name_one="old", name_other="new")
    if name == "audit":
        catalogue = read_catalogue(draw_catalogue(tmp_path / "drawn", films=60), min_films=1)
        findings = audit(catalogue)
        write_audit(findings, catalogue, tmp_path, staying=catalogue.without(findings), report="r.html", review="x")
    page = open_page(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate(axe)
    assert serious(page) == []
    if name == "report":
        page.locator(".cells button").first.click()
        assert serious(page) == []
