"""The example page in a real browser, with ONNX Runtime Web from npm."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
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

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
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
FIT = """async ([poster, height, width, resize]) => {
  const { fitted } = await import("/onesheet.js");
  return Array.from(fitted(poster, height, width, resize));
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Path:
    """The example as its README sets it up, with model files and posters beside it."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    assert NPM, "no npm here; apt-get install npm"
    installed = subprocess.run(
        [NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, capture_output=True, text=True
    )
    if installed.returncode:
        stop = pytest.fail if "CI" in os.environ else pytest.skip
        stop(f"npm cannot install onnxruntime-web: {installed.stderr.strip().splitlines()[-1]}")
    shutil.copy(model_path, folder / "tiny.onnx")
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
        opened = browser.new_page()
        opened.set_default_timeout(120_000)
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
        opened.goto(address)
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


def test_the_page(site: Path, page: sync_api.Page, model_path: Path) -> None:
    predictor: Predictor = load(model_path, threads=1)
    posters = [noise(site / f"poster-{side}.png", side, 40) for side in (50, 60)]
    broken = site / "broken.png"
    broken.write_text("no picture")
    page.set_input_files("#model", site / "index.html")
    page.get_by_role("status").filter(has_text="this").wait_for()  # no ONNX file, said in words
    page.set_input_files("#model", model_path)
    page.get_by_role("status").filter(has_text="3 genres").wait_for()
    page.set_input_files("#posters", [*posters, broken])
    page.get_by_role("status").filter(has_text="3 answered").wait_for()
    for point in predictor.points:
        page.select_option("#point", point)
        shown = [row.split("\t") for row in page.locator("#answers tr").all_inner_texts()]
        for (name, genres), poster in zip(shown, posters, strict=False):
            expected = predictor.predict(poster, at=point).genres
            assert name == poster.name
            assert genres == (", ".join(f"{g} {100 * p:.0f} %" for g, p in expected.items()) or "no genre"), point
        assert shown[2][0] == "broken.png" and shown[2][1].startswith("cannot be read")
