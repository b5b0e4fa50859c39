"""MM-IMDb (Arevalo et al. 2017) in both its forms: a folder of JSON and JPEG files, and one HDF5 file.

In the HDF5 file the images are what its authors gave to VGG: int32 N×3×H×W, blue first, less ImageNet's mean colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onesheet.data.poster_folders import Disk, is_image
from onesheet.data.readers.source import Layout, Source, name_of
from onesheet.data.readers.unpacking import Unpacked, identity, unpack
from onesheet.data.tables import MAX_LINE_BYTES, Table
from onesheet.errors import CatalogueError, require
from onesheet.files import parse_json, read_within

_MEAN = np.array([103.939, 116.779, 123.68]).reshape(3, 1, 1)
_CHUNK = 64  # images read at a time


def _is_folder(path: Path, disk: Disk) -> bool:
    return "split.json" in disk.files(str(path)) and any(
        name.endswith(".json") for name in disk.files(str(path / "dataset"))
    )


def _read_folder(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """`dataset/<IMDb number>.json` with the genres, the poster beside it."""
    files = disk.files(str(path / "dataset"))
    posters = {Path(name).stem: f"dataset/{name}" for name in files if is_image(name)}
    rows: list[Sequence[object]] = []
    bad = []
    for name, file in files.items():
        stem = Path(name).stem
        if not name.endswith(".json"):
            continue
        try:
            film = parse_json(read_within(file, MAX_LINE_BYTES))
            rows.append(
                (stem, posters.get(stem, f"dataset/{stem}.jpeg"), film["genres"], film.get("title"), film.get("year"))
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            bad.append(f"{name}: no film with genres ({type(error).__name__})")
    table = Table(path, ("imdb_id", "poster", "genres", "title", "year"), rows, bad)
    return Source(name_of(path), (table,), folder=path)


def _is_hdf5(path: Path, disk: Disk) -> bool:
    return path.suffix.lower() in (".h5", ".hdf5") and path.is_file()


def _read_hdf5(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    return unpack(name_of(path), identity([path]), lambda: _hdf5_rows(path))


def _hdf5_rows(path: Path) -> Iterator[Unpacked]:
    h5py = require("h5py", purpose="reading HDF5", extra="hdf5")
    try:
        with h5py.File(path, "r") as file:
            images, genres, ids = file["images"], file["genres"], file["imdb_ids"]
            written = genres.attrs["target_names"]  # JSON text; h5py's own list of names in copies that people make
            names = parse_json(written) if isinstance(written, str | bytes) else list(map(str, written.tolist()))
            if images.ndim != 4 or images.shape[1] != 3 or images.dtype.kind != "i":
                raise ValueError(f"its images are {images.dtype} {images.shape}, not int32 N×3×H×W")
            for start in range(0, len(images), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                for image, row, number in zip(images[chunk], genres[chunk], ids[chunk], strict=True):
                    record = {"imdb_id": number.decode("ascii"), "genres": [names[i] for i in np.flatnonzero(row)]}
                    yield record, _png(image)
    except (OSError, KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise CatalogueError(f"{str(path)!r} is not MM-IMDb's HDF5 file: {error}; download it again") from error


def _png(image: NDArray[np.int32]) -> bytes:
    """The picture that int32 3×H×W was made of: what was cut off towards zero is put back."""
    whole = np.where(image > 0, np.ceil(image + _MEAN), np.floor(image + _MEAN))
    pixels = whole.clip(0, 255).astype(np.uint8)[::-1].transpose(1, 2, 0)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
    return file.getvalue()


MM_IMDB_FOLDER = Layout(_is_folder, _read_folder)
MM_IMDB_HDF5 = Layout(_is_hdf5, _read_hdf5)
