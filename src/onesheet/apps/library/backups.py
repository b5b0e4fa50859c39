"""NFO files written with a backup first, and taken back byte for byte.

Each write has a folder in the library, `.onesheet-backup/0001`: the old bytes of every file it changed, and
`journal.jsonl`. A file's backup and its line in the journal are on the disk before the file is replaced, in one step;
so whatever stops a write, each file is the old one or the new one, and `undo_write` tells which by its bytes. One
process writes or undoes at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from onesheet.apps.library.changes import Change, Left, writable_file
from onesheet.data.film_library.scanning import Remark
from onesheet.errors import LibraryError, OnesheetError
from onesheet.files import cannot_write, parse_json, sole_use, sync_folder, whole_file

BACKUPS = ".onesheet-backup"
JOURNAL = "journal.jsonl"
_UNDONE = "-undone"
_CURE = "check its permissions"


@dataclass(frozen=True)
class Undone:
    """What `undo_write` did.

    Attributes:
        folder: where the backups lie.
        restored: the files that are as before again.
        left: the files left as they are, and why.
    """

    folder: Path
    restored: tuple[Path, ...]
    left: tuple[Remark, ...]


def apply_changes(root: str | Path, plan: Iterable[Change | Left]) -> Iterator[Change | Left]:
    """Write each change of a plan as it comes, after its backup; a file that must not be written is left.

    Args:
        root: the library's folder.
        plan: what `plan_changes` yields.

    Yields:
        each change once its file is written, and what is left.

    Raises:
        OnesheetError: a backup cannot be written; the file is not touched then. Or another process writes or undoes.
    """
    root = Path(root).absolute()
    write = _Write(root)
    with sole_use(root / BACKUPS, cure=_CURE):
        for step in plan:
            if isinstance(step, Change):
                try:
                    write.change(step)
                except LibraryError as error:
                    step = Left(step.film, str(error))
                except OSError as error:
                    step = Left(step.film, f"{str(step.path)!r} cannot be read or made: {error.strerror}")
            yield step


class _Write:
    """One write: its folder is made with its first change."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self._changes = 0

    def change(self, change: Change) -> None:
        """Back up a file, note it, replace it."""
        path, before = change.path, change.before
        state = writable_file(path) if before is not None else None
        if (path.read_bytes() if os.path.lexists(path) else None) != before:
            raise LibraryError("its NFO has changed meanwhile")
        folder = self._folder = self._folder or _new_folder(self._root / BACKUPS)
        self._changes += 1
        record: dict[str, Any] = {"file": str(path.relative_to(self._root)), "after": _digest(change.after)}
        if before is not None and state is not None:
            name = f"{self._changes:06}.backup"
            with whole_file(folder / name, cure=_CURE) as part:
                part.write_bytes(before)
            sync_folder(folder)
            record |= {"backup": name, "before": _digest(before), "mtime_ns": state.st_mtime_ns}
        _append(folder / JOURNAL, record)
        try:
            _put(path, change.after)
        except OnesheetError as error:
            raise LibraryError(str(error)) from error


def undo_write(root: str | Path) -> Undone:
    """Take back the last write that was not taken back: its files get their old bytes and times, those it made go.

    A file that has changed since is left as it is.

    Args:
        root: the library's folder.

    Raises:
        LibraryError: there is nothing to take back, or the journal is damaged.
        OnesheetError: another process writes or undoes.
    """
    root = Path(root).absolute()
    if (root / BACKUPS).is_dir():
        with sole_use(root / BACKUPS, cure=_CURE):
            for folder in reversed(_folders(root / BACKUPS)):
                if _UNDONE not in folder.name:
                    undone = _undo(root, folder)
                    if undone.restored or undone.left:  # else it was stopped before its first file
                        return undone
    raise LibraryError(f"nothing to undo in {str(root)!r}; no write has left a backup there that still stands")


def _undo(root: Path, folder: Path) -> Undone:
    """Take back one write, the last file first; its folder is renamed when nothing of it is left to try again."""
    restored, left, finished = [], [], True
    for record in reversed(_records(folder)):
        path = root / record["file"]
        try:
            if _restore(path, folder, record):
                restored.append(path)
        except LibraryError as error:
            left.append(Remark(path, str(error)))
        except (OSError, OnesheetError) as error:
            left.append(Remark(path, f"{error}; then undo again"))
            finished = False
    if finished:
        folder = folder.rename(_free(folder.with_name(folder.name + _UNDONE)))
        sync_folder(folder.parent)
    return Undone(folder, tuple(restored), tuple(left))


def _free(path: Path) -> Path:
    """The path, or with a number behind it where it is taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def _restore(path: Path, folder: Path, record: dict[str, Any]) -> bool:
    """Give a file its old bytes; False where it has them.

    Raises:
        LibraryError: it has changed since, or its backup has.
    """
    backup = folder / record["backup"] if "backup" in record else None
    now = _digest(path.read_bytes()) if path.is_file() else None
    if now == record.get("before"):
        return False
    if now != record["after"]:
        kept = f"; its old bytes are in {str(backup)!r}" if backup else ""
        raise LibraryError(f"{'has changed' if now else 'is gone'} since it was written{kept}")
    if backup is None:
        path.unlink()
        sync_folder(path.parent)
        return True
    writable_file(path)
    before = backup.read_bytes()
    if _digest(before) != record["before"]:
        raise LibraryError(f"cannot be restored: its backup {str(backup)!r} is damaged")
    _put(path, before, mtime_ns=record["mtime_ns"])
    return True


def _put(path: Path, data: bytes, *, mtime_ns: int | None = None) -> None:
    """Make or replace a file in one step; one that is there keeps its permissions, owner and attributes.

    Raises:
        OnesheetError: it cannot be written.
    """
    state = path.stat() if path.exists() else None
    with whole_file(path, mode=state and stat.S_IMODE(state.st_mode), cure=_CURE) as part:
        part.write_bytes(data)
        if state:
            shutil.copystat(path, part)
            _give(part, state)
            new = time.time_ns()  # tells players to read the file again
            os.utime(part, ns=(state.st_atime_ns, new if mtime_ns is None else mtime_ns))
    sync_folder(path.parent)


def _give(part: Path, state: os.stat_result) -> None:
    """Give a file an owner and a group; where only root may, it stays ours, and of the group if we are in it."""
    mine = part.stat()
    if (mine.st_uid, mine.st_gid) != (state.st_uid, state.st_gid):
        try:
            os.chown(part, state.st_uid, state.st_gid)
        except PermissionError:
            with suppress(PermissionError):
                os.chown(part, -1, state.st_gid)


def _new_folder(backups: Path) -> Path:
    """A folder for a write's backups, of the next number."""
    try:
        backups.mkdir(exist_ok=True)
        while True:
            folder = backups / f"{max(map(_number, _folders(backups)), default=0) + 1:04}"
            try:
                folder.mkdir()
            except FileExistsError:  # another write was quicker
                continue
            break
    except OSError as error:
        raise cannot_write(backups, error, cure=_CURE) from error
    sync_folder(backups)
    sync_folder(backups.parent)
    return folder


def _folders(backups: Path) -> list[Path]:
    """The folders of all writes, oldest first."""
    found = [path for path in backups.iterdir() if _number(path)] if backups.is_dir() else []
    return sorted(found, key=_number)


def _number(folder: Path) -> int:
    """Which write a folder is of; 0 for what is none."""
    name = folder.name.partition(_UNDONE)[0]
    return int(name) if name.isascii() and name.isdecimal() else 0


def _append(journal: Path, record: dict[str, Any]) -> None:
    """Add a line, on the disk when this returns."""
    try:
        with journal.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(journal, error, cure=_CURE) from error
    sync_folder(journal.parent)


def _records(folder: Path) -> list[dict[str, Any]]:
    """The journal's lines; of a last one cut short the file was never written.

    Raises:
        LibraryError: the journal is damaged, or names files outside the library.
    """
    journal = folder / JOURNAL
    try:
        lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
        records: list[dict[str, Any]] = [parse_json(line) for line in lines if line.endswith(b"\n")]
        if all(map(_sound, records)):
            return records
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        pass
    raise LibraryError(f"the journal {str(journal)!r} is damaged; the old files lie beside it, byte for byte")


def _sound(record: dict[str, Any]) -> bool:
    """Whether a line of a journal is whole and keeps to the library."""
    inside, backup = Path(record["file"]), record.get("backup", "")
    whole = isinstance(record["after"], str) and (not backup or isinstance(record["before"] + "", str))
    stays = not inside.is_absolute() and ".." not in inside.parts and Path(backup).name == backup
    return whole and stays and isinstance(record.get("mtime_ns", 0), int)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
