"""A disk that fills, a folder that cannot be written, a file that vanishes, a clock that goes back, two at once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from onesheet.__main__ import main
from onesheet.apps.review import DecisionStore
from onesheet.apps.review import decision_store as store
from onesheet.audit import audit
from onesheet.data import Catalogue, write_catalogue
from onesheet.errors import OnesheetError, ReviewError
from onesheet.exporting import export
from onesheet.files import sole_use
from onesheet.packed import Packed, Split, open_packed, pack, packing, split
from onesheet.training import Run, TrainConfig, fit, open_run
from onesheet.training import loop as callbacks
from onesheet.training.weights import WholeCheckpoints

TINY = [
    *("--model", "poster-cnn", "--widths", "8,16", "--size", "48x32", "--epochs", "1"),
    *("--learning-rate", "0.01", "--threads", "1", "--draws", "20", "--no-tta"),
]


class Stopped(Exception):
    pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def leave_free(disk: Path, size: int) -> None:
    """Fill a disk but for so many bytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    space = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - size)))


def survives(disk: Path, work: Callable[[], object], sizes: list[int]) -> None:
    """With ever more room the work fails in a line that says why, then there is room for it."""
    for size in sizes:
        leave_free(disk, size)
        with pytest.raises(OnesheetError, match=r"disk full|free some space|disk is full"):
            work()
        assert not list(disk.rglob("*.part")) and not list(disk.rglob(".lock"))
    (disk / "filler").unlink()
    work()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def as_packed(packed: Packed) -> dict[str, bytes]:
    """The files of a store, without the features that training and adaptation keep beside them."""
    return {name: data for name, data in contents(packed.folder).items() if not name.startswith(("features", "logits"))}


def test_a_full_disk_stops_a_pack_which_goes_on_later(parts: Split, packed: Packed, disk: Path) -> None:
    survives(disk, lambda: pack(parts, disk / "packed", size=packed.size), [0, 4096, 100_000, 700_000])
    assert contents(disk / "packed") == as_packed(packed)


def test_a_full_disk_stops_a_training_which_goes_on_later(
    run: Run, packed: Packed, tiny: TrainConfig, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "SAVE_SECONDS", 0)
    survives(disk, lambda: fit(tiny, packed, folder=disk / "run", resume=True), [0, 4096, 12_000, 24_000, 36_000])
    resumed = open_run(disk / "run")
    assert resumed.finished and resumed.best_epoch == run.best_epoch
    assert resumed.network_path.read_bytes() == run.network_path.read_bytes()


def test_a_full_disk_leaves_the_earlier_checkpoint(disk: Path) -> None:
    (disk / "last.ckpt").write_bytes(b"earlier")
    leave_free(disk, 100_000)
    with pytest.raises(OnesheetError, match="disk full"):
        WholeCheckpoints().save_checkpoint({"weights": torch.zeros(100_000)}, disk / "last.ckpt")
    assert (disk / "last.ckpt").read_bytes() == b"earlier"
    assert sorted(contents(disk)) == ["filler", "last.ckpt"]


def test_a_full_disk_leaves_the_earlier_model_file(run: Run, model_path: Path, disk: Path) -> None:
    (disk / "genres.onnx").write_bytes(b"earlier")
    leave_free(disk, 8192)
    with pytest.raises(OnesheetError, match="disk full"):
        export(run, disk / "genres.onnx")
    assert (disk / "genres.onnx").read_bytes() == b"earlier"
    assert sorted(contents(disk)) == ["filler", "genres.onnx"]


def test_a_full_disk_rejects_a_decision_and_keeps_the_others(disk: Path) -> None:
    decisions = DecisionStore(disk / "decisions.sqlite")
    decisions.decide("a", "accept", genres=("Drama",), version=0)
    leave_free(disk, 0)
    with pytest.raises(ReviewError, match=r"disk is full.*; nothing was decided"):
        for number in range(1000):
            decisions.decide(f"film {number}", "accept", genres=("Drama",) * 200, version=0)
    made = len(decisions.history(last=10_000))
    (disk / "filler").unlink()
    decisions.decide("last", "accept", genres=("Drama",), version=0)
    assert len(decisions.history(last=10_000)) == made + 1
    decisions.close()


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that may be read and not written, by a user who is not allowed to do everything."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    (folder / "packed").mkdir()
    folder.chmod(0o555), (folder / "packed").chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o755), (folder / "packed").chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_rejected_at_once(
    unwritable: Path, tiny: TrainConfig, packed: Packed, parts: Split
) -> None:
    def begun(task: str, done: int, total: int, note: str = "") -> None:
        raise AssertionError(f"{task} has begun")

    steps: list[Callable[[], object]] = [
        lambda: pack(parts, unwritable / "new", progress=begun),
        lambda: pack(parts, unwritable / "packed", progress=begun),
        lambda: fit(tiny, packed, folder=unwritable, progress=begun),
        lambda: fit(tiny, packed, folder=unwritable / "run", progress=begun),
    ]
    for step in steps:
        with pytest.raises(OnesheetError, match=r"cannot write .*: Permission denied; choose another place with --out"):
            step()
    with pytest.raises(ReviewError, match=r"cannot use .* name another file with --decisions"):
        DecisionStore(unwritable / "decisions.sqlite")
    assert [path.name for path in unwritable.rglob("*")] == ["packed"]


def test_a_poster_that_vanishes_after_the_audit_is_a_finding_and_not_a_crash(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    posters = tmp_path / "posters"
    posters.mkdir()
    films = [replace(film, poster=shutil.copy(film.poster, posters)) for film in catalogue.films[:60]]
    small = Catalogue(tuple(films), catalogue.genres)
    parts = split(small.without(audit(small)), seed=0)
    gone = parts.catalogue.films[7]
    Path(gone.poster).unlink()
    packed = pack(parts, tmp_path / "packed", size=(48, 32))
    assert len(packed) == len(parts.catalogue) - 1 and gone not in packed.films
    assert [(finding.flag, finding.film_id) for finding in packed.findings] == [("missing", gone.film_id)]
    assert open_packed(tmp_path / "packed").findings == packed.findings


def test_posters_that_vanish_after_packing_are_not_missed(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training, export and the report need the packed posters alone."""
    posters, table, out = tmp_path / "posters", tmp_path / "films.csv", tmp_path / "run"
    posters.mkdir()
    films = [replace(film, poster=shutil.copy(film.poster, posters)) for film in catalogue.films]
    write_catalogue(Catalogue(tuple(films), catalogue.genres), table)
    assert main(["pack", str(table), "--out", str(tmp_path / "packed"), "--size", "48x32"]) == 0
    shutil.rmtree(posters)
    assert main(["fit", str(tmp_path / "packed"), "--out", str(out), *TINY[:4], *TINY[6:12]]) == 0
    assert main(["export", str(out), "--out", str(out / "genres.onnx")]) == 0
    evaluate = ["evaluate", str(out / "genres.onnx"), str(tmp_path / "packed"), "--out", str(out), "--draws", "20"]
    assert main(evaluate) == 0, capsys.readouterr().err
    assert (out / "report.html").exists()


def test_a_clock_that_goes_back_changes_nothing(
    run: Run, packed: Packed, parts: Split, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the clock is a day before the last, and what is on the disk is of the future."""
    days, began = iter(range(10**6)), time.time()
    monkeypatch.setattr(time, "time", lambda: began - 86_400 * next(days))
    halves = iter([True])

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if task.startswith(("pack", "fit")) and done >= total / 2 and next(halves, False):
            raise Stopped

    def age(folder: Path) -> None:
        for path in [folder, *folder.rglob("*")]:
            os.utime(path, (4e9, 4e9))

    with pytest.raises(Stopped):
        pack(parts, tmp_path / "packed", size=packed.size, progress=stop)
    age(tmp_path / "packed")
    again = pack(parts, tmp_path / "packed", size=packed.size)
    assert contents(again.folder) == as_packed(packed)
    halves = iter([True])
    with pytest.raises(Stopped):
        fit(tiny, again, folder=tmp_path / "run", progress=stop)
    age(tmp_path / "run")
    resumed = fit(tiny, again, folder=tmp_path / "run", resume=True)
    assert resumed.network_path.read_bytes() == run.network_path.read_bytes()


def test_decisions_stand_in_the_order_they_were_made_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter(range(100))

    class Backwards(datetime):
        @classmethod
        def now(cls, zone: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=next(days))

    monkeypatch.setattr(store, "datetime", Backwards)
    decisions = DecisionStore(tmp_path / "decisions.sqlite")
    first = decisions.decide("a", "accept", genres=("Drama",), version=0)
    second = decisions.decide("a", "correct", genres=("Comedy",), version=first.id)
    assert second.at < first.at and second.id > first.id
    assert decisions.standing()["a"] == second
    decisions.undo(second.id)
    assert decisions.standing()["a"] == first
    decisions.close()


@pytest.mark.parametrize("command", ["pack", "fit", "train", "train --resume", "evaluate"])
def test_the_second_in_a_folder_is_rejected_with_the_firsts_name(
    command: str, packed: Packed, catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "films.csv", tmp_path / "out"
    write_catalogue(catalogue, table)
    name, *more = command.split()
    source = [str(packed.folder if name in ("fit", "evaluate") else table)]
    if name == "evaluate":
        source.insert(0, "genres.onnx")
    options = {"pack": ["--size", "48x32"], "fit": [*TINY[:4], *TINY[6:12]], "train": TINY}.get(name, [])
    with sole_use(out):
        assert main([name, *source, "--out", str(out), *options, *more]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"is in use by process {os.getpid()} on {socket.gethostname()} (" in said
        assert "since 20" in said and said.endswith("; wait for it, or choose another --out")
        assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_pack_that_another_sees_before_its_end_is_finished_by_the_first(
    parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second sees the manifest before the first has tidied up."""
    real = packing.write_text

    def write_and_be_seen(path: Path, text: str) -> None:
        real(path, text)
        assert len(pack(parts, tmp_path / "packed", size=(48, 32)))
        assert (tmp_path / "packed" / ".lock").exists()

    monkeypatch.setattr(packing, "write_text", write_and_be_seen)
    assert len(pack(parts, tmp_path / "packed", size=(48, 32))) == len(open_packed(tmp_path / "packed"))
    assert not [path.name for path in (tmp_path / "packed").iterdir() if path.name in (".lock", "journal.jsonl")]


def test_what_a_pack_killed_at_its_very_end_leaves_is_removed(parts: Split, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    pack(parts, folder, size=(48, 32))
    names = sorted(path.name for path in folder.iterdir())
    for left in (".lock", "journal.jsonl"):
        (folder / left).write_bytes(b"{}")
        pack(parts, folder, size=(48, 32))
        assert sorted(path.name for path in folder.iterdir()) == names


def test_features_of_one_store_are_computed_by_one_process(packed: Packed, tmp_path: Path) -> None:
    import torch
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(1)
    model = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.1, min_depth=4, depth_divisible_by=4, image_size=48))
    model.save_pretrained(tmp_path / "backbone")
    config = TrainConfig(model=f"hf:{tmp_path / 'backbone'}", tune="head", epochs=1, threads=1)
    with sole_use(packed.folder), pytest.raises(OnesheetError, match=f"packed.* in use by process {os.getpid()} on "):
        fit(config, packed, folder=tmp_path / "run")
    assert fit(config, packed, folder=tmp_path / "run", resume=True).finished
