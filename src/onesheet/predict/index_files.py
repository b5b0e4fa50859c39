"""The files of an index of posters: `index.json` lists the posters, `embeddings-….npy` holds a row for each.

The array is written first, under a new name, and `index.json` last: whatever stops the writing, the old index or the
new one is whole. There is no pickle in them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onesheet.errors import OnesheetError
from onesheet.files import read_json, whole_file

PROTOCOL = 1
INDEX = "index.json"
BLOCK = 4096  # rows read at once
Embeddings = NDArray[np.float32]
"""N×D, rows of length 1."""


class File(NamedTuple):
    """One poster of an index, as it was when it was read.

    Attributes:
        path: relative to the folder of posters.
        size: in bytes.
        modified: when, in nanoseconds.
    """

    path: str
    size: int
    modified: int


class Stored(NamedTuple):
    """An index on disk: the posters and, row by row, their embeddings by the model of that fingerprint."""

    model: str
    files: list[File]
    embeddings: Embeddings


def read_index(folder: Path) -> Stored | None:
    """The index in a folder, its embeddings mapped into memory and not loaded; None where there is none.

    Raises:
        ValueError: it is damaged, or of another protocol.
    """
    try:
        stored = read_json(folder / INDEX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if stored["protocol"] != PROTOCOL:
            raise ValueError(f"protocol {stored['protocol']}")
        files = [File(str(path), int(size), int(modified)) for path, size, modified in stored["posters"]]
        embeddings = np.load(folder / Path(stored["embeddings"]).name, mmap_mode="r", allow_pickle=False)
        if embeddings.dtype != np.float32 or embeddings.ndim != 2 or len(embeddings) != len(files):
            raise ValueError(f"{embeddings.dtype} {embeddings.shape} for {len(files)} posters")
        return Stored(str(stored["model"]), files, embeddings)
    except (OSError, EOFError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def write_index(
    folder: Path, model: str, files: Sequence[File], parts: Sequence[tuple[Embeddings, NDArray[np.int64]]]
) -> Stored:
    """Write an index, whole or not at all, and remove the array of the one before.

    Args:
        folder: where.
        model: fingerprint of the model file.
        files: the posters.
        parts: embeddings and which of their rows to take; together a row for each of `files`.

    Raises:
        OnesheetError: the folder cannot be written.
    """
    path = folder / f"embeddings-{secrets.token_hex(4)}.npy"
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(files), parts[-1][0].shape[1])}
    with saying_the_cure():
        with whole_file(path) as part, part.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for embeddings, rows in parts:
                for start in range(0, len(rows), BLOCK):
                    file.write(embeddings[rows[start : start + BLOCK]].astype("<f4").tobytes())
        with whole_file(folder / INDEX) as part:
            stored = {"protocol": PROTOCOL, "model": model, "embeddings": path.name, "posters": files}
            part.write_text(json.dumps(stored), encoding="utf-8")
    for old in folder.glob("embeddings-*.npy"):
        if old != path:
            old.unlink(missing_ok=True)
    return Stored(model, list(files), np.load(path, mmap_mode="r", allow_pickle=False))


def check_writable(folder: Path) -> None:
    """Reject a folder that cannot be written before hours are spent on what should go there.

    Raises:
        OnesheetError: it cannot be written.
    """
    path = folder / f"writable-{secrets.token_hex(8)}"
    with saying_the_cure(), whole_file(path):
        pass
    path.unlink(missing_ok=True)


@contextmanager
def saying_the_cure() -> Iterator[None]:
    """An index that cannot be written may be elsewhere: the posters' own folder is often read-only."""
    try:
        yield
    except OnesheetError as error:
        raise OnesheetError(str(error).replace("--out", "--index FOLDER")) from error
