from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from onesheet.errors import OnesheetError
from onesheet.files import parse_json, read_within, sole_use, whole_file, write_text


def test_a_file_appears_whole_with_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "é 'quoted'\n.txt"
    write_text(path, "whole\n")
    assert path.read_bytes() == b"whole\n"
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert list(path.parent.iterdir()) == [path]


def test_the_umask_of_other_threads_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "umask")
    write_text(tmp_path / "file.txt", "text")
    assert (tmp_path / "file.txt").exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(ValueError, match="stop"), whole_file(path) as part:
        part.write_text("half")
        raise ValueError("stop")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OnesheetError, match=r"disk full while writing .*; free some space"):
        write_text(tmp_path / "file.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_file_the_system_cuts_off_is_not_left_half_written(tmp_path: Path) -> None:
    """A real fault: the system does not let the file grow past 4 KiB."""
    code = (
        "import resource, signal, sys\n"
        "from onesheet.files import write_text\n"
        "from onesheet.errors import OnesheetError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    write_text(sys.argv[1], 'x' * 100_000)\n"
        "except OnesheetError as error:\n    print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "big.txt")], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot write" in said and list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OnesheetError, match=r"cannot write .*; choose another place with --out"):
        write_text(tmp_path / "file" / "inside.txt", "text")


HOLD = """
import sys, time
from onesheet.files import sole_use
with sole_use(sys.argv[1]):
    print("held", flush=True)
    time.sleep(99)
"""


def test_a_folder_has_one_writer_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "https://me:secret@h/a"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout and first.stdout.readline() == "held\n"
        with pytest.raises(OnesheetError) as rejected, sole_use(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    name = f"is in use by process {first.pid} on {socket.gethostname()} (-c {tmp_path} https://***@h/a), since 20"
    assert name in str(rejected.value)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]  # what a killed process leaves
    assert "secret" not in (tmp_path / ".lock").read_text()
    with sole_use(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / ".lock").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_made_in_vain_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), sole_use(tmp_path / "a" / "new"):
        raise ValueError("stop")
    assert [path.name for path in (tmp_path / "a").iterdir()] == []


@pytest.mark.parametrize("text", [r'{"\ud800": ["\uDFFFa", "\udce9"]}', rb'{"\ud800": ["\uDFFFa", "\udce9"]}'])
def test_halves_of_letters_in_json_become_question_marks(text: str | bytes) -> None:
    assert parse_json(text) == {"?": ["?a", "\udce9"]}  # the last stands for a byte of a file name
    assert parse_json(r'["\ud83c\udfac"]') == ["\U0001f3ac"]
    with pytest.raises(ValueError, match="utf-8"):
        parse_json(b'["\xed\xa0\x80"]')


def test_a_file_is_read_within_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert read_within(tmp_path / "a", 4) == b"1234"
    with pytest.raises(ValueError, match="more than 3 bytes"):
        read_within(tmp_path / "a", 3)


def test_what_a_killed_writer_left_goes_with_the_next_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"
    with whole_file(path) as living:
        living.write_text("living")
        (tmp_path / ".a[1].txt.killed.part").write_text("half")
        (tmp_path / ".b.txt.other.part").write_text("another file's")
        write_text(path, "second")
        assert sorted(item.name for item in tmp_path.iterdir()) == sorted(
            [living.name, ".b.txt.other.part", "a[1].txt"]
        )
    assert path.read_text() == "living"


def test_where_there_are_no_locks_a_folder_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", reject)
    with sole_use(tmp_path):
        (tmp_path / "a.txt").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
