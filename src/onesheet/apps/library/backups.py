"""NFO files written with a backup first, and taken back byte for byte.

Each write has a folder in the library, `.onesheet-backup/0001`: the old bytes of every file it changed, and
`journal.jsonl`. A file's backup and its line in the journal are on the disk before the file is exchanged, in one step.
So whatever stops a write, each file is the old one or the new one, and `undo_write` knows it by its bytes. One process
writes or undoes at a time.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from onesheet.apps.library.changes import Change, Left, writable_file
from onesheet.apps.library.replacing import (
    CHANGED,
    CURE,
    Changed,
    copy_state,
    digest,
    make_file,
    recover,
    remove_file,
    replace_file,
)
from onesheet.data.film_library.scanning import Remark
from onesheet.errors import LibraryError, OnesheetError
from onesheet.files import cannot_write, parse_json, sole_use, sync_folder, whole_file

BACKUPS = ".onesheet-backup"
JOURNAL = "journal.jsonl"
_UNDONE = "-undone"


@dataclass(frozen=True)
class Undone:
    """What `undo_write` did.

    Attributes:
        folder: where the backups are.
        restored: the files that are as before again.
        left: the files left as they are, and why.
    """

    folder: Path
    restored: tuple[Path, ...]
    left: tuple[Remark, ...]


def apply_changes(
    root: str | Path, plan: Iterable[Change | Left], *, backups: str | Path | None = None
) -> Iterator[Change | Left]:
    """Write each change of a plan as it comes, after its backup; a file that must not be written is left.

    A file that another program writes at the same moment keeps that program's bytes.

    Args:
        root: the library's folder.
        plan: what `plan_changes` yields.
        backups: a folder for the backups; None = `.onesheet-backup` in the library.

    Yields:
        each change once its file is written, and what is left.

    Raises:
        OnesheetError: a backup cannot be written; the file is not touched then. Or another process writes or undoes.
    """
    root = Path(root).absolute()
    folder = _backups(root, backups)
    write = _Write(root, folder)
    with sole_use(folder, cure=CURE):
        for standing in _standing(folder)[:1]:
            _recover(root, standing)
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

    def __init__(self, root: Path, backups: Path) -> None:
        self._root, self._backups = root, backups
        self._folder: Path | None = None
        self._changes = 0

    def change(self, change: Change) -> None:
        """Back up a file, note it, replace it."""
        path, before = change.path, change.before
        state = writable_file(path) if before is not None else None
        if (path.read_bytes() if os.path.lexists(path) else None) != before:
            raise Changed(CHANGED)
        folder = self._folder = self._folder or _new_folder(self._backups)
        self._changes += 1
        record: dict[str, Any] = {"file": str(path.relative_to(self._root)), "after": digest(change.after)}
        if before is not None and state is not None:
            name = f"{self._changes:06}.backup"
            with whole_file(folder / name, mode=stat.S_IMODE(state.st_mode), cure=CURE) as part:
                part.write_bytes(before)
                copy_state(path, part, state, mtime_ns=state.st_mtime_ns)
            sync_folder(folder)
            record |= {"backup": name, "before": digest(before), "mtime_ns": state.st_mtime_ns}
        _append(folder / JOURNAL, record)
        try:
            if before is None:
                make_file(path, change.after)
            else:
                kept = _kept(folder, self._changes)
                replace_file(path, change.after, expected=record["before"], kept=kept)
        except Changed:
            _append(folder / JOURNAL, {"withdrawn": record["file"]})
            raise
        except OnesheetError as error:
            raise LibraryError(str(error)) from error


def undo_write(root: str | Path, *, backups: str | Path | None = None) -> Undone:
    """Take back the last write that was not taken back: its files get their old bytes and times, those it made go.

    A file that has changed since is left as it is.

    Args:
        root: the library's folder.
        backups: as in `apply_changes`.

    Raises:
        LibraryError: there is nothing to take back, or the journal is damaged.
        OnesheetError: another process writes or undoes.
    """
    root = Path(root).absolute()
    folder = _backups(root, backups)
    if folder.is_dir():
        with sole_use(folder, cure=CURE):
            for standing in _standing(folder):
                undone = _undo(root, standing)
                if undone.restored or undone.left:  # else it was stopped before its first file
                    return undone
    raise LibraryError(f"nothing to undo in {str(root)!r}; no backup of a write is left in {str(folder)!r}")


def _undo(root: Path, folder: Path) -> Undone:
    """Take back one write, the last file first; its folder is renamed when nothing of it is left to try again."""
    restored, left, finished = [], [], True
    for number, record in reversed(_records(folder)):
        path = root / record["file"]
        try:
            if _restore(path, folder, record, _kept(folder, number)):
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


def _recover(root: Path, folder: Path) -> None:
    """End what a killed write or undo has left between two steps.

    Raises:
        OnesheetError: a file cannot be read or written.
    """
    for number, record in _records(folder):
        path = root / record["file"]
        try:
            recover(path, ours=_ours(record), kept=_kept(folder, number))
        except OSError as error:
            raise cannot_write(path, error, cure=CURE) from error


def _free(path: Path) -> Path:
    """The path, or with a number behind it where it is taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def _restore(path: Path, folder: Path, record: dict[str, Any], kept: Path) -> bool:
    """Give a file its old bytes; False where it has them.

    Raises:
        LibraryError: it has changed since, or its backup has.
    """
    recover(path, ours=_ours(record), kept=kept)
    backup = folder / record["backup"] if "backup" in record else None
    now = digest(path.read_bytes()) if path.is_file() else None
    if now == record.get("before"):
        return False
    try:
        if now != record["after"]:
            raise Changed("has changed since it was written" if now else "is gone since it was written")
        if backup is None:
            remove_file(path, expected=record["after"], kept=kept)
            return True
        writable_file(path)
        before = backup.read_bytes()
        if digest(before) != record["before"]:
            raise LibraryError(f"cannot be restored: its backup {str(backup)!r} is damaged")
        replace_file(path, before, expected=record["after"], kept=kept, mtime_ns=record["mtime_ns"])
    except Changed as error:
        raise LibraryError(f"{error}; its old bytes are in {str(backup)!r}" if backup else str(error)) from None
    return True


def _ours(record: dict[str, Any]) -> set[str]:
    """The digests of what a write and its undo put there."""
    return {record[name] for name in ("before", "after") if name in record}


def _kept(folder: Path, number: int) -> Path:
    """Where bytes of another program go that find no place of their own."""
    return folder / f"{number:06}.kept"


def _backups(root: Path, backups: str | Path | None) -> Path:
    """The folder of a library's backups; in a folder elsewhere, which may serve several libraries, one of its own."""
    if backups is None:
        return root / BACKUPS
    return Path(backups).absolute() / f"{root.name}-{digest(os.fsencode(root))[:8]}"


def _standing(backups: Path) -> list[Path]:
    """The folders of the writes that were not taken back, the last first."""
    return [folder for folder in reversed(_folders(backups)) if _UNDONE not in folder.name]


def _new_folder(backups: Path) -> Path:
    """A folder for a write's backups, of the next number."""
    try:
        backups.mkdir(parents=True, exist_ok=True)
        while True:
            folder = backups / f"{max(map(_number, _folders(backups)), default=0) + 1:04}"
            try:
                folder.mkdir()
            except FileExistsError:  # another write was quicker
                continue
            break
    except OSError as error:
        raise cannot_write(backups, error, cure=CURE) from error
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
        raise cannot_write(journal, error, cure=CURE) from error
    sync_folder(journal.parent)


def _records(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """The journal's numbered changes but for those withdrawn; of a last line cut short the file was never written.

    Raises:
        LibraryError: the journal is damaged, or names files outside the library.
    """
    journal = folder / JOURNAL
    try:
        lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
        records: list[dict[str, Any]] = [parse_json(line) for line in lines if line.endswith(b"\n")]
        withdrawn = {record["withdrawn"] for record in records if "withdrawn" in record}  # a write has a file once
        changes = [record for record in records if "withdrawn" not in record]
        if all(map(_sound, changes)):
            return [(n, record) for n, record in enumerate(changes, 1) if record["file"] not in withdrawn]
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        pass
    raise LibraryError(f"the journal {str(journal)!r} is damaged; the old files are beside it, byte for byte")


def _sound(record: dict[str, Any]) -> bool:
    """Whether a line of a journal is whole and keeps to the library."""
    inside, backup = Path(record["file"]), record.get("backup", "")
    whole = isinstance(record["after"], str) and (not backup or isinstance(record["before"] + "", str))
    stays = not inside.is_absolute() and ".." not in inside.parts and Path(backup).name == backup
    return whole and stays and isinstance(record.get("mtime_ns", 0), int)
