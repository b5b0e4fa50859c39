"""Write NFO files after a backup, and undo that byte for byte.

Each write has a folder in the library, `.onesheet-backup/0001`: the old bytes of every changed file, and
`journal.jsonl`. A file's backup and its line in the journal are on the disk before the file is exchanged, in one step.
Whatever stops a write, each file is the old one or the new one, and `undo_write` recognises it by its bytes. Only one
process writes or undoes at a time.
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

from onesheet.apps.library.changes import Change, Skipped, writable_file
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
BACKUPS_CURE = "check its permissions, or pass another folder for the backups"
_UNDONE = "-undone"


@dataclass(frozen=True)
class Undone:
    """The result of `undo_write`.

    Attributes:
        folder: where the backups are.
        restored: the files that are as before again.
        skipped: the files that were not restored, and why.
    """

    folder: Path
    restored: tuple[Path, ...]
    skipped: tuple[Remark, ...]


def apply_changes(
    root: str | Path, plan: Iterable[Change | Skipped], *, backups: str | Path | None = None
) -> Iterator[Change | Skipped]:
    """Write each change of a plan after its backup; a file that must not be written is skipped.

    A file that another program writes at the same moment keeps that program's bytes.

    Args:
        root: the library's folder.
        plan: what `plan_changes` yields.
        backups: a folder for the backups; None = `.onesheet-backup` in the library.

    Yields:
        each change once its file is written, and each skipped film.

    Raises:
        OnesheetError: a backup cannot be written, and the file was not touched; or another process writes or undoes.
    """
    root = Path(root).absolute()
    folder = _backups(root, backups)
    write = _Write(root, folder)
    with sole_use(folder, cure=BACKUPS_CURE):
        for standing in _standing(folder)[:1]:
            _recover(root, standing)
        for step in plan:
            if isinstance(step, Change):
                try:
                    write.change(step)
                except LibraryError as error:
                    step = Skipped(step.film, str(error))
                except OSError as error:
                    step = Skipped(step.film, f"{str(step.path)!r} cannot be read or made: {error.strerror}")
            yield step


class _Write:
    """One write; its folder is made with its first change."""

    def __init__(self, root: Path, backups: Path) -> None:
        self._root, self._backups = root, backups
        self._folder: Path | None = None
        self._changes = 0

    def change(self, change: Change) -> None:
        """Back up a file, add it to the journal, replace it."""
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
    """Undo the last write that was not undone: restore old bytes and times, and remove files that the write made.

    A file that has changed since is skipped.

    Args:
        root: the library's folder.
        backups: as in `apply_changes`.

    Raises:
        LibraryError: there is nothing to undo, or the journal is damaged.
        OnesheetError: another process writes or undoes.
    """
    root = Path(root).absolute()
    folder = _backups(root, backups)
    if folder.is_dir():
        with sole_use(folder, cure=CURE):
            for standing in _standing(folder):
                undone = _undo(root, standing)
                if undone.restored or undone.skipped:  # else it stopped before its first file
                    return undone
    raise LibraryError(
        f"nothing to undo in {str(root)!r}, as {str(folder)!r} has no backup; pass the backups folder of the write"
    )


def _undo(root: Path, folder: Path) -> Undone:
    """Undo one write, the last file first; its folder is renamed unless undo must be run again."""
    restored, skipped, finished = [], [], True
    for number, record in reversed(_records(folder)):
        path = root / record["file"]
        try:
            if _restore(path, folder, record, _kept(folder, number)):
                restored.append(path)
        except LibraryError as error:
            skipped.append(Remark(path, str(error)))
        except (OSError, OnesheetError) as error:
            skipped.append(Remark(path, f"{error}; then undo again"))
            finished = False
    if finished:
        folder = folder.rename(_free(folder.with_name(folder.name + _UNDONE)))
        sync_folder(folder.parent)
    return Undone(folder, tuple(restored), tuple(skipped))


def _recover(root: Path, folder: Path) -> None:
    """Finish what a killed write or undo interrupted.

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
    """The path, with a number appended if it is taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def _restore(path: Path, folder: Path, record: dict[str, Any], kept: Path) -> bool:
    """Restore a file's old bytes; False if it has them.

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
    """Digests of the bytes that a write and its undo put in place."""
    return {record[name] for name in ("before", "after") if name in record}


def _kept(folder: Path, number: int) -> Path:
    """Where another program's bytes are saved if their own place is taken."""
    return folder / f"{number:06}.kept"


def _backups(root: Path, backups: str | Path | None) -> Path:
    """The folder of a library's backups; a folder elsewhere may serve several libraries, so each has a sub-folder."""
    if backups is None:
        return root / BACKUPS
    return Path(backups).absolute() / f"{root.name}-{digest(os.fsencode(root))[:8]}"


def _standing(backups: Path) -> list[Path]:
    """The folders of the writes that were not undone, the last first."""
    return [folder for folder in reversed(_folders(backups)) if _UNDONE not in folder.name]


def _new_folder(backups: Path) -> Path:
    """A folder for a write's backups, of the next number."""
    try:
        backups.mkdir(parents=True, exist_ok=True)
        while True:
            folder = backups / f"{max(map(_number, _folders(backups)), default=0) + 1:04}"
            try:
                folder.mkdir()
            except FileExistsError:  # another write made it first
                continue
            break
    except OSError as error:
        raise cannot_write(backups, error, cure=BACKUPS_CURE) from error
    sync_folder(backups)
    sync_folder(backups.parent)
    return folder


def _folders(backups: Path) -> list[Path]:
    """The folders of all writes, oldest first."""
    found = [path for path in backups.iterdir() if _number(path)] if backups.is_dir() else []
    return sorted(found, key=_number)


def _number(folder: Path) -> int:
    """The number of a write's folder; 0 for other folders."""
    name = folder.name.partition(_UNDONE)[0]
    return int(name) if name.isascii() and name.isdecimal() else 0


def _append(journal: Path, record: dict[str, Any]) -> None:
    """Append a line, and flush it to the disk."""
    try:
        with journal.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(journal, error, cure=CURE) from error
    sync_folder(journal.parent)


def _records(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """The journal's numbered changes, but for withdrawn ones; a last line cut short belongs to no written file.

    Raises:
        LibraryError: the journal is damaged, or lists files outside the library.
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
    raise LibraryError(f"the journal {str(journal)!r} is damaged; copy the old files beside it back by hand")


def _sound(record: dict[str, Any]) -> bool:
    """Whether a line of a journal is complete and inside the library."""
    inside, backup = Path(record["file"]), record.get("backup", "")
    whole = isinstance(record["after"], str) and (not backup or isinstance(record["before"] + "", str))
    stays = not inside.is_absolute() and ".." not in inside.parts and Path(backup).name == backup
    return whole and stays and isinstance(record.get("mtime_ns", 0), int)
