"""What results show of themselves in notebooks."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import onesheet
from onesheet.data import Catalogue, Film, Finding, Findings
from onesheet.evaluation import Evaluation
from onesheet.genres import GenreSet
from onesheet.packed import Packed
from onesheet.pipeline import evaluate_file
from onesheet.training import Run

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


def test_a_prediction_shows_its_genres(catalogue: Catalogue, model_path: Path) -> None:
    prediction = onesheet.load(model_path).predict(catalogue.films[0].poster)
    shown = Reader(prediction._repr_html_())
    assert len(shown.rows) == 1 + len(catalogue.genres)
    likely = sorted(prediction.probabilities, key=lambda name: -prediction.probabilities[name])
    assert [row[0] for row in shown.rows[1:]] == likely


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
    for key, score in evaluation.ranking.items():
        assert rows[key.replace("_", " ")][1] == f"{score.value:.3f}"
    score = evaluation.at["balanced"]["micro_f1"]
    row = rows["micro f1 at balanced"]
    assert row[1] == f"{score.value:.3f}" and row[3] == f"{score.low:.3f}–{score.high:.3f}"
    best = max(scores["micro_f1"].value for scores in evaluation.baselines.values())
    assert row[4].startswith(f"{best:.3f}, ")
    least = min(scores["hamming_loss"].value for scores in evaluation.baselines.values())
    assert rows["hamming loss at balanced"][4].startswith(f"{least:.3f}, ")
    for genre in evaluation.per_genre:
        assert rows[genre.genre][1:3] == [str(genre.support), f"{genre.average_precision.value:.3f}"]
