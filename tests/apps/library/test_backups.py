from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.apps.library import replacing
from onesheet.apps.library.backups import BACKUPS, JOURNAL, apply_changes, undo_write
from onesheet.apps.library.changes import Change, Skipped
from onesheet.data.film_library.films import LibraryFilm
from onesheet.errors import LibraryError, OnesheetError

FILM = LibraryFilm("A", "A", None, None, None, Path("A.nfo"))
OLD_NS = 1_000_000_000_123_456_789


def change(path: Path, before: bytes | None, after: bytes) -> Change:
    return Change(FILM, path, before, after, "utf-8")


def laid(folder: Path, contents: dict[str, bytes]) -> dict[str, bytes]:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return contents


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the backups."""
    found = (path for path in folder.rglob("*") if path.is_file() and BACKUPS not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def write(folder: Path, **after: bytes) -> list[Change | Skipped]:
    """Give files other bytes; one that is not there is made."""
    paths = {folder / f"{name}.nfo": data for name, data in after.items()}
    plan = [change(path, path.read_bytes() if path.exists() else None, data) for path, data in paths.items()]
    return list(apply_changes(folder, plan))


def reasons(steps: list[Change | Skipped]) -> list[str]:
    return [step.why for step in steps if isinstance(step, Skipped)]


def undo_what_there_is(folder: Path) -> None:
    try:
        assert undo_write(folder).skipped == ()
    except LibraryError as error:
        assert "nothing to undo" in str(error)


def test_a_write_and_its_undo(tmp_path: Path) -> None:
    old = laid(tmp_path, {"A.nfo": b"\xff\x00 old", "B.nfo": b"", "C.nfo": b"untouched"})
    (tmp_path / "A.nfo").chmod(0o640)
    assert reasons(write(tmp_path, A=b"new", B=b"new too", made=b"made")) == []
    assert contents(tmp_path) == {"A.nfo": b"new", "B.nfo": b"new too", "C.nfo": b"untouched", "made.nfo": b"made"}
    state = (tmp_path / "A.nfo").stat()
    assert stat.S_IMODE(state.st_mode) == 0o640 and state.st_mtime_ns > OLD_NS
    assert (tmp_path / BACKUPS / "0001" / "000001.backup").read_bytes() == b"\xff\x00 old"
    undone = undo_write(tmp_path)
    assert {path.name for path in undone.restored} == {"A.nfo", "B.nfo", "made.nfo"} and undone.skipped == ()
    assert contents(tmp_path) == old
    state = (tmp_path / "A.nfo").stat()
    assert stat.S_IMODE(state.st_mode) == 0o640 and state.st_mtime_ns == OLD_NS
    with pytest.raises(LibraryError, match="nothing to undo"):
        undo_write(tmp_path)


def test_undo_goes_back_write_by_write(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"0"})
    for data in (b"1", b"2", b"3"):
        write(tmp_path, A=data)
    for data in (b"2", b"1"):
        undo_write(tmp_path)
        assert contents(tmp_path) == {"A.nfo": data}
    write(tmp_path, A=b"4")
    undo_write(tmp_path)
    undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"0"}


def test_undo_passes_over_a_write_that_changed_nothing(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"0"})
    write(tmp_path, A=b"1")
    (tmp_path / BACKUPS / "0002").mkdir()  # stopped before its first file
    undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"0"}


def test_nothing_to_change_leaves_no_folder(tmp_path: Path) -> None:
    assert list(apply_changes(tmp_path, [Skipped(FILM, "locked")])) == [Skipped(FILM, "locked")]
    assert list(tmp_path.iterdir()) == []


def test_files_changed_since_stay_and_do_not_block_the_rest(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a", "B.nfo": b"b", "C.nfo": b"c"})
    write(tmp_path, A=b"a0")
    write(tmp_path, A=b"a1", B=b"b1", C=b"c1", made=b"m1")
    (tmp_path / "B.nfo").write_bytes(b"a person's")
    (tmp_path / "C.nfo").unlink()
    (tmp_path / "made.nfo").write_bytes(b"kept")
    undone = undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"a0", "B.nfo": b"a person's", "made.nfo": b"kept"}
    why = {remark.path.name: remark.why for remark in undone.skipped}
    assert why["B.nfo"].startswith("has changed since it was written; its old bytes are in ")
    assert why["C.nfo"].startswith("is gone since it was written; its old bytes are in ")
    assert why["made.nfo"] == "has changed since it was written"
    undo_write(tmp_path)
    assert contents(tmp_path)["A.nfo"] == b"a"


def test_links_and_read_only_files_are_left(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a", "B.nfo": b"b", "C.nfo": b"c", "elsewhere": b"e"})
    (tmp_path / "A.nfo").chmod(0o444)
    (tmp_path / "other name").hardlink_to(tmp_path / "B.nfo")
    (tmp_path / "D.nfo").symlink_to("elsewhere")
    before = contents(tmp_path)
    plan = [
        change(tmp_path / f"{name}.nfo", data, b"new")
        for name, data in zip("ABDX", (b"a", b"b", b"e", b"x"), strict=True)
    ]
    read_only, hard, link, gone = reasons(list(apply_changes(tmp_path, plan)))
    assert "is read-only" in read_only and "hard links" in hard and "is a link to 'elsewhere'" in link
    assert "cannot be read: No such file" in gone
    assert contents(tmp_path) == before and not (tmp_path / BACKUPS).exists()


def test_a_file_that_changed_after_the_plan_is_left(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a person's", "made.nfo": b"theirs"})
    plan = [change(tmp_path / "A.nfo", b"a", b"new"), change(tmp_path / "made.nfo", None, b"ours")]
    assert reasons(list(apply_changes(tmp_path, plan))) == ["its NFO has changed meanwhile"] * 2
    assert contents(tmp_path) == {"A.nfo": b"a person's", "made.nfo": b"theirs"}


def test_a_full_disk_stops_before_the_file_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, {"A.nfo": b"a"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OnesheetError, match=r"disk full while writing .*000001.backup"):
        write(tmp_path, A=b"new")
    assert contents(tmp_path) == {"A.nfo": b"a"}


def test_a_file_that_cannot_be_replaced_is_left_and_undo_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(tmp_path, {"A.nfo": b"a", "B.nfo": b"b"})
    rename = replacing._rename

    def reject(source: Path, target: Path, how: int) -> None:
        if target.name == "A.nfo":
            raise PermissionError(1, "Operation not permitted")
        rename(source, target, how)

    monkeypatch.setattr(replacing, "_rename", reject)
    (why,) = reasons(write(tmp_path, A=b"new", B=b"new"))
    assert "A.nfo': Operation not permitted; check its permissions" in why
    assert contents(tmp_path) == {"A.nfo": b"a", "B.nfo": b"new"}
    monkeypatch.undo()
    write(tmp_path, A=b"newer")
    monkeypatch.setattr(replacing, "_rename", reject)
    (remark,) = undo_write(tmp_path).skipped
    assert remark.why.endswith("; then undo again")
    monkeypatch.undo()
    for _ in range(2):
        undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"a", "B.nfo": b"b"}


def test_one_process_writes_or_undoes_at_a_time(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a", "B.nfo": b"b"})
    plan = [change(tmp_path / "A.nfo", b"a", b"new"), change(tmp_path / "B.nfo", b"b", b"new")]
    steps = apply_changes(tmp_path, plan)
    next(steps)
    for another in (lambda: undo_write(tmp_path), lambda: write(tmp_path, B=b"newer")):
        with pytest.raises(OnesheetError, match=r"onesheet-backup' is in use by process .*; wait for it$"):
            another()
    assert reasons(list(steps)) == []
    assert len(undo_write(tmp_path).restored) == 2
    assert contents(tmp_path) == {"A.nfo": b"a", "B.nfo": b"b"}
    assert [path.name for path in (tmp_path / BACKUPS).iterdir()] == ["0001-undone"]


def test_undo_finds_a_free_name(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a"})
    for _ in range(3):
        write(tmp_path, A=b"new")
        (made,) = (path for path in (tmp_path / BACKUPS).iterdir() if "undone" not in path.name)
        made.rename(made.with_name("0001"))
        undo_write(tmp_path)
        assert contents(tmp_path) == {"A.nfo": b"a"}
    names = sorted(path.name for path in (tmp_path / BACKUPS).iterdir())
    assert names == ["0001-undone", "0001-undone-2", "0001-undone-3"]


def test_undo_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="nothing to undo"):
        undo_write(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_left_and_the_rest_is_written(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo/inside": b"", "B.nfo": b"b"})
    plan = [change(tmp_path / "A.nfo", None, b"new"), change(tmp_path / "B.nfo", b"b", b"new")]
    (why,) = reasons(list(apply_changes(tmp_path, plan)))
    assert why == f"{str(tmp_path / 'A.nfo')!r} cannot be read or made: Is a directory"
    assert contents(tmp_path) == {"A.nfo/inside": b"", "B.nfo": b"new"}


def as_another(user: int, groups: list[int], work: Callable[[], object]) -> bool:
    """Do the work in a process of that user; whether it ended well."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        os.setgroups(groups)
        os.setgid(user)
        os.setuid(user)
        work()
        status = 0
    finally:
        os._exit(status)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may work as others")
@pytest.mark.parametrize(("groups", "group"), [([4100], 4100), ([], 4002)], ids=["in the group", "not in it"])
def test_a_file_of_another_owner_is_written_and_keeps_group_and_mode(groups: list[int], group: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "A.nfo"
        folder.chmod(0o777)
        laid(folder, {"A.nfo": b"a"})
        path.chmod(0o666)
        os.chown(path, 4001, 4100)
        assert as_another(4002, groups, lambda: write(folder, A=b"new").index(change(path, b"a", b"new")))
        assert contents(folder) == {"A.nfo": b"new"}
        state = path.stat()
        assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (4002, group, 0o666)
        assert as_another(4002, groups, lambda: undo_write(folder).restored.index(path))
        assert contents(folder) == {"A.nfo": b"a"} and path.stat().st_mtime_ns == OLD_NS


def test_damaged_backups_restore_nothing(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a"})
    write(tmp_path, A=b"new")
    (tmp_path / BACKUPS / "0001" / "000001.backup").write_bytes(b"spoilt")
    (remark,) = undo_write(tmp_path).skipped
    assert "is damaged" in remark.why and contents(tmp_path) == {"A.nfo": b"new"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record | {"file": "../outside.nfo"},
        lambda record: record | {"file": "/etc/passwd"},
        lambda record: record | {"backup": "../../A.nfo"},
        lambda record: record | {"mtime_ns": "soon"},
        lambda record: {name: value for name, value in record.items() if name != "before"},
        lambda record: [record],
    ],
)
def test_a_journal_that_is_not_ours_is_rejected(spoil: Callable[[dict[str, object]], object], tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a"})
    write(tmp_path, A=b"new")
    journal = tmp_path / BACKUPS / "0001" / JOURNAL
    journal.write_text(json.dumps(spoil(json.loads(journal.read_text()))) + "\n")
    with pytest.raises(LibraryError, match="is damaged; copy the old files beside it"):
        undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"new"}


@pytest.fixture
def without_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses nothing it has written; only the order of steps is tried, and quickly."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_backup_and_journal_are_on_the_disk_before_the_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(tmp_path, {"A.nfo": b"a"})
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        steps.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        fsync(handle)

    def replaced(self: Path, target: Path) -> Path:
        steps.append(f"-> {Path(target).name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    rename = replacing._rename

    def exchanged(source: Path, target: Path, how: int) -> None:
        steps.append(f"<-> {target.name}")
        rename(source, target, how)

    monkeypatch.setattr(replacing, "_rename", exchanged)
    write(tmp_path, A=b"new")
    steps = [step if not step.endswith(".part") else "data" for step in steps]
    root = tmp_path.name
    made = [BACKUPS, root]
    backed_up = ["data", "-> 000001.backup", "0001", JOURNAL, "0001"]
    exchange = ["data", "data", "<-> A.nfo", root, root]
    assert steps == [*made, *backed_up, *exchange]


@pytest.mark.usefixtures("without_syncing")
@given(st.dictionaries(st.sampled_from(["A", "B", "C"]), st.tuples(st.binary(), st.binary()), min_size=1))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[bytes, bytes]]) -> None:
    folder = tmp_path_factory.mktemp("library")
    old = laid(folder, {f"{name}.nfo": before for name, (before, _) in files.items()})
    write(folder, **{name: after for name, (_, after) in files.items()})
    assert contents(folder) == {f"{name}.nfo": after for name, (_, after) in files.items()}
    undo_what_there_is(folder)
    assert contents(folder) == old


def states_during(work: Callable[[], object], folder: Path, copies: Path) -> Iterator[Path]:
    """What a kill would leave: copies of a folder before each line of our code and at the end, one of each state."""
    seen: list[list[tuple[str, int, int, bytes]]] = []

    def trace(frame: FrameType, event: str, _: object) -> object:
        if not frame.f_code.co_filename.endswith(("/backups.py", "/replacing.py", "/files.py")):
            return None
        if event == "line":
            keep()
        return trace

    def keep() -> None:
        state = [
            (
                str(path),
                path.stat().st_mode,
                path.is_file() and path.stat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in sorted(folder.rglob("*"))
        ]
        if state not in seen:
            seen.append(state)
            shutil.copytree(folder, copies / str(len(seen)))

    earlier = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(earlier)
    keep()
    return (copies / str(number) for number in range(1, len(seen) + 1))


@pytest.mark.usefixtures("without_syncing")
def test_killed_at_any_line_each_file_is_old_or_new_and_undo_restores_all(tmp_path: Path) -> None:
    old, new = {"A.nfo": b"old a", "B.nfo": b"old b"}, {"A.nfo": b"new a", "B.nfo": b"new b", "made.nfo": b"made"}
    library, seen, states = tmp_path / "library", set(), 0
    laid(library, old)
    for folder in states_during(
        lambda: write(library, A=b"new a", B=b"new b", made=b"made"), library, tmp_path / "copies"
    ):
        states += 1
        found = {name: data for name, data in contents(folder).items() if not name.endswith(".part")}
        assert all(data in (old.get(name), new[name]) for name, data in found.items()) and old.keys() <= found.keys()
        seen.add(tuple(found.values()))
        undo_what_there_is(folder)
        assert {name: data for name, data in contents(folder).items() if not name.endswith(".part")} == old, folder
    assert len(seen) == 4 and states > 20  # nothing, A, A and B, all


@pytest.mark.usefixtures("without_syncing")
def test_undo_killed_at_any_line_goes_on(tmp_path: Path) -> None:
    old, library, states = {"A.nfo": b"old a", "B.nfo": b"old b"}, tmp_path / "library", 0
    laid(library, old)
    write(library, A=b"new a", B=b"new b", made=b"made")
    for folder in states_during(lambda: undo_write(library), library, tmp_path / "copies"):
        states += 1
        undo_what_there_is(folder)
        assert {name: data for name, data in contents(folder).items() if not name.endswith(".part")} == old, folder
    assert states > 10


def in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def by_renaming(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


@contextmanager
def player(folder: Path, sign: str, save: Callable[[Path, bytes], None]) -> Iterator[list[Path]]:
    """Another program, which adds a line to an NFO as soon as it sees a sign of its being written."""
    saved: list[Path] = []
    ended = threading.Event()

    def watch() -> None:
        paths = sorted(folder.glob("*.nfo"))
        while not ended.is_set():
            where = folder / BACKUPS / "0001" if sign == "backup" else folder
            names = [path.name for path in where.iterdir()] if where.is_dir() else []
            for number, path in enumerate(paths, 1):
                begins = f"{number:06}.backup" if sign == "backup" else f".{path.name}."
                if path not in saved and any(name.lstrip(".").startswith(begins.lstrip(".")) for name in names):
                    with suppress(FileNotFoundError):  # a file that undo takes away
                        save(path, path.read_bytes() + b" and the player's")
                        saved.append(path)

    copystat = shutil.copystat

    def slow(*paths: Path) -> None:  # so that the sign is there long enough, however busy the machine is
        time.sleep(0.01)
        copystat(*paths)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shutil, "copystat", slow)
            yield saved
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("save", [in_place, by_renaming])
@pytest.mark.parametrize("sign", ["backup", "temporary file"])
def test_what_a_player_writes_at_the_same_moment_stays(
    sign: str, save: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    laid(tmp_path, {f"{number:02}.nfo": b"old" for number in range(40)})
    with player(tmp_path, sign, save) as saved:
        steps = write(tmp_path, **{f"{number:02}": b"new" for number in range(40)})
    assert len(saved) > 5
    for path in saved:
        assert path.read_bytes().endswith(b" and the player's")
    kept = {path.name: path.read_bytes() for path in saved}
    left = [step for step in steps if isinstance(step, Skipped)]
    assert left and {step.why for step in left} <= {
        "its NFO has changed meanwhile",
        "another program is writing its NFO",
    }
    for path in tmp_path.glob("*.nfo"):
        if path not in saved:
            assert path.read_bytes() == b"new"
    with suppress(LibraryError):  # where the player was quicker every time
        undo_write(tmp_path)
    for name, data in kept.items():
        assert (tmp_path / name).read_bytes() == data


@pytest.mark.parametrize("save", [in_place, by_renaming])
def test_undo_keeps_what_a_player_writes_at_the_same_moment(
    save: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    laid(tmp_path, {f"{number:02}.nfo": b"old" for number in range(40)})
    write(tmp_path, **{f"{number:02}": b"new" for number in range(40)}, made=b"made")
    with player(tmp_path, "temporary file", save) as saved:
        undo_write(tmp_path)
    assert len(saved) > 5
    for path in saved:
        assert path.read_bytes().endswith(b" and the player's")


@pytest.mark.parametrize(
    ("moment", "why"),
    [("before", "its NFO has changed meanwhile"), ("after", ""), ("twice", "its NFO has changed meanwhile")],
)
def test_every_moment_of_an_exchange(moment: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, {"A.nfo": b"old"})
    path, rename, calls = tmp_path / "A.nfo", replacing._rename, 0

    def raced(source: Path, target: Path, how: int) -> None:
        nonlocal calls
        calls += 1
        if moment != "after" and calls == 1:
            path.write_bytes(b"player")
        if moment == "twice" and calls == 2:
            path.write_bytes(b"player again")
        rename(source, target, how)
        if moment == "after":
            path.write_bytes(b"player")

    monkeypatch.setattr(replacing, "_rename", raced)
    assert "".join(reasons(write(tmp_path, A=b"new"))) == why
    assert path.read_bytes() == (b"player again" if moment == "twice" else b"player")
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["A.nfo"]
    kept = tmp_path / BACKUPS / "0001" / "000001.kept"
    assert (kept.read_bytes() if kept.exists() else b"") == (b"player" if moment == "twice" else b"")


def test_a_file_that_another_program_has_open_for_writing_is_left(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"old"})
    with (tmp_path / "A.nfo").open("r+b") as file:
        assert reasons(write(tmp_path, A=b"new")) == ["another program is writing its NFO"]
        file.write(b"theirs")
    assert contents(tmp_path) == {"A.nfo": b"theirs"}


def test_a_kill_between_exchange_and_comparison_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for undo in (True, False):
        folder = tmp_path / str(undo)
        laid(folder, {"A.nfo": b"old", "B.nfo": b"b"})
        rename = replacing._rename

        def raced(source: Path, target: Path, how: int, rename: object = rename, folder: Path = folder) -> None:
            (folder / "A.nfo").write_bytes(b"player")
            rename(source, target, how)  # type: ignore[operator]
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(replacing, "_rename", raced)
        child = os.fork()
        if not child:
            write(folder, A=b"new")
            os._exit(0)
        os.waitpid(child, 0)
        monkeypatch.undo()
        assert (folder / "A.nfo").read_bytes() == b"new"
        undo_write(folder) if undo else write(folder, B=b"new")
        assert contents(folder) == {"A.nfo": b"player", "B.nfo": b"b" if undo else b"new"}


def test_where_nothing_can_be_exchanged_files_are_compared_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(tmp_path, {"A.nfo": b"a", "B.nfo": b"b"})

    def cannot(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(replacing, "_rename", cannot)
    plan = [change(tmp_path / "A.nfo", b"a", b"new"), change(tmp_path / "made.nfo", None, b"made")]
    assert reasons(list(apply_changes(tmp_path, plan))) == []
    assert contents(tmp_path) == {"A.nfo": b"new", "B.nfo": b"b", "made.nfo": b"made"}
    undo_write(tmp_path)
    assert contents(tmp_path) == {"A.nfo": b"a", "B.nfo": b"b"}
    with player(tmp_path, "temporary file", in_place) as saved:
        write(tmp_path, A=b"new", B=b"new")
    for path in saved:
        assert path.read_bytes().endswith(b" and the player's")


def test_a_backup_is_as_private_as_its_file(tmp_path: Path) -> None:
    laid(tmp_path, {"A.nfo": b"a"})
    (tmp_path / "A.nfo").chmod(0o600)
    write(tmp_path, A=b"new")
    state = (tmp_path / BACKUPS / "0001" / "000001.backup").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_mtime_ns) == (0o600, OLD_NS)


def test_backups_in_another_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        laid(tmp_path / name, {"A.nfo": b"a"})
        plan = [change(tmp_path / name / "A.nfo", b"a", b"new")]
        list(apply_changes(tmp_path / name, plan, backups=tmp_path / "backups"))
    undo_write(tmp_path / "one", backups=tmp_path / "backups")
    assert contents(tmp_path / "one") == {"A.nfo": b"a"} and contents(tmp_path / "two") == {"A.nfo": b"new"}
    assert not (tmp_path / "one" / BACKUPS).exists()
