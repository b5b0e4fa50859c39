"""Targets: labels, and those halfway to what teachers predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onesheet.errors import BundleError
from onesheet.genres import GenreSet
from onesheet.packed import Packed, Split, pack
from onesheet.predict import load, score_split
from onesheet.training.distillation import soft_targets


def test_targets_lie_halfway_between_label_and_answer_in_the_training_part_alone(
    model_path: Path, packed: Packed
) -> None:
    targets = soft_targets(packed, [str(model_path)])
    rows, labels = packed.rows("train"), packed.labels
    answers = load(model_path).score(np.array(packed.posters[rows])).probabilities
    np.testing.assert_allclose(targets[rows], (labels[rows] + answers) / 2, atol=1e-5)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(targets[packed.rows(part)], labels[packed.rows(part)])
    np.testing.assert_allclose(soft_targets(packed, [str(model_path)] * 2), targets, atol=1e-6)
    np.testing.assert_array_equal(soft_targets(packed, []), labels)


def test_a_teacher_may_take_posters_of_another_size(model_path: Path, parts: Split, tmp_path: Path) -> None:
    larger = pack(parts, tmp_path / "larger", size=(96, 64))
    targets = soft_targets(larger, [str(model_path)])
    rows, teacher = larger.rows("train"), load(model_path)
    posters = [Image.fromarray(larger.posters[row]).resize((32, 48), Image.Resampling.BILINEAR) for row in rows]
    answers = teacher.score(np.stack([np.asarray(poster) for poster in posters])).probabilities
    np.testing.assert_allclose(targets[rows], (larger.labels[rows] + answers) / 2, atol=1e-5)
    with pytest.raises(BundleError, match="pack again with --size 48x32"):
        score_split(teacher, larger, "train")


def without_horror(parts: Split, folder: Path, instead: str) -> Packed:
    films = tuple(
        replace(film, genres=tuple({instead if name == "Horror" else name for name in film.genres}))
        for film in parts.catalogue.films
    )
    genres = GenreSet(sorted({"Drama", "Comedy", instead}))
    return pack(replace(parts, catalogue=replace(parts.catalogue, films=films, genres=genres)), folder, size=(48, 32))


def test_a_teacher_may_know_more_genres_but_not_fewer(model_path: Path, parts: Split, tmp_path: Path) -> None:
    fewer = without_horror(parts, tmp_path / "fewer", "Drama")
    rows, teacher = fewer.rows("train"), load(model_path)
    answers = teacher.score(np.array(fewer.posters[rows])).probabilities
    columns = [teacher.genres.column(name) for name in fewer.genres.names]
    np.testing.assert_allclose(
        soft_targets(fewer, [str(model_path)])[rows], (fewer.labels[rows] + answers[:, columns]) / 2, atol=1e-5
    )
    with pytest.raises(BundleError, match="only the catalogue has Western"):
        soft_targets(without_horror(parts, tmp_path / "other", "Western"), [str(model_path)])
