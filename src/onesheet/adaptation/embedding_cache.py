"""A model file's outputs for every packed poster, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import BundleError
from onesheet.files import cannot_write, read_json, reserve, sole_use, write_text
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


def check_embedding(predictor: Predictor) -> None:
    """There is more than the logits to learn from.

    Raises:
        BundleError: there is not.
    """
    found = predictor.score(np.zeros((1, *predictor.card.size, 3), np.uint8))
    if found.embedding.shape == found.logits.shape and np.allclose(found.embedding, found.logits, atol=1e-4):
        raise BundleError(
            f"{predictor.path.name!r} has no embedding beside its logits: its network does not end in a dense layer; "
            "start from another model file, or leave out --model for the bundled one"
        )


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
    check_embedding(predictor)
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
        self._posters = posters

    @property
    def done(self) -> int:
        """Posters whose features have safely reached the disk; 0 where that is not known, or the files are damaged."""
        try:
            done = int(read_json(self._state)["done"])
            sizes = [len(np.load(path, mmap_mode="r", allow_pickle=False)) for path in self.paths]
        except (OSError, EOFError, KeyError, TypeError, ValueError):
            return 0
        return done if sizes == [self._posters] * 2 else 0

    def open(self, width: int, genres: int) -> SourceFeatures:
        """The arrays to write into; new ones, unless some posters are done."""
        new = not self.done
        if new:
            self._state.unlink(missing_ok=True)
        arrays = []
        for path, kind, columns in zip(self.paths, (np.float16, np.float32), (width, genres), strict=True):
            shape = (self._posters, columns)
            try:
                arrays.append(np.lib.format.open_memmap(path, mode="w+" if new else "r+", dtype=kind, shape=shape))
            except OSError as error:
                raise cannot_write(path, error) from error
            reserve(path)
        return SourceFeatures(*arrays)

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
            arrays = cache.open(scores.embedding.shape[1], scores.logits.shape[1])
        end = done + len(scores.logits)
        arrays.embedding[done:end] = scores.embedding.clip(-_MOST, _MOST)
        arrays.logits[done:end] = scores.logits
        done = end
        if done - saved >= SAVED_POSTERS or done == len(packed):
            cache.save(done, arrays)
            saved = done
            let_go(packed.posters)
        progress("features", done, len(packed))
