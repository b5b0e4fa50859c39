import base64
import dataclasses
import io
import re
import time
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from drawn_evaluation import NAN, evaluation, genre, score
from onesheet.errors import OnesheetError
from onesheet.evaluation.label_errors import SuspectLabel
from onesheet.evaluation.slices import METRICS, Slice
from onesheet.evaluation.threshold_steps import ThresholdSteps
from onesheet.reporting.report_page import Example, write_report

EVIL = "<script>alert('1')</script> & \"two\""
VOID = {"meta", "link", "img", "br", "path", "use", "input"}
KINDS = ("best", "worst", "suspect", "sample")
STEPS = ThresholdSteps((0.0, 0.3, 1.0), (50, 20, 0), (10, 8, 0), 10, {"balanced": 1})


class Page(HTMLParser):
    """Collects tags, ids and cells; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def history(epochs=3):
    return [
        {"epoch": float(epoch), "best": float(epoch == 2), "train_loss": 1 / epoch, "validation_loss": 1.1 / epoch,
         "train_map": 0.1 * epoch, "validation_map": float("nan")}
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def by_films():
    return [
        {"films": films, "draw": draw, "map": 0.3 + films / 1000 + draw / 100, "roc_auc": 0.7}
        for films in (25, 50, 100) for draw in range(1 if films == 100 else 3)
    ]  # fmt: skip


def example(title="Heat", kind="best", size=(60, 40), names=("Action", "Drama", "Horror")):
    poster = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    heat = (names[0], poster[::-1]) if kind == "worst" else None
    return Example(poster, title, names[:2], names[1:3], dict.fromkeys(names, 0.5), kind, heat, names[:1])


def write(folder, **changes):
    result = changes.get("evaluation", evaluation())
    given = {
        "evaluation": result,
        "steps": dict.fromkeys(result.genres, STEPS),
        "slices": {"Decade": [Slice("1990s", 40, dict.fromkeys(METRICS, score(0.5)))]},
        "suspects": [SuspectLabel(0, 1, True, 0.01, 0.9)],
        "history": history(),
        "by_films": by_films(),
        "balance": {"train": [10, 20, 30], "test": [1, 2, 3]},
        "examples": [
            example(),
            example("Alien", "worst"),
            example("Up", "suspect"),
            example("Big", "sample", names=result.genres),
        ],
        "findings": {"truncated": (3, "the file ends early")},
        "audit": None,
        "facts": {"Model": "poster-cnn", "Training time": "3 min"},
    } | changes
    write_report(folder / "report.html", **given)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("same", [True, False])
def test_two_points_that_are_one_are_said_to_be(tmp_path, same):
    result = evaluation()
    if same:
        result.at["precise"] = dict(result.at["balanced"])
    assert ("gives what <em>balanced</em> gives" in write(tmp_path, evaluation=result)) == same


def test_the_page_is_whole_and_asks_for_nothing_outside(tmp_path):
    text = write(tmp_path)
    page = Page(text)
    assert "http:" not in text and "https:" not in text and "url(" not in text.replace("url(#", "")
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    assert page.count("h1") == 1 and page.count("script") == 1
    assert page.count("svg") > 4 + 3 + 4  # learning, one a genre, reliability, and the small lines


def test_ids_are_unique_and_every_reference_is_answered(tmp_path):
    text = write(tmp_path)
    ids = [attrs["id"] for _, attrs in Page(text).tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    assert write(tmp_path) == write(tmp_path)


def test_the_users_matplotlib_settings_neither_matter_nor_change(tmp_path):
    plain = write(tmp_path)
    with matplotlib.rc_context({"svg.fonttype": "path", "font.size": 30, "text.color": "red"}):
        assert write(tmp_path) == plain
        assert matplotlib.rcParams["font.size"] == 30
    assert matplotlib.rcParams["svg.hashsalt"] is None


def test_everything_is_escaped(tmp_path):
    names = (EVIL, "100 %", "$x_1$", "ドラマ & Сказка")
    text = write(
        tmp_path,
        evaluation=evaluation(names=names),
        balance={EVIL: [1, 2, 3, 4]},
        examples=[example(EVIL, kind, names=names) for kind in KINDS] + [example("bytes \udcff", names=names)],
        slices={EVIL: [Slice(EVIL, 40, dict.fromkeys(METRICS, score(0.5)))]},
        findings={EVIL: (1, EVIL)},
        facts={EVIL: EVIL, "Model": EVIL},
    )
    page = Page(text)
    assert page.count("script") == 1
    assert "<script>alert" not in text
    shown = "".join(page.texts)
    for name in names:
        assert name in shown
    assert "bytes ?" in shown


def test_figures_follow_the_pages_colours(tmp_path):
    text = write(tmp_path)
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert "var(--accent)" in drawings
    assert not re.search(r"#[0-9a-f]{6}\b", drawings)


def test_the_tables_say_what_the_evaluation_says(tmp_path):
    result = evaluation()
    text = write(tmp_path, evaluation=result)
    for one in result.per_genre:
        assert f">{one.average_precision.value:.3f}<small>" in text
        assert f'data-value="{one.at["balanced"].f1.value}"' in text
    for scores in (*result.at.values(), *result.baselines.values()):
        assert f"<td>{scores['macro_f1'].value:.3f}<small>" in text
    counts = np.array(result.confusion)
    for row, one in enumerate(result.per_genre):
        for column, other in enumerate(result.genres):
            share = counts[row, column] / one.support
            words = f"{one.genre} films, predicted {other}: {counts[row, column]:.0f} ({100 * share:.0f}%)"
            assert f'title="{words}"' in text
    assert "the epoch kept: 2 of 3" in text


def test_genres_are_listed_best_first(tmp_path):
    genres = [genre("Drama", ap=0.3), genre("Horror", ap=0.8), genre("War", ap=0.5)]
    text = write(tmp_path, evaluation=evaluation(genres))
    section = text[text.index('<section id="genres">') : text.index('<section id="curves">')]
    assert re.findall(r'<th scope="row" data-value="(\w+)"', section) == ["Horror", "War", "Drama"]


@pytest.mark.parametrize("size", [(60, 40), (900, 600), (50, 900), (1, 1)])
def test_posters_are_small_pictures_within_the_page(tmp_path, size):
    text = write(tmp_path, examples=[example(size=size)])
    data = re.search(r'<img src="data:image/webp;base64,([^"]+)"', text)[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.width <= 200 and image.height <= 300
        if size == (60, 40):
            assert image.size == (40, 60)


def test_little_is_enough(tmp_path):
    """One genre, no films, nothing trained, no example, no finding."""
    empty = dataclasses.replace(
        genre(support=0, share=0.0), average_precision=NAN, roc_auc=NAN, curve=(), calibration_error=NAN
    )
    result = dataclasses.replace(evaluation([empty], films=0), baselines={}, reliability=())
    nothing = {"history": [], "by_films": [], "slices": {}, "suspects": [], "examples": [], "findings": {}}
    text = write(tmp_path, evaluation=result, balance={"test": [0]}, facts={}, **nothing)
    page = Page(text)
    for section in ("learning", "films", "posters", "explorer", "slices"):
        assert f'id="{section}"' not in text and f'href="#{section}"' not in text
    assert "Nothing." in page.texts and "None found." in page.texts
    assert "nan" not in [text.strip().lower() for text in page.texts]
    assert "nan" not in "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))


def test_a_full_report_is_small_and_quick(tmp_path):
    names = [f"Genre {k}" for k in range(24)]
    examples = [example(f"Film {k}", KINDS[min(k // 12, 3)], (224, 160), names) for k in range(132)]
    start = time.process_time()  # a busy machine is no fault
    text = write(
        tmp_path,
        evaluation=evaluation(names=names),
        history=history(30),
        balance={"train": range(24), "validation": range(24), "test": range(24)},
        examples=examples,
    )
    assert time.process_time() - start < 20
    assert len(text.encode()) < 6_000_000  # of which the posters, noise here, are five


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OnesheetError, match="cannot write"):
        write(tmp_path / "file")
