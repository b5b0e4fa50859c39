"""Drawn posters: the same for a seed, openable, as unbalanced as real ones, every fault as written down."""

import csv
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from onesheet.data.findings import FLAGS
from onesheet.drawn import draw_catalogue
from onesheet.drawn.drawn_poster import draw_poster
from onesheet.drawn.faults import PER_1500_FILMS
from onesheet.drawn.invented_films import GENRES, invent
from onesheet.drawn.motifs import MOTIFS
from onesheet.drawn.pen import Pen
from onesheet.errors import ConfigError


def rows_of(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return draw_catalogue(tmp_path_factory.mktemp("drawn"), films=60, seed=3)


@pytest.fixture(scope="module")
def faults(catalogue):
    return json.loads((catalogue.parent / "faults.json").read_text(encoding="utf-8"))


def test_same_seed_same_files_whatever_the_threads_and_what_lay_there(catalogue, tmp_path):
    draw_catalogue(tmp_path, films=70, seed=9)
    draw_catalogue(tmp_path, films=60, seed=3, threads=1)
    assert digests(tmp_path) == digests(catalogue.parent)


def test_another_seed_gives_other_posters(tmp_path):
    first, second = (draw_catalogue(tmp_path / str(seed), films=2, seed=seed, faults=False) for seed in (0, 1))
    assert digests(first.parent)["film-0000.jpg"] not in digests(second.parent).values()


def test_without_faults_every_row_has_a_whole_poster(tmp_path):
    table = draw_catalogue(tmp_path, films=25, faults=False)
    rows = rows_of(table)
    assert [row["id"] for row in rows] == [f"film-{number:04d}" for number in range(25)]
    for row in rows:
        with Image.open(tmp_path / row["poster"]) as image:
            image.load()
            assert image.mode == "RGB"
            assert 200 <= image.width <= 300
            assert 1.35 < image.height / image.width < 1.55
        assert set(row["genres"].split("|")) <= set(GENRES)
        assert 1931 <= int(row["year"]) <= 2024
    assert json.loads((tmp_path / "faults.json").read_text(encoding="utf-8")) == {}


def test_cues_are_of_the_films_genres_and_inside_the_poster(tmp_path):
    rows = rows_of(draw_catalogue(tmp_path, films=40, faults=False))
    cues = json.loads((tmp_path / "cues.json").read_text(encoding="utf-8"))
    genres = {row["id"]: row["genres"].split("|") for row in rows}
    assert cues.keys() == genres.keys()
    shown = 0
    for film_id, boxes in cues.items():
        assert set(boxes) <= set(genres[film_id])
        shown += len(boxes)
        for left, top, right, bottom in boxes.values():
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            assert (right - left) * (bottom - top) < 0.8
    assert 0.65 < shown / sum(map(len, genres.values())) < 0.95


@pytest.mark.parametrize("genre", [genre for genre in MOTIFS if genre])
def test_a_motif_is_drawn_inside_its_box_and_nowhere_else(genre):
    from PIL import ImageDraw

    image = Image.new("RGB", (400, 400), (1, 2, 3))
    pen = Pen(
        ImageDraw.Draw(image, "RGBA"), 100, 100, 200, np.random.default_rng(0),
        ink=(90, 90, 90), main=(200, 0, 0), glow=(0, 200, 0), flip=True, tilt=0.1,
    )  # fmt: skip
    MOTIFS[genre].draw(pen)
    changed = np.any(np.asarray(image) != (1, 2, 3), axis=2)
    left, top, right, bottom = pen.extent()
    ys, xs = np.nonzero(changed)
    edge = 14  # lines are wider than the points they join
    assert left - edge <= xs.min() and xs.max() <= right + edge
    assert top - edge <= ys.min() and ys.max() <= bottom + edge
    assert right - left > 120
    assert bottom - top > 100
    assert changed.sum() > 2000


def test_genres_are_as_unbalanced_as_in_real_catalogues():
    films = [invent(number, np.random.default_rng([0, number])) for number in range(1500)]
    counts = Counter(genre for film in films for genre in film.genres)
    assert counts.keys() == GENRES.keys()
    assert counts.most_common(1)[0][0] == "Drama"
    assert 0.33 < counts["Drama"] / 1500 < 0.45
    assert all(0.008 < counts[genre] / 1500 < 0.035 for genre in ("Film-Noir", "Musical", "War"))
    assert {len(film.genres) for film in films} == {1, 2, 3}
    assert all(len(set(film.genres)) == len(film.genres) for film in films)


def test_the_same_film_at_two_sizes_is_recognisably_the_same_poster():
    film = invent(5, np.random.default_rng(0))
    small, large = (
        draw_poster(film, width=width, height=width * 3 // 2, rng=np.random.default_rng(1)).image.resize((20, 30))
        for width in (120, 240)
    )
    assert np.abs(np.asarray(small, float) - np.asarray(large, float)).mean() < 25


def test_every_fault_is_there_and_named_as_the_audit_names_it(faults):
    assert faults.keys() == PER_1500_FILMS.keys()
    assert all(faults.values())
    assert set(faults) - {"wrong-label"} <= set(FLAGS)
    films = [note["film"] for notes in faults.values() for note in notes]
    assert len(set(films)) == len(films)


def test_faults_of_files(catalogue, faults):
    folder = catalogue.parent

    def path(flag):
        return folder / faults[flag][0]["poster"]

    assert not path("no-poster").exists()
    assert path("not-an-image").read_bytes().startswith(b"<html>")
    with Image.open(path("blank")) as image:
        assert image.getcolors(maxcolors=1) is not None
    with Image.open(path("truncated")) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_duplicates(catalogue, faults):
    folder = catalogue.parent
    rows = {row["id"]: row for row in rows_of(catalogue)}
    for flag in ("exact-duplicate", "conflicting-duplicate", "near-duplicate"):
        for note in faults[flag]:
            copy, original = rows[note["film"]], rows[note["of"]]
            same_file = (folder / copy["poster"]).read_bytes() == (folder / original["poster"]).read_bytes()
            assert same_file == (flag != "near-duplicate")
            conflict = not set(copy["genres"].split("|")) & set(original["genres"].split("|"))
            assert conflict == (flag == "conflicting-duplicate")
    note = faults["near-duplicate"][0]
    with (
        Image.open(folder / rows[note["film"]]["poster"]) as copy,
        Image.open(folder / rows[note["of"]]["poster"]) as original,
    ):
        assert copy.size != original.size
        pictures = [np.asarray(image.convert("L").resize((16, 24)), float) for image in (copy, original)]
        assert np.abs(pictures[0] - pictures[1]).mean() < 4


def test_faults_of_rows(catalogue, faults):
    rows = rows_of(catalogue)
    by_id = {row["id"]: row for row in rows}
    counts = Counter(row["id"] for row in rows)
    assert {film for film, count in counts.items() if count > 1} == {note["film"] for note in faults["repeated-id"]}
    for note in faults["no-row"]:
        assert note["film"] not in by_id
        assert (catalogue.parent / note["poster"]).exists()
    for note in faults["mis-encoded-title"]:
        title = by_id[note["film"]]["title"]
        assert title != note["title"]
        assert title.encode("cp1252").decode() == note["title"]
    for note in faults["wrong-label"]:
        assert not set(by_id[note["film"]]["genres"].split("|")) & set(note["genres"])


def test_too_few_films_is_one_line_with_the_cure(tmp_path):
    with pytest.raises(ConfigError, match=r"^a drawn catalogue needs 30 films or more; got films=29$"):
        draw_catalogue(tmp_path, films=29)
    assert not list(tmp_path.iterdir())


def test_progress_is_told(tmp_path):
    told = []
    draw_catalogue(tmp_path, films=3, faults=False, progress=lambda *step: told.append(step))
    assert told == [("draw", 1, 3), ("draw", 2, 3), ("draw", 3, 3)]
