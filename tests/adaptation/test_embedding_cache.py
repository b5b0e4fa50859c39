from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onesheet.adaptation import embedding_cache as module
from onesheet.adaptation import source_features
from onesheet.errors import BundleError, OnesheetError
from onesheet.packed import Packed, open_packed
from onesheet.predict import Predictor, load

KILLED = """
import os, signal, sys
from onesheet.adaptation import embedding_cache
from onesheet.packed import open_packed
from onesheet.predict import load

embedding_cache.SAVED_POSTERS = 32

def stop(task, done, total, note=""):
    if done >= 80:
        os.kill(os.getpid(), signal.SIGKILL)

embedding_cache.source_features(load(sys.argv[1]), open_packed(sys.argv[2]), progress=stop)
"""


@pytest.fixture
def store(packed: Packed, tmp_path: Path) -> Packed:
    shutil.copytree(packed.folder, tmp_path / "packed", ignore=shutil.ignore_patterns("features-*", "logits-*"))
    return open_packed(tmp_path / "packed")


def test_they_are_what_the_file_says(model_path: Path, store: Packed) -> None:
    predictor = load(model_path)
    found = source_features(predictor, store)
    scores = predictor.score(np.array(store.posters))
    assert found.embedding.dtype == np.float16 and found.logits.dtype == np.float32
    np.testing.assert_allclose(found.embedding, scores.embedding, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.logits, scores.logits, atol=1e-5)


def test_each_poster_is_read_once(model_path: Path, store: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    first = source_features(load(model_path), store)
    monkeypatch.setattr(Predictor, "score_posters", None)
    again = source_features(load(model_path), store)
    np.testing.assert_array_equal(first.embedding, again.embedding)


def test_a_killed_run_resumes(model_path: Path, store: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(model_path), str(store.folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    scored, score = [], Predictor.score

    def counting(predictor: Predictor, posters: np.ndarray) -> object:  # type: ignore[type-arg]
        scored.extend(posters.any((1, 2, 3)))  # the check of the embedding scores a black picture
        return score(predictor, posters)

    monkeypatch.setattr(Predictor, "score", counting)
    found = source_features(load(model_path), store)
    assert sum(scored) == len(store) - 64  # the last posters made permanent before the kill
    expected = score(load(model_path), np.array(store.posters))
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=1e-3, atol=1e-4)


def test_a_damaged_note_of_progress_starts_again(model_path: Path, store: Packed) -> None:
    source_features(load(model_path), store)
    (note,) = store.folder.glob("features-*.json")
    note.write_text("{")
    assert np.isfinite(source_features(load(model_path), store).logits).all()


def test_other_posters_than_the_model_takes_are_an_error(model_path: Path, store: Packed) -> None:
    with pytest.raises(BundleError, match="takes posters of 48×32 by 'stretch', and 64×32"):
        source_features(load(model_path), replace(store, size=(64, 32)))


def test_a_file_without_an_embedding_is_an_error(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Predictor.score

    def alike(predictor: Predictor, posters: np.ndarray) -> object:  # type: ignore[type-arg]
        scores = score(predictor, posters)
        return replace(scores, embedding=scores.logits)

    monkeypatch.setattr(Predictor, "score", alike)
    with pytest.raises(BundleError, match=r"no embedding .* leave out --model for the bundled one"):
        module.check_embedding(load(model_path))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def shortened(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


@pytest.mark.parametrize("damage", [cut, shortened, Path.unlink])
@pytest.mark.parametrize("kind", ["features", "logits"])
def test_damaged_arrays_are_computed_anew(
    kind: str, damage: Callable[[Path], None], model_path: Path, store: Packed
) -> None:
    first = source_features(load(model_path), store)
    logits, embedding = np.array(first.logits), np.array(first.embedding)
    (path,) = store.folder.glob(f"{kind}-*.npy")
    damage(path)
    again = source_features(load(model_path), store)
    np.testing.assert_array_equal(again.logits, logits)
    np.testing.assert_array_equal(again.embedding, embedding)


def test_a_full_disk_is_an_error_before_any_poster(
    model_path: Path, store: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OnesheetError, match="disk full"):
        source_features(load(model_path), store)
    assert not list(store.folder.glob("features-*.npy"))


def test_values_too_large_for_16_bits_are_clipped(
    model_path: Path, store: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Predictor.score

    def large(predictor: Predictor, posters: np.ndarray) -> object:  # type: ignore[type-arg]
        scores = score(predictor, posters)
        return replace(scores, embedding=scores.embedding * np.float32(1e9))

    monkeypatch.setattr(Predictor, "score", large)
    assert np.isfinite(source_features(load(model_path), store).embedding).all()
