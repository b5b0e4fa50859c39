"""What results show of themselves in notebooks."""

from __future__ import annotations

import base64
import copy
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

import onesheet
from onesheet.data import Catalogue, Film, Finding, Findings, Packed
from onesheet.evaluation import Evaluation
from onesheet.evaluation.headline import headlines
from onesheet.genres import GenreSet
from onesheet.training import Run, evaluate_file

NASTY = "<script>alert('1')</script>&\""


class Reader(HTMLParser):
    """The tags, the cells of every row, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag != "img":
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def test_a_prediction_shows_its_poster_its_genres_and_the_points_that_give_them(
    catalogue: Catalogue, model_path: Path
) -> None:
    model = onesheet.load(model_path)
    prediction = model.predict(catalogue.films[0].poster)
    html = prediction._repr_html_()
    found = re.search(r'src="data:image/webp;base64,([^"]+)"', html)
    assert found
    picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
    poster = Image.open(catalogue.films[0].poster).convert("RGB")
    assert picture.size == poster.size == (32, 48)
    assert np.abs(np.asarray(picture, float) - np.asarray(poster)).mean() < 30
    shown = Reader(html)
    likely = sorted(prediction.probabilities, key=lambda name: -prediction.probabilities[name])
    assert [row[0] for row in shown.rows[1:]] == likely
    for name, _, probability, points in shown.rows[1:]:
        assert probability == f"{prediction.probabilities[name]:.0%}"
        given = [at for at in model.points if name in model.predict(catalogue.films[0].poster, at=at).genres]
        assert points == ", ".join(given)
    assert any(row[3] for row in shown.rows[1:])


def test_a_prediction_without_its_poster_or_model_shows_the_rest(
    catalogue: Catalogue, model_path: Path, tmp_path: Path
) -> None:
    poster = tmp_path / "poster.png"
    shutil.copy(catalogue.films[0].poster, poster)
    prediction = onesheet.load(model_path).predict(poster)
    poster.unlink()
    for one in (prediction, copy.deepcopy(prediction)):
        shown = Reader(one._repr_html_())
        assert "img" not in shown.tags and len(shown.rows) == 1 + len(catalogue.genres)
    assert (
        "img"
        in Reader(onesheet.load(model_path).predict(Path(catalogue.films[0].poster).read_bytes())._repr_html_()).tags
    )


def test_names_are_escaped() -> None:
    prediction = onesheet.Prediction(f"{NASTY}\udcff", {NASTY: 0.9}, {NASTY: 0.9}, "balanced")
    film = Film("tt1", "poster.png", (NASTY,))
    for html in (prediction._repr_html_(), Catalogue((film,), GenreSet([NASTY]))._repr_html_()):
        html.encode()
        shown = Reader(html)
        assert "script" not in shown.tags and shown.rows[1][0] == NASTY


def test_a_catalogue_and_its_findings_are_counted(catalogue: Catalogue) -> None:
    shown = Reader(catalogue._repr_html_())
    counts = dict(zip(catalogue.genres.names, catalogue.labels.sum(0).tolist(), strict=True))
    assert {row[0]: int(row[1]) for row in shown.rows[1:]} == counts and "200 films, 3 genres" in shown.text
    blank = [Finding("blank", 1.0, film_id=name, drops=True) for name in "aab"]
    shown = Reader(Findings([*blank, Finding("imbalance", 0.5)])._repr_html_())
    assert [row[:2] for row in shown.rows[1:]] == [["blank", "3"], ["imbalance", "1"]]
    assert "4 findings; 2 films to leave out" in shown.text
    assert "0 films" in Catalogue((), GenreSet([]))._repr_html_()


def test_an_evaluation_shows_its_figures_and_its_genres(
    run: Run, packed: Packed, model_path: Path, tmp_path: Path
) -> None:
    evaluation: Evaluation = evaluate_file(model_path, packed, out=tmp_path, run=run, draws=20)
    shown = Reader(evaluation._repr_html_())
    rows = {row[0]: row for row in shown.rows}
    for line in headlines(evaluation):
        assert rows[line.name][1] == f"{line.score.value:.3f}"
        assert rows[line.name][3] == f"{line.score.low:.3f}–{line.score.high:.3f}"
    assert "prior" in rows["Mean average precision"][4]
    for genre in evaluation.per_genre:
        assert rows[genre.genre][1:3] == [str(genre.support), f"{genre.average_precision.value:.3f}"]
