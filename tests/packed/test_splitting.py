"""Splits: proportionate, whole groups, the same everywhere, and those that are given."""

from __future__ import annotations

import csv
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onesheet.data.catalogue import Catalogue, Film
from onesheet.errors import CatalogueError
from onesheet.genres import GenreSet
from onesheet.packed.splitting import SPLITS, Split, read_split, split
from onesheet.packed.stratification import stratify

PINNED = "train validation test train validation train train test"


def invent(count: int, genres: int, *, seed: int = 0, grouped: float = 0.0) -> Catalogue:
    """Films with genres from common to a handful; a share of them in groups of three."""
    rng = np.random.default_rng(seed)
    chance = np.geomspace(0.5, 4 / count, genres)
    labels = rng.random((count, genres)) < chance
    labels[~labels.any(axis=1), 0] = True
    names = [f"Genre {number:02d}" for number in range(genres)]
    films = tuple(
        Film(
            film_id=f"tt{number:07d}",
            poster=f"{number}.jpg",
            genres=tuple(names[column] for column in np.flatnonzero(row)),
            group=f"group {number // 3}" if number < grouped * count else "",
        )
        for number, row in enumerate(labels)
    )
    return Catalogue(films, GenreSet(names))


def test_large_split_is_quick_and_even():
    catalogue = invent(60_000, 28, grouped=0.1)
    start_seconds = time.process_time()  # a busy machine is no fault
    found = split(catalogue, seed=0)
    assert time.process_time() - start_seconds < 20
    labels = catalogue.labels
    for part, share in zip(SPLITS, (0.7, 0.15, 0.15), strict=True):
        assert len(found.rows(part)) / len(catalogue) == pytest.approx(share, abs=0.001)
        assert np.abs(found.shares()[part] - labels.mean(axis=0)).max() < 0.001
        assert labels[found.rows(part)].any(axis=0).all()


@pytest.mark.parametrize("grouped", [0.0, 0.5])
@pytest.mark.parametrize("count", [200, 1500, 7000])
def test_every_part_has_every_genre(count, grouped):
    catalogue = invent(count, 20, grouped=grouped)
    found = split(catalogue, seed=3)
    labels = catalogue.labels
    groups = [film.group or film.film_id for film in catalogue.films]
    for column in range(labels.shape[1]):
        if len({groups[row] for row in np.flatnonzero(labels[:, column])}) >= 6:
            assert all(labels[found.rows(part), column].any() for part in SPLITS)


def test_evener_than_chance():
    catalogue = invent(3000, 20)
    overall = catalogue.labels.mean(axis=0)
    found = split(catalogue, seed=0).shares()["test"]
    rng = np.random.default_rng(0)
    by_chance = [catalogue.labels[rng.permutation(3000)[:450]].mean(axis=0) for _ in range(20)]
    assert np.abs(found - overall).mean() < 0.1 * np.mean([np.abs(share - overall).mean() for share in by_chance])


@settings(max_examples=60)
@given(data=st.data())
def test_groups_stay_whole_and_films_are_all_there(data):
    count = data.draw(st.integers(12, 60))
    names = data.draw(st.lists(st.sampled_from(["", "x", "y", "z"]), min_size=count, max_size=count))
    catalogue = invent(count, 5, seed=data.draw(st.integers(0, 99)))
    films = tuple(replace(film, group=name) for film, name in zip(catalogue.films, names, strict=True))
    try:
        found = split(Catalogue(films, catalogue.genres), seed=data.draw(st.integers()), validation=0.25, test=0.25)
    except CatalogueError:
        assert max(Counter(names)[name] for name in "xyz") > count / 4  # a group that leaves nothing for a part
        return
    assert sorted(np.concatenate([found.rows(part) for part in SPLITS]).tolist()) == list(range(count))
    for name in "xyz":
        assert len({part for part, film in zip(found.splits, films, strict=True) if film.group == name}) <= 1


def test_same_seed_same_split_in_any_order():
    catalogue = invent(500, 8, grouped=0.2)
    first = dict(zip((f.film_id for f in catalogue.films), split(catalogue, seed=7).splits.tolist(), strict=True))
    turned = Catalogue(catalogue.films[::-1], catalogue.genres)
    second = dict(zip((f.film_id for f in turned.films), split(turned, seed=7).splits.tolist(), strict=True))
    assert first == second
    assert (split(catalogue, seed=8).splits != split(catalogue, seed=7).splits).any()
    # pinned: what a machine finds today, every machine finds always
    tiny = Catalogue(tuple(Film(f"f{n}", "", ("A", "B")[: 1 + n % 2]) for n in range(8)), GenreSet(["A", "B"]))
    assert split(tiny, seed=0, validation=0.25, test=0.25).splits.tolist() == PINNED.split()


def test_two_rare_genres_of_the_same_films():
    counts = np.zeros((12, 2), dtype=int)
    counts[:3, 0] = 1
    counts[2:5, 1] = 1
    parts = stratify(counts, np.ones(12, dtype=int), (0.7, 0.15, 0.15))
    assert {*parts[:3]} == {*parts[2:5]} == {0, 1, 2}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"validation": 0}, "'validation' share of split must be in (0, 1); got 0"),
        ({"test": 1.5}, "'test' share of split must be in (0, 1); got 1.5"),
        ({"test": float("nan")}, "got nan"),
        ({"validation": 0.5, "test": 0.5}, "must leave films to train on; got 0.5 + 0.5"),
    ],
)
def test_shares_out_of_range(options, message):
    with pytest.raises(CatalogueError) as error:
        split(invent(30, 3), seed=0, **options)
    assert message in str(error.value)


def test_a_part_without_films():
    for count, grouped in ((2, 0.0), (6, 1.0)):
        with pytest.raises(CatalogueError, match="films"):
            split(invent(count, 3, grouped=grouped), seed=0)


@pytest.fixture
def catalogue():
    return invent(30, 3)


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_write_and_read_back(tmp_path, catalogue):
    found = split(catalogue, seed=1)
    found.write_csv(tmp_path / "split.csv")
    again = read_split(catalogue, tmp_path / "split.csv")
    assert again.splits.tolist() == found.splits.tolist() and again.catalogue == catalogue and not again.findings
    assert (tmp_path / "split.csv").read_text("utf-8").splitlines()[0] == "id,split,poster"


def test_given_split_with_numbers_and_other_words(tmp_path, catalogue):
    one = write(tmp_path / "a.csv", [["imdbId", "Split"], [1, "train"], [2, "val"], [999, "train"], [3, ""]])
    two = write(
        tmp_path / "b.csv", [["Id", "split"], ["tt0000004", "TEST"], ["tt0000005", "dev"], ["tt0000001", "train"]]
    )
    found = read_split(catalogue, one, two)
    assert [film.film_id for film in found.catalogue.films] == ["tt0000001", "tt0000002", "tt0000004", "tt0000005"]
    assert found.splits.tolist() == ["train", "validation", "test", "validation"]
    assert found.findings.counts == {"not-in-split": 26}
    assert found.catalogue.genres == catalogue.genres


def test_leaks_are_said_and_kept(tmp_path):
    catalogue = invent(6, 2, grouped=1.0)  # two groups of three
    parts = ["train", "test", "train", "validation", "validation", "test"]
    rows = [[film.film_id, part] for film, part in zip(catalogue.films, parts, strict=True)]
    found = read_split(catalogue, write(tmp_path / "split.csv", [["id", "split"], *rows]))
    assert len(found.catalogue) == 6
    leaks = found.findings.of("leak")
    assert [(leak.film_id, leak.group, leak.drops) for leak in leaks] == [
        ("tt0000001", "group 0", False),
        ("tt0000005", "group 1", False),
    ]
    assert "train and test" in leaks.items[0].detail


@pytest.mark.parametrize(
    "rows, message",
    [
        ([["id", "kind"], ["tt0000001", "train"]], "no column 'split'; seen: id, kind"),
        ([["id", "split"], ["tt0000001", "trian"]], "unknown split 'trian'"),
        ([["id", "split"], ["tt0000001", "trian"]], "did you mean 'train'"),
        ([["id", "split"], ["tt9999999", "train"]], "names no film of the catalogue"),
        ([["id", "split"], ["tt0000001", "train"], ["1", "test"]], "is both train and test"),
        ([["id", "split"], ["tt0000001", "train"]], "the split has no film for validation"),
        ([["id", "split"], ["tt0000001"]], "unreadable row, line 2"),
    ],
)
def test_given_splits_that_cannot_be_used(tmp_path, catalogue, rows, message):
    with pytest.raises(CatalogueError) as error:
        read_split(catalogue, write(tmp_path / "split.csv", rows))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_no_such_split_file(tmp_path, catalogue):
    with pytest.raises(CatalogueError, match="no such split file"):
        read_split(catalogue, tmp_path / "none.csv")


def test_shares_of_an_empty_part_are_nan(catalogue):
    assert np.isnan(Split(catalogue, np.array(["train"] * 30)).shares()["test"]).all()
