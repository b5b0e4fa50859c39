"""Shards that are damaged, or made to do harm: what stands before the damage, and then a row that says so."""

from __future__ import annotations

import errno
import io
import random
import tarfile
from itertools import islice
from pathlib import Path

import batch_sources as forms
import fsspec
import pyarrow
import pyarrow.parquet as parquet
import pytest
from batch_sources import rows_of

from onesheet.apps.batch import run_batch
from onesheet.apps.batch.poster_shards import read_shard
from onesheet.apps.batch.storage import Entry
from onesheet.errors import OnesheetError


def test_odd_members_of_a_tar(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(posters[20], "Amélie/=1+1.png")
        archive.add(posters[20], "same.png")
        archive.add(posters[20], "same.png")
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    run_batch(tmp_path / "a.tar", tmp_path / "out", model=motif_model)
    rows = rows_of(tmp_path / "out")
    assert [Path(str(row["path"])).name for row in rows] == ["=1+1.png", "same.png", "same.png", "link.png"]
    assert [row["error"] is None for row in rows] == [True, True, True, False]


def test_a_damaged_parquet_shard_and_one_without_images(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    forms.as_hugging_face(posters, tmp_path / "shards")
    damaged = tmp_path / "shards" / "train-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "shards" / "train-00002.parquet")
    assert run_batch(tmp_path / "shards", tmp_path / "out", model=motif_model).parts == 3
    rows = rows_of(tmp_path / "out")
    assert len(rows) == len(posters[0::3]) + 2
    assert "cannot read all of" in rows[-2]["error"] and "has no column of bytes; got a" in rows[-1]["error"]


def heading(name: str, size: int, kind: bytes = tarfile.REGTYPE, *, goes_on: int = 0) -> bytes:
    """The block before a member, with any length in it; `goes_on` = 1: the list of a sparse file's parts does."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[482] = goes_on
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (heading("a.png", -512) + bytes(2048), "'a.png' has not the length it says"),  # read again and again
        (heading("a.png", -1024) + bytes(2048), "'a.png' has not the length it says"),
        (heading("a.png", 2**44) + bytes(2048), "'a.png' has not the length it says"),
        (heading("a.png", 2**80) + bytes(2048), "'a.png' has not the length it says"),
        (heading("a.png", 2**80, tarfile.GNUTYPE_LONGNAME), ""),
        (heading("a.png", 2**45, tarfile.GNUTYPE_LONGNAME), ""),
        (heading("a.png", -512, tarfile.GNUTYPE_LONGNAME), ""),
        (heading("a.png", 0, tarfile.GNUTYPE_LONGNAME) * 2000, "maximum recursion depth"),
        (heading("a.png", 0, tarfile.GNUTYPE_SPARSE, goes_on=1), ""),
    ],
)
@pytest.mark.parametrize("whole", [0, 2])
def test_a_tar_of_false_headings_ends_in_a_row(damage: bytes, why: str, whole: int, tmp_path: Path) -> None:
    begin = heading("ok.png", 512) + bytes(512)
    (tmp_path / "a.tar").write_bytes(begin * whole + damage)
    rows = list(islice(read_shard("a.tar", str(tmp_path / "a.tar"), "tar"), 10))
    assert [row.path for row in rows] == ["a.tar/ok.png"] * whole + ["a.tar"]
    assert f"cannot read all of 'a.tar': {why}" in rows[-1].error


def in_memory(shard: bytes, kind: str) -> list[Entry]:
    fsspec.filesystem("memory").pipe(f"/shard.{kind}", shard)
    return list(islice(read_shard("shard", f"memory://shard.{kind}", kind), 1000))


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_any_damage_to_a_parquet_shard_is_rows_with_errors(compression: str) -> None:
    """pyarrow says it in many ways, among them as an OSError, which is not the disk's."""
    file, errors = io.BytesIO(), set()
    images = pyarrow.array([{"bytes": bytes([n] * 60), "path": f"{n}.png"} for n in range(40)])
    parquet.write_table(pyarrow.table({"image": images}), file, row_group_size=9, compression=compression)
    for seed in range(200):
        chance = random.Random(seed)
        shard = bytearray(file.getvalue())
        for _ in range(chance.randint(1, 5)):
            shard[chance.randrange(len(shard))] = chance.randrange(256)
        rows = in_memory(bytes(shard), "parquet")
        assert len(rows) <= 41, seed
        errors |= {row.error for row in rows if row.path == "shard"}
    assert all(error.startswith("cannot read all of 'shard': ") and "\n" not in error for error in errors)
    assert any("deserialize thrift" in error for error in errors)


def test_a_disk_that_fails_in_a_parquet_shard_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(type(fsspec.filesystem("file")), "open", lambda self, path, mode: Failing(b"0" * 5000))
    with pytest.raises(OnesheetError, match=r"Input/output error; run the same command again"):
        list(read_shard("all.parquet", str(tmp_path / "all.parquet"), "parquet"))
