"""The example page in a real browser, with ONNX Runtime Web from npm."""

from __future__ import annotations

import base64
import csv
import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from onesheet.images import read_poster
from onesheet.predict import DEFAULT_MODEL, Predictor, load

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NPM = shutil.which("npm")
pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium"),
    pytest.mark.skipif(not NPM and "CI" not in os.environ, reason="no npm here; apt-get install npm"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SCORE = """async ([model, poster]) => {
  const { openModel } = await import("/onesheet.js");
  const opened = await openModel(await (await fetch(model)).arrayBuffer());
  const pixels = await opened.read(await (await fetch(poster)).blob());
  return [Array.from(pixels), await opened.probabilities(pixels)];
}"""
MAPS = """async ([model, poster]) => {
  const { openModel } = await import("/onesheet.js");
  const opened = await openModel(await (await fetch(model)).arrayBuffer());
  const { maps, probabilities } = await opened.answer(await opened.read(await (await fetch(poster)).blob()));
  return [maps, probabilities];
}"""
OPEN = """async (path) => {
  const { openModel } = await import("/onesheet.js");
  return openModel(await (await fetch(path)).arrayBuffer()).catch((error) => error.message);
}"""
POINTS = {"balanced": "Balanced", "precise": "Fewer wrong", "generous": "Fewer missed", "exact": "Best whole set"}
FIT = """async ([poster, height, width, resize]) => {
  const { fitted } = await import("/onesheet.js");
  return Array.from(fitted(poster, height, width, resize));
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Path:
    """The page as `make web` builds it, with a tiny model, and the bundled one beside it."""
    folder = tmp_path_factory.mktemp("site") / "web"
    command = [sys.executable, str(ROOT / "scripts" / "build-web"), "--model", str(model_path), "--out", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop(f"npm cannot install onnxruntime-web: {built.stderr.strip().splitlines()[-1]}")
    shutil.copy(folder / "genres.onnx", folder / "tiny.onnx")
    shutil.copy(DEFAULT_MODEL, folder / "default.onnx")
    return folder


@pytest.fixture(scope="module")
def page(site: Path) -> Iterator[sync_api.Page]:
    """The page, opened; it fails on any error and on any request to elsewhere."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    wrong: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        opened = browser.new_page(accept_downloads=True)
        opened.set_default_timeout(120_000)
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
        opened.goto(address)
        opened.get_by_text("Posters never leave this machine").wait_for()
        yield opened
        browser.close()
    server.shutdown()
    assert [url for url in wrong if not url.startswith(("blob:", "data:"))] == []


def noise(path: Path, height: int, width: int) -> Path:
    rng = np.random.default_rng(height)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 6, 3), dtype=np.uint8)).resize((width, height))
    pixels = np.clip(np.asarray(coarse, dtype=int) + rng.integers(-20, 20, (height, width, 3)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def assert_nearly(made: NDArray[np.integer], expected: NDArray[np.uint8]) -> None:
    """Within one level of 255: Pillow rounds between two passes, whose order depends on the sizes."""
    np.testing.assert_allclose(made.astype(int), expected.astype(int), atol=1)
    assert np.abs(made.astype(int) - expected).mean() < 0.5


@pytest.mark.parametrize("model", ["tiny.onnx", "default.onnx"])
@pytest.mark.parametrize(("height", "width"), [(97, 61), (300, 200), (48, 32)])
def test_the_same_file_gives_the_same_answers(
    model: str, height: int, width: int, site: Path, page: sync_api.Page
) -> None:
    poster = noise(site / f"{height}.png", height, width)
    predictor = load(site / model, threads=1)
    expected = read_poster(poster, size=predictor.card.size)
    pixels, probabilities = page.evaluate(SCORE, [f"/{model}", f"/{poster.name}"])
    same = np.array(pixels, dtype=np.uint8).reshape(expected.shape)
    assert_nearly(same, expected)
    scores = predictor.score(same[None]).probabilities[0]
    np.testing.assert_allclose(probabilities, scores, atol=1e-4)
    assert scores.std() > 0.01


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("size", [(40, 30), (31, 64)])
def test_both_resizes_are_nearly_pillows(resize: str, size: tuple[int, int], site: Path, page: sync_api.Page) -> None:
    poster = noise(site / "fit.png", 50, 41)
    with Image.open(poster) as picture:
        given = {"height": 50, "width": 41, "pixels": np.asarray(picture).ravel().tolist()}
    made = page.evaluate(FIT, [given, *size, resize])
    expected = read_poster(poster, size=size, resize=resize)  # type: ignore[arg-type]
    assert_nearly(np.array(made).reshape(expected.shape), expected)


def test_the_page(site: Path, page: sync_api.Page, model_path: Path, tmp_path: Path) -> None:
    predictor: Predictor = load(model_path, threads=1)
    posters = [noise(site / f"poster-{side}.png", side, 40) for side in (50, 60)]
    broken = site / "broken.png"
    broken.write_text("no picture")
    sync_api.expect(page.locator("#drawn-posters img")).to_have_count(4)
    page.set_input_files("#choose", [*posters, broken])
    page.get_by_role("status").filter(has_text="2 posters read, 1 could not be read.").wait_for()
    cards = page.locator("#posters > li")
    for point, label in POINTS.items():
        page.get_by_role("radio", name=label).check()
        for number, poster in enumerate(posters):
            expected = list(predictor.predict(poster, at=point).genres)
            assert cards.nth(number).locator(".chips b").all_inner_texts() == expected, point
    assert "cannot read this picture in a browser" in cards.nth(2).inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "genres.csv")
    with (tmp_path / "genres.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, poster in zip(rows, posters, strict=False):
        probabilities = predictor.predict(poster).probabilities
        assert {name: float(row[name]) for name in probabilities} == pytest.approx(probabilities, abs=0.01)


def test_heat_maps_are_pythons(site: Path, page: sync_api.Page) -> None:
    predictor = load(site / "tiny.onnx", threads=1)
    poster = noise(site / "warm.png", *predictor.card.size)
    maps, probabilities = page.evaluate(MAPS, ["/tiny.onnx", f"/{poster.name}"])
    scores = predictor.score(read_poster(poster, size=predictor.card.size)[None])
    assert scores.evidence is not None
    evidence = scores.evidence[0].clip(min=0)
    expected = 255 * evidence / np.maximum(evidence.max((1, 2), keepdims=True), 1e-30)
    strengths = np.frombuffer(base64.b64decode(maps["strengths"]), np.uint8)
    np.testing.assert_allclose(strengths.reshape(expected.shape), expected, atol=1.5)
    np.testing.assert_allclose(probabilities, scores.probabilities[0], atol=1e-3)


def test_a_file_that_is_no_model_is_an_error(page: sync_api.Page) -> None:
    for path in ("/index.html", "/samples/0.jpg"):
        assert page.evaluate(OPEN, path).startswith("this ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawn_poster_is_one_click_away(scheme: str, page: sync_api.Page) -> None:
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.locator("#drawn-posters button").first.click()
    page.get_by_role("status").filter(has_text="1 poster read.").wait_for()
    page.get_by_role("button", name="Show ").first.click()
    viewer = page.get_by_role("dialog")
    viewer.locator("#viewer-genres button").first.click()
    sync_api.expect(page.locator("#viewer-said")).to_have_text(re.compile("the poster speaks for"))
    page.keyboard.press("Escape")
