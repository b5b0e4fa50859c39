"""A batch is gone on with by the same command, and by no other; `tests/kills.py` kills it at random moments."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_sources import as_csv, as_tar, parts_of, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from onesheet.__main__ import main
from onesheet.apps.batch import run_batch
from onesheet.apps.batch.batch_source import Listed, Source
from onesheet.apps.batch.plan import PlanFile, begin
from onesheet.apps.batch.storage import Place
from onesheet.data import Catalogue
from onesheet.errors import BundleError, ConfigError, MissingExtra, OnesheetError, RunError
from onesheet.files import sole_use
from onesheet.predict import DEFAULT_MODEL


@pytest.fixture(scope="module")
def folder(catalogue: Catalogue) -> Path:
    """200 posters."""
    return Path(catalogue.films[0].poster).parent


@pytest.fixture(scope="module")
def whole(folder: Path, motif_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of a batch that nobody stopped."""
    out = tmp_path_factory.mktemp("whole")
    assert run_batch(folder, out, model=motif_model, part_rows=8) == (25, 0, 200, 0)
    return parts_of(out)


NAMES = st.text(st.characters(codec="utf-8"), max_size=5) | st.binary(max_size=5).map(os.fsdecode)


@settings(max_examples=30)
@given(st.lists(NAMES, min_size=1, max_size=60), st.integers(1, 4).map(lambda eights: 8 * eights))
def test_parts_are_the_listing_in_order(names: list[str], part_rows: int) -> None:
    listing = [Listed(name, f"/{number}/{name}") for number, name in enumerate(names)]
    source = Source("/", "table", lambda: iter(listing))
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        plan = begin(place, source, model="", at="", form="csv", part_rows=part_rows, notify=print)
        parts = [list(PlanFile(place).part(number)) for number in range(plan.parts)]
    assert [row for part in parts for row in part] == listing
    assert [len(part) for part in parts] == [plan.part_listed(number) for number in range(plan.parts)]
    files = [plan.part_name(number) for number in range(plan.parts)]
    assert sorted(files) == files


def test_the_number_of_threads_is_not_to_be_seen(
    folder: Path, whole: dict[str, bytes], motif_model: Path, tmp_path: Path
) -> None:
    run_batch(folder, tmp_path / "out", model=motif_model, part_rows=8, threads=3)
    assert parts_of(tmp_path / "out") == whole


def test_other_part_sizes_answer_within_a_hundred_thousandth(
    folder: Path, whole: dict[str, bytes], motif_model: Path, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    posters = sorted(folder.iterdir())
    as_tar(posters, shards)  # every third poster: other batches
    run_batch(shards, tmp_path / "shard-out", model=motif_model)
    run_batch(folder, tmp_path / "out", model=motif_model)
    mine = {Path(row["path"]).name: row for row in rows_of(tmp_path / "out")}
    for row in rows_of(tmp_path / "shard-out"):
        for genre in ("Comedy", "Drama"):
            assert abs(row[genre] - mine[Path(row["path"]).name][genre]) <= 1e-5


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert main(["batch", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_another_batch_in_the_same_place_is_rejected(
    folder: Path, posters: list[Path], motif_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    mine = (folder, "--out", out, "--model", motif_model, "--part-rows", "64")
    assert main(["batch", *map(str, mine)]) == 0
    assert "4 of 4 parts written, 200 posters, 0 of them unreadable: " in capsys.readouterr().out
    before = parts_of(out)
    assert "contains a batch with model = '" in rejected(capsys, folder, "--out", out, "--part-rows", "64")
    assert "contains a batch with source = '" in rejected(capsys, posters[0].parent, *mine[1:])
    assert "contains a batch with at = 'balanced', not 'exact'" in rejected(capsys, *mine, "--at", "exact")
    assert "contains a batch with form = 'parquet', not 'csv'" in rejected(capsys, *mine, "--format", "csv")
    assert "with part_rows = 64, not 8; pass it as before, or pass another" in rejected(capsys, *mine[:-1], "8")
    assert parts_of(out) == before
    assert main(["batch", *map(str, mine)]) == 0
    assert "0 of 4 parts written, 0 posters, 0 of them unreadable; 4 existed already" in capsys.readouterr().out


def test_a_table_that_has_changed_is_another_source(posters: list[Path], motif_model: Path, tmp_path: Path) -> None:
    source = as_csv(posters, tmp_path)
    run_batch(source, tmp_path / "out", model=motif_model)
    run_batch(source, tmp_path / "out", model=motif_model)
    as_csv(posters[1:], tmp_path)
    with pytest.raises(RunError, match=r"has changed since the batch in .* began \(53 listed, now 52\); pass another"):
        run_batch(source, tmp_path / "out", model=motif_model)


def test_a_folder_that_has_changed_is_finished_as_it_was_begun(
    posters: list[Path], motif_model: Path, tmp_path: Path
) -> None:
    folder, told = tmp_path / "posters", list[str]()
    shutil.copytree(posters[0].parent, folder)
    again: Callable[[], object] = lambda: run_batch(  # noqa: E731
        folder, tmp_path / "out", model=motif_model, part_rows=8, notify=told.append
    )
    assert again() == (7, 0, 53, 3)
    (tmp_path / "out" / "part-00000.parquet").unlink()
    (folder / "0001.png").unlink()
    shutil.copy(posters[20], folder / "a.png")
    shutil.copy(posters[20], folder / "b.png")
    assert again() == (7, 6, 8, 2)
    assert told == [
        f"{str(folder)!r} has changed since this batch began: 53 posters then, 54 now; these 53 are predicted"
    ]
    assert [row["error"] is None for row in rows_of(tmp_path / "out")[:8]].count(False) == 2


def test_a_folder_with_other_files_is_left_alone(
    folder: Path, motif_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    said = rejected(capsys, folder, "--out", tmp_path / "out", "--model", motif_model)
    assert "contains other files, such as 'thesis.txt'; pass a new folder to --out" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert "choose another place" in rejected(capsys, folder, "--out", tmp_path / "out" / "thesis.txt" / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ('{"protocol": 1, "a": 2}', "is damaged"),
        ('{"protocol": 2}', "pip install --upgrade onesheet-genres"),
    ],
    ids=["cut", "list", "deep", "unknown", "newer"],
)
def test_a_plan_that_cannot_be_read(text: str, message: str, folder: Path, motif_model: Path, tmp_path: Path) -> None:
    run_batch(folder, tmp_path / "out", model=motif_model)
    (tmp_path / "out" / "_batch" / "batch.json").write_text(text)
    with pytest.raises(RunError, match=message):
        run_batch(folder, tmp_path / "out", model=motif_model)


def test_the_second_in_a_folder_is_rejected(folder: Path, motif_model: Path, tmp_path: Path) -> None:
    with (
        sole_use(tmp_path / "out" / "_batch"),
        pytest.raises(OnesheetError, match=f"is in use by process {os.getpid()} on .*; wait for it, or choose another"),
    ):
        run_batch(folder, tmp_path / "out", model=motif_model)
    assert not parts_of(tmp_path / "out")
    assert run_batch(folder, tmp_path / "out", model=motif_model).posters == 200


def test_a_full_disk_loses_no_part(
    folder: Path, whole: dict[str, bytes], motif_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, really = 0, os.fsync

    def full(handle: int) -> None:
        nonlocal synced
        synced += 1
        if synced > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        really(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OnesheetError, match="disk full while writing"):
        run_batch(folder, tmp_path / "out", model=motif_model, part_rows=8)
    monkeypatch.undo()
    assert parts_of(tmp_path / "out").items() < whole.items()
    assert run_batch(folder, tmp_path / "out", model=motif_model, part_rows=8) == (25, 3, 176, 0)
    assert parts_of(tmp_path / "out") == whole


def test_wrong_options_and_missing_packages(
    folder: Path, motif_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, message in (
        ({"engine": "spark"}, "unknown engine 'spark'; use local, ray"),
        ({"form": "xml"}, "unknown form 'xml'; use parquet, csv, jsonl"),
        ({"part_rows": 12}, "must be a multiple of 8"),
        ({"at": "best"}, "unknown operating point 'best'"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_batch(folder, tmp_path / "out", model=motif_model, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is inside the source; pass a folder outside it"):
        run_batch(folder, folder / "out", model=motif_model)
    with pytest.raises(BundleError):
        run_batch(folder, tmp_path / "out", model=tmp_path / "none.onnx")
    for package, engine in (("ray", "ray"), ("fsspec", "local"), ("pyarrow", "local")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            cure = r"run: pip install 'onesheet-genres\[(batch|parquet)\]'"
            with pytest.raises(MissingExtra, match=rf"needs {package}; {cure}"):
                run_batch(folder, tmp_path / package, model=motif_model, engine=engine)
    assert not (tmp_path / "out").exists()


def test_the_model_that_ships_and_progress(posters: list[Path], tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        told.append((task, done, total, note))

    run_batch(posters[0].parent, tmp_path / "out", part_rows=24, progress=progress)
    assert told == [
        ("posters", 0, 53, ""),
        ("posters", 24, 53, "3 unreadable"),
        ("posters", 48, 53, "3 unreadable"),
        ("posters", 53, 53, "3 unreadable"),
    ]
    said = json.loads((tmp_path / "out" / "_batch" / "batch.json").read_text())
    assert said["kind"] == "folder" and said["listed"] == 53 and DEFAULT_MODEL.is_file()
    (tmp_path / "out" / "part-00001.parquet").unlink()
    told.clear()
    run_batch(posters[0].parent, tmp_path / "out", part_rows=24, progress=progress)
    assert told == [("posters", 29, 53, ""), ("posters", 53, 53, "")]
