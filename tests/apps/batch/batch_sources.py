"""The same posters as every form of source, written by libraries that are not ours."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.dataset
import pyarrow.parquet as parquet


def rows_of(out: Path) -> list[dict[str, Any]]:
    """All rows of a batch in Parquet, as any reader of such folders finds them."""
    files = sorted(str(path) for path in out.glob("part-*.parquet"))
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(files).to_table().to_pylist()
    assert pyarrow.dataset.dataset(str(out)).count_rows() == len(rows)  # the plan is not taken for a part
    return rows


def parts_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("part-*"))}


def as_csv(posters: Sequence[Path], folder: Path) -> str:
    return _delimited(posters, folder / "films.csv", ",")


def as_tsv(posters: Sequence[Path], folder: Path) -> str:
    return _delimited(posters, folder / "films.tsv", "\t")


def _delimited(posters: Sequence[Path], table: Path, delimiter: str) -> str:
    with table.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["title", "poster"])
        writer.writerows([f"Film {number}", poster] for number, poster in enumerate(posters))
    return str(table)


def as_jsonl(posters: Sequence[Path], folder: Path) -> str:
    table = folder / "films.jsonl"
    table.write_text("".join(json.dumps({"anything": str(poster)}) + "\n" for poster in posters))
    return str(table)


def as_parquet_table(posters: Sequence[Path], folder: Path) -> str:
    table = folder / "films.parquet"
    columns = {"id": range(len(posters)), "image_path": [str(poster) for poster in posters]}
    parquet.write_table(pyarrow.table(columns), table, row_group_size=7)
    return str(table)


def as_tar(posters: Sequence[Path], folder: Path) -> str:
    """WebDataset: the files of a sample side by side, named by its key."""
    for shard in range(3):
        with tarfile.open(folder / f"shard-{shard:03}.tar", "w") as archive:
            for poster in posters[shard::3]:
                archive.add(poster, poster.name)
                label = json.dumps({"genres": []}).encode()
                member = tarfile.TarInfo(f"{poster.stem}.json")
                member.size = len(label)
                archive.addfile(member, io.BytesIO(label))
    return str(folder)


def as_hugging_face(posters: Sequence[Path], folder: Path) -> str:
    """The Image feature of the datasets library: a struct of bytes and path."""
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    for shard in range(3):
        images = [{"bytes": poster.read_bytes(), "path": poster.name} for poster in posters[shard::3]]
        table = pyarrow.table({"image": pyarrow.array(images, kind), "label": [0] * len(images)})
        parquet.write_table(table, folder / f"train-{shard:05}.parquet", row_group_size=5)
    return str(folder)


def as_bytes(posters: Sequence[Path], folder: Path) -> str:
    """One shard with a binary column and no names."""
    images = [poster.read_bytes() for poster in posters]
    parquet.write_table(pyarrow.table({"embedding": [b""] * len(images), "jpg": images}), folder / "all.parquet")
    return str(folder / "all.parquet")
