"""Files that appear whole or not at all, and folders that one process writes at a time."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from onesheet.errors import OnesheetError, without_passwords

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
_BEYOND_TEXT = 1 << 30  # Windows keeps others from reading the bytes that are locked
OUT = "choose another place with --out"
_UMASK = os.umask(0)  # read once: what other threads make meanwhile would be open to everybody
os.umask(_UMASK)
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # but for those that stand for bytes of file names


@contextmanager
def whole_file(path: str | Path, *, mode: int | None = None, cure: str = OUT) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    What earlier writers of `path` have left, because they were killed, is removed, except on Windows.

    Args:
        path: the file to be.
        mode: its permissions; None = those of any new file.
        cure: the cure that the error names.

    Raises:
        OnesheetError: the folder cannot be written or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as part:
        ...         _ = part.write_text("whole", encoding="utf-8")
        ...     (Path(folder) / "a.txt").read_text(encoding="utf-8")
        'whole'
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_parts(path)
        held, part = _new_part(path)
    except OSError as error:
        raise cannot_write(path, error, cure=cure) from error
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_UMASK if mode is None else mode)  # mkstemp made it private
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error, cure=cure) from error
    finally:
        part.unlink(missing_ok=True)
        if held is not None:
            os.close(held)


def _new_part(path: Path) -> tuple[int | None, Path]:
    """A temporary file beside `path`: its handle, locked to show that somebody writes it, and its own path."""
    while True:
        held, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=".part")
        if sys.platform == "win32":  # which cannot rename an open file
            os.close(held)
            return None, Path(name)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:  # not taken for one that was left, before it was locked
            return held, Path(name)
        os.close(held)


def _remove_left_parts(path: Path) -> None:
    if sys.platform == "win32":
        return
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*.part"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _prefix(path: Path) -> str:
    return f".{path.name[:64]}."


@contextmanager
def sole_use(folder: str | Path, *, cure: str = OUT) -> Iterator[None]:
    """Keep a folder for this process alone; one that is made for it and stays empty is removed.

    The lock is the system's, on the file `.lock`: it ends with the process, however that ends. Some network disks
    have none.

    Args:
        folder: the folder.
        cure: the cure that the error names where it cannot be written.

    Raises:
        OnesheetError: another process has it, or the folder cannot be written.
    """
    folder = Path(folder)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(folder / LOCK, cure)
    except OSError as error:
        raise cannot_write(folder, error, cure=cure) from error
    with file:
        try:
            _sign(file, folder, cure)
            yield
        finally:
            with suppress(PermissionError):  # Windows, where it is still open
                (folder / LOCK).unlink(missing_ok=True)
            if made:
                with suppress(OSError):  # there is something in it
                    folder.rmdir()


def _locked(path: Path, cure: str) -> IO[bytes]:
    """The lock file, locked and still in its place.

    Raises:
        OnesheetError: another process has it.
    """
    while True:
        file = path.open("a+b", buffering=0)
        try:
            _lock(file)
            if os.fstat(file.fileno()).st_nlink:  # not removed meanwhile by the process that had it
                return file
            file.close()
        except BlockingIOError:
            with file:
                file.seek(0)
                name = file.read().decode("utf-8", "replace") or "another process"
            elsewhere = ", or choose another --out" if cure == OUT else ""
            raise OnesheetError(f"{str(path.parent)!r} is in use by {name}; wait for it{elsewhere}") from None
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):  # a file system without locks
                return file
            file.close()
            raise


def _lock(file: IO[bytes]) -> None:
    """Lock an open file for this process.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        file.seek(_BEYOND_TEXT)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from None
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(lock: IO[bytes], folder: Path, cure: str) -> None:
    """Write into a lock file who has it."""
    command = without_passwords(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    since = datetime.now(UTC).isoformat(" ", "seconds")
    name = f"process {os.getpid()} on {socket.gethostname()} ({command}), since {since}"
    try:
        lock.truncate(0)
        lock.write(name.encode("utf-8", "replace"))
    except OSError as error:
        raise cannot_write(folder, error, cure=cure) from error


def read_json(path: str | Path) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, not JSON, or nested too deep.
    """
    return parse_json(Path(path).read_text(encoding="utf-8"))


def parse_json(text: str | bytes) -> Any:
    """The value in JSON text; nesting too deep is an error as any other, and what no file could hold becomes "?".

    Raises:
        ValueError: it is not JSON, or nested too deep.

    Example:
        >>> parse_json('{"films": 3}')
        {'films': 3}
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    try:
        value = json.loads(text)
        return encodable(value) if "\\ud" in text or "\\uD" in text else value
    except RecursionError:
        raise ValueError("nested too deep") from None


def encodable(value: Any) -> Any:
    r"""A value as JSON has them, with "?" for halves of letters, of which no UTF-8 can be made.

    Example:
        >>> encodable(["Am\ud800lie", "Am\udce9lie"]) == ["Am?lie", "Am\udce9lie"]
        True
    """
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("?", value)
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def read_within(path: str | Path, most: int) -> bytes:
    """The bytes of a file that has no more than `most`; a larger one is not read.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more.
    """
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise ValueError(f"more than {most:,} bytes")
        return file.read(most)


def whole_records(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The JSON objects of a journal, one a line, each with the bytes up to its end; a last line cut short is left out.

    Raises:
        ValueError: a line before the last is none; what follows it would be lost.
    """
    end = 0
    with path.open("rb") as file:
        for line in file:
            try:
                record = parse_json(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if not isinstance(record, dict):
                if file.read(1):
                    raise ValueError("a line before the last is damaged")
                return
            end += len(line)
            yield record, end


def write_text(path: str | Path, text: str, *, cure: str = OUT) -> None:
    """Write UTF-8 text, whole or not at all; `cure` is the cure that the error names."""
    with whole_file(path, cure=cure) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder permanent, where the system can."""
    with suppress(OSError):  # Windows and some network disks cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def reserve(path: Path) -> None:
    """Take the disk space of a mapped file now: a full disk is then an error and not a crash later.

    Raises:
        OnesheetError: the disk is full; the file is removed.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        raise cannot_write(path, error) from error


def cannot_write(path: str | Path, error: OSError, *, cure: str = OUT) -> OnesheetError:
    """The one-line error for a file that cannot be written, with its cure."""
    if error.errno == errno.ENOSPC:
        return OnesheetError(f"disk full while writing {str(path)!r}; free some space and run it again")
    return OnesheetError(f"cannot write {str(path)!r}: {error.strerror}; {cure}")
