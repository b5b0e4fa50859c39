from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onesheet.data import Catalogue
from onesheet.errors import CatalogueError, ConfigError, UnreadablePoster
from onesheet.images import read_poster
from onesheet.packed import Packed
from onesheet.predict import Failure, Prediction, Predictor, find_posters, left_out, load, score_split


@pytest.fixture(scope="module")
def predictor(model_path: Path) -> Predictor:
    return load(model_path)


def test_a_poster_from_a_path_and_from_bytes(predictor: Predictor, catalogue: Catalogue) -> None:
    path = catalogue.films[0].poster
    prediction = predictor.predict(path)
    assert list(prediction.probabilities) == list(predictor.genres.names)
    assert predictor.predict(Path(path).read_bytes()).probabilities == prediction.probabilities
    scores = predictor.score(read_poster(path, size=(48, 32))[None])
    np.testing.assert_allclose(list(prediction.probabilities.values()), scores.probabilities[0], atol=1e-6)
    thresholds = predictor.card.operating_points["balanced"]["thresholds"]
    given = {
        genre
        for genre, value, threshold in zip(predictor.genres.names, scores.probabilities[0], thresholds, strict=True)
        if value >= threshold
    }
    assert set(prediction.genres) == given
    assert list(prediction.genres.values()) == sorted(prediction.genres.values(), reverse=True)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_are_as_one_by_one_in_order(threads: int, model_path: Path, catalogue: Catalogue) -> None:
    predictor = load(model_path, threads=threads)
    posters = [film.poster for film in catalogue.films[:45]]
    answers = list(predictor.predict_many(posters))
    assert [answer.path for answer in answers] == posters
    for answer in answers[::11]:
        assert isinstance(answer, Prediction)
        alone = predictor.predict(answer.path)
        assert alone.genres.keys() == answer.genres.keys()
        np.testing.assert_allclose(list(alone.probabilities.values()), list(answer.probabilities.values()), atol=1e-5)


def test_a_broken_poster_stops_nobody(predictor: Predictor, catalogue: Catalogue, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no poster")
    empty = tmp_path / "line\nbreak ' \" é.png"
    empty.write_bytes(b"")
    good = [film.poster for film in catalogue.films[:20]]
    posters = [str(text), *good[:10], str(tmp_path / "missing.jpg"), str(tmp_path), *good[10:], str(empty)]
    answers = list(predictor.predict_many(posters))
    assert [answer.path for answer in answers] == posters
    assert [i for i, answer in enumerate(answers) if isinstance(answer, Failure)] == [0, 11, 12, 23]
    with pytest.raises(UnreadablePoster):
        predictor.predict(text)


def test_only_broken_posters(predictor: Predictor, tmp_path: Path) -> None:
    assert all(isinstance(a, Failure) for a in predictor.predict_many([tmp_path / f"{i}.jpg" for i in range(20)]))


def test_a_jpeg_that_ends_in_zeros_is_unreadable(predictor: Predictor, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 60, 3), np.uint8)).save(file, "JPEG")
    whole = file.getvalue()
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "filled.jpg").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    filled, good = predictor.predict_many(find_posters([tmp_path]))
    assert isinstance(filled, Failure) and "it ends in zeros before the picture does" in filled.error
    assert isinstance(good, Prediction)


def test_operating_points_and_top(predictor: Predictor, catalogue: Catalogue) -> None:
    poster = catalogue.films[0].poster
    for point in ("balanced", "precise", "generous", "exact"):
        assert predictor.predict(poster, at=point).at == point
    assert predictor.predict(poster, at="exact").genres  # a label set is never empty
    top = predictor.predict(poster, top=2)
    assert len(top.genres) == 2 and next(iter(top.genres)) == max(top.probabilities, key=top.probabilities.__getitem__)
    with pytest.raises(ConfigError, match="unknown operating point 'best'; use balanced, "):
        predictor.predict(poster, at="best")
    with pytest.raises(ConfigError, match="unknown operating point"):
        next(predictor.predict_many([poster], at="best"))


def test_a_packed_part_scores_as_its_files(predictor: Predictor, packed: Packed) -> None:
    probabilities = score_split(predictor, packed, "test").probabilities
    paths = [packed.films[row].poster for row in packed.rows("test")]
    from_files = [list(answer.probabilities.values()) for answer in predictor.predict_many(paths)]  # type: ignore[union-attr]
    np.testing.assert_allclose(probabilities, from_files, atol=1e-5)


def test_threads_must_be_positive(model_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads must be at least 1; got 0"):
        load(model_path, threads=0)


def test_files_folders_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "b.jpg",
        "a.PNG",
        "deep/er/c.webp",
        "notes.txt",
        "odd [1].jpg",
        ".Trash/gone.jpg",
        "deep/.thumbs/c.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_posters(["."]) == ["a.PNG", "b.jpg", "deep/er/c.webp", "odd [1].jpg"]
    assert find_posters(["*.jpg"]) == ["b.jpg", "folder.jpg", "odd [1].jpg"]
    assert find_posters([".Trash"]) == [".Trash/gone.jpg"]  # named, it is meant
    assert find_posters(["odd [1].jpg", "missing.jpg", "notes.txt", "folder.jpg"]) == [
        "odd [1].jpg",
        "missing.jpg",
        "notes.txt",
        "folder.jpg",
    ]
    assert find_posters(["**/*.webp"]) == ["deep/er/c.webp"]
    (tmp_path / "empty").mkdir()
    assert find_posters(["empty", "*.tiff", "odd [1].jpg"]) == ["empty", "*.tiff", "odd [1].jpg"]  # none is lost
    for nothing, why in {
        "*.tiff": "nothing matches '*.tiff'; check the pattern",
        "empty": "no poster in the folder 'empty' or below; looked for .avif, ",
        "missing.jpg": "no such file or folder: 'missing.jpg'; check the path",
        "https://posters/1.jpg": "'https://posters/1.jpg' is an address, and nothing is fetched; download the poster",
    }.items():
        with pytest.raises(CatalogueError, match=re.escape(why)):
            find_posters([nothing])
    with pytest.raises(CatalogueError, match="no poster named"):
        find_posters([])


@pytest.mark.parametrize("top", [0, -1, 4])
def test_top_is_a_number_of_genres(top: int, model_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(ConfigError, match=f"top must be between 1 and 3, the model's genres; got {top}"):
        load(model_path, threads=1).predict(catalogue.films[0].poster, top=top)


def test_top_and_a_point_exclude_each_other(model_path: Path, catalogue: Catalogue) -> None:
    predictor, poster = load(model_path, threads=1), catalogue.films[0].poster
    with pytest.raises(ConfigError, match="got at=precise and top=2: leave one out"):
        predictor.predict(poster, at="precise", top=2)
    assert predictor.predict(poster, at="balanced", top=2) == predictor.predict(poster, top=2)


def test_one_path_is_not_many(model_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"predict_many takes several posters; got 'poster\.jpg'"):
        load(model_path, threads=1).predict_many("poster.jpg")


def test_what_a_folder_has_besides_posters_is_counted_by_reason(tmp_path: Path) -> None:
    names = [
        "a.jfif",
        "b.tbn",
        "c",
        "d.jpe",
        "e.JPG",
        "f.heic",
        "g.jpg_large",
        "h.jpg?itok=abc",
        "i.jxl",
        ".hidden.jpg",
    ]
    for name in names:
        (tmp_path / name).touch()
    assert {why: [Path(path).name for path in paths] for why, paths in left_out([tmp_path]).items()} == {
        "hidden": [".hidden.jpg"],
        "of the unsupported format .heic": ["f.heic"],
        "of the unsupported format .jxl": ["i.jxl"],
        "with the suffix .jpg?itok=abc, which is no image's": ["h.jpg?itok=abc"],
        "with the suffix .jpg_large, which is no image's": ["g.jpg_large"],
        "with the suffix .tbn, which is no image's": ["b.tbn"],
        "without a suffix": ["c"],
    }
