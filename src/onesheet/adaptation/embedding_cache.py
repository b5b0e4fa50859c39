"""A model file's outputs for every packed poster, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import BundleError
from onesheet.files import cannot_write, read_json, sole_use, write_text
from onesheet.packed import Packed
from onesheet.packed.store import let_go
from onesheet.predict import Predictor
from onesheet.progress import Progress, silent

SAVED_POSTERS = 512  # after which what is done is made permanent
_MOST = float(np.finfo(np.float16).max)


class SourceFeatures(NamedTuple):
    """A model file's outputs for N posters, memory-mapped.

    Attributes:
        embedding: float16 N×D.
        logits: float32 N×S, before calibration.
    """

    embedding: NDArray[np.float16]
    logits: NDArray[np.float32]


def source_features(predictor: Predictor, packed: Packed, *, progress: Progress = silent) -> SourceFeatures:
    """Embedding and logits of every poster of a packed store.

    They are kept in the store's folder as `features-<key>.npy` and `logits-<key>.npy`; the key is of the model file and
    the posters. A run that was killed resumes where it stopped. Values beyond the range of float16 are clipped.

    Args:
        predictor: the model file; its size and resize must be the store's.
        packed: the posters.
        progress: reports the posters done.

    Raises:
        BundleError: the model takes other posters than were packed, or it has no embedding beside its logits.
        OnesheetError: the folder cannot be written, the disk is full, or another process works in it.
    """
    card = predictor.card
    if (packed.size, packed.resize) != (card.size, card.resize):
        raise BundleError(
            f"{predictor.path.name!r} takes posters of {card.size[0]}×{card.size[1]} by {card.resize!r}, and "
            f"{packed.size[0]}×{packed.size[1]} by {packed.resize!r} are packed; pack again"
        )
    cache = _Cache(packed.folder, predictor, len(packed))
    if cache.done < len(packed):
        with sole_use(packed.folder):
            _compute(cache, predictor, packed, progress)
    return SourceFeatures(*(np.load(path, mmap_mode="r", allow_pickle=False) for path in cache.paths))


class _Cache:
    """The files of one model and one store."""

    def __init__(self, folder: Path, predictor: Predictor, posters: int) -> None:
        key = hashlib.sha256(f"{predictor.fingerprint} {posters} {_posters_digest(folder)}".encode()).hexdigest()[:16]
        self.paths = folder / f"features-{key}.npy", folder / f"logits-{key}.npy"
        self._state = folder / f"features-{key}.json"

    @property
    def done(self) -> int:
        """Posters whose features have safely reached the disk; 0 where that is not known."""
        try:
            return int(read_json(self._state)["done"]) if all(path.exists() for path in self.paths) else 0
        except (OSError, KeyError, TypeError, ValueError):
            return 0

    def save(self, done: int, arrays: SourceFeatures) -> None:
        """Make `done` posters permanent."""
        for array in arrays:
            array.flush()  # type: ignore[union-attr]
        write_text(self._state, json.dumps({"done": done}))
        for array in arrays:
            let_go(array)


def _posters_digest(folder: Path) -> str:
    return str(read_json(folder / "manifest.json")["films_sha256"])  # with the checksum of each poster's pixels


def _compute(cache: _Cache, predictor: Predictor, packed: Packed, progress: Progress) -> None:
    """Compute what is not done yet."""
    done, saved, arrays = cache.done, cache.done, None
    for scores in predictor.score_posters(packed.posters, np.arange(done, len(packed))):
        if arrays is None:
            _check_embedding(scores.embedding, scores.logits, predictor.path)
            arrays = _opened(cache, len(packed), scores.embedding.shape[1], scores.logits.shape[1], new=not done)
        end = done + len(scores.logits)
        arrays.embedding[done:end] = scores.embedding.clip(-_MOST, _MOST)
        arrays.logits[done:end] = scores.logits
        done = end
        if done - saved >= SAVED_POSTERS or done == len(packed):
            cache.save(done, arrays)
            saved = done
            let_go(packed.posters)
        progress("features", done, len(packed))


def _opened(cache: _Cache, posters: int, width: int, genres: int, *, new: bool) -> SourceFeatures:
    try:
        return SourceFeatures(
            *(
                np.lib.format.open_memmap(path, mode="w+" if new else "r+", dtype=kind, shape=(posters, columns))
                for path, kind, columns in zip(cache.paths, (np.float16, np.float32), (width, genres), strict=True)
            )
        )
    except OSError as error:
        raise cannot_write(cache.paths[0], error) from error


def _check_embedding(embedding: NDArray[np.float32], logits: NDArray[np.float32], path: Path) -> None:
    """There is more than the logits to learn from.

    Raises:
        BundleError: there is not.
    """
    if embedding.shape == logits.shape and np.allclose(embedding, logits, atol=1e-4):
        raise BundleError(
            f"{path.name!r} has no embedding beside its logits: its network does not end in a dense layer; "
            "start from another model file, or leave out --model for the bundled one"
        )
