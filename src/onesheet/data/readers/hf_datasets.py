"""`hf-dataset:NAME[:CONFIGURATION]`: what Hugging Face's `datasets` library loads, from the hub or from a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onesheet.data.poster_folders import Disk
from onesheet.data.readers.shards import arrow_rows
from onesheet.data.readers.source import Layout, Source
from onesheet.data.readers.unpacking import Unpacked, identity, unpack
from onesheet.errors import CatalogueError, require

PREFIX = "hf-dataset:"
_BATCH = 64


def _read(path: Path, disk: Disk, folders: Sequence[str] | None) -> Source:
    """All its splits as one catalogue."""
    name = str(path).removeprefix(PREFIX)
    splits = _loaded(name)
    files = [Path(file["filename"]) for split in splits.values() for file in split.cache_files]
    prints = [f"{part} {split._fingerprint}" for part, split in splits.items()]  # one in memory has no files
    return unpack(name, [PREFIX, name, *prints, *identity(files)], lambda: _rows(name, splits))


def _loaded(name: str) -> dict[str, Any]:
    """The splits, by name."""
    datasets = require("datasets", purpose=f"reading {PREFIX}", extra="hf-datasets")
    saved = any((Path(name) / file).is_file() for file in ("dataset_dict.json", "state.json"))
    place, _, configuration = (name, "", "") if Path(name).exists() else name.partition(":")
    try:
        found = datasets.load_from_disk(name) if saved else datasets.load_dataset(place, configuration or None)
    except Exception as error:  # the library raises whatever its parts do
        why = " ".join(str(error).split())[:200]
        raise CatalogueError(
            f"cannot load the data set {name!r}: {why}; check its name or give its folder, "
            "with :CONFIGURATION behind it where it has several"
        ) from error
    return dict(found) if isinstance(found, dict) else {"": found}


def _rows(name: str, splits: dict[str, Any]) -> Iterator[Unpacked]:
    datasets = require("datasets", purpose=f"reading {PREFIX}", extra="hf-datasets")
    for split in splits.values():
        kinds = split.features
        images = [column for column, kind in kinds.items() if isinstance(kind, datasets.Image)]
        file = datasets.Value("binary")
        files = [
            c for c, kind in kinds.items() if kind == file or (isinstance(kind, dict) and kind.get("bytes") == file)
        ]
        if not (images or files):
            seen = ", ".join(f"{column} ({kind})" for column, kind in kinds.items())
            raise CatalogueError(f"the data set {name!r} has no column of images or of image files; seen: {seen}")
        column = (images or files)[0]
        encoded = split.cast_column(column, datasets.Image(decode=False)).with_format("arrow")
        yield from arrow_rows(encoded.iter(_BATCH), column, split.features.to_dict())


HF_DATASET = Layout(lambda path, disk: str(path).startswith(PREFIX), _read)
