"""Replace files without losing what another program writes at the same moment.

The new bytes are written to a hidden file beside the old one, `.NAME.onesheet.part`. Then the two change places in one
step, and what came out is compared with what was read. Other bytes go back to their place. Where the file system
cannot exchange (SMB, NFS and all of macOS and Windows), the file is compared once more and then replaced.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import signal
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from onesheet.errors import LibraryError
from onesheet.files import cannot_write, sync_folder, whole_file

if sys.platform == "linux":
    import fcntl

CURE = "check its permissions"
CHANGED = "its NFO has changed meanwhile"
_NOREPLACE, _EXCHANGE, _HERE = 1, 2, -100  # of renameat2(2)
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Changed(LibraryError):
    """Another program has written the file meanwhile; its bytes stay in place."""


def digest(data: bytes) -> str:
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def replace_file(path: Path, data: bytes, *, expected: str, kept: Path, mtime_ns: int | None = None) -> None:
    """Replace a file's bytes if it has the expected ones; its permissions, owner and attributes stay.

    Args:
        path: the file.
        data: its new bytes.
        expected: digest of its bytes as they were read.
        kept: where to save another program's bytes if their own place is taken.
        mtime_ns: its modification time in nanoseconds; None = now, so that players read it again.

    Raises:
        Changed: it has other bytes, or another program has it open for writing; those stay.
        OnesheetError: it cannot be written.
    """
    state, swap = path.stat(), _swap(path)
    with whole_file(swap, mode=stat.S_IMODE(state.st_mode), cure=CURE) as part:
        part.write_bytes(data)
        copy_state(path, part, state, mtime_ns=time.time_ns() if mtime_ns is None else mtime_ns)
    try:
        if _digest_at(path) != expected:
            raise Changed(CHANGED)
        if not _exchange(swap, path):
            swap.replace(path)
        elif _is_open(swap):
            _exchange(swap, path)
            raise Changed("another program is writing its NFO")
        elif _digest_at(swap) != expected:
            raise Changed(CHANGED)
    except OSError as error:
        raise cannot_write(path, error, cure=CURE) from error
    finally:
        recover(path, ours={digest(data), expected}, kept=kept)
    sync_folder(path.parent)


def make_file(path: Path, data: bytes) -> None:
    """Make a file where there is none.

    Raises:
        Changed: there is one.
        OnesheetError: it cannot be written.
    """
    swap = _swap(path)
    with whole_file(swap, cure=CURE) as part:
        part.write_bytes(data)
    try:
        _move(swap, path)
    except FileExistsError:
        raise Changed(CHANGED) from None
    except OSError as error:
        raise cannot_write(path, error, cure=CURE) from error
    finally:
        swap.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_file(path: Path, *, expected: str, kept: Path) -> None:
    """Remove a file if it has the expected bytes; `kept` as in `replace_file`.

    Raises:
        Changed: it has others, which stay.
    """
    swap = _swap(path)
    if _digest_at(path) != expected:
        raise Changed(CHANGED)
    path.rename(swap)
    try:
        if _is_open(swap) or _digest_at(swap) != expected:
            _return(swap, path, kept)
            raise Changed(CHANGED)
    finally:
        recover(path, ours={expected}, kept=kept)
    sync_folder(path.parent)


def recover(path: Path, *, ours: set[str], kept: Path) -> None:
    """Finish what a kill interrupted: remove onesheet's temporary bytes, and put back another program's.

    Args:
        path: a file that was being replaced, made or removed.
        ours: digests of bytes that exist elsewhere.
        kept: as in `replace_file`.
    """
    swap = _swap(path)
    if not os.path.lexists(swap):
        return
    if _digest_at(swap) not in ours:
        if _digest_at(path) in ours:
            _put_back(path, ours=ours, kept=kept)
        else:
            _return(swap, path, kept)
    swap.unlink(missing_ok=True)
    sync_folder(path.parent)


def copy_state(source: Path, target: Path, state: os.stat_result, *, mtime_ns: int) -> None:
    """Copy mode, attributes, owner and group to a new file; without root's rights the owner stays the caller."""
    shutil.copystat(source, target)
    mine = target.stat()
    if (mine.st_uid, mine.st_gid) != (state.st_uid, state.st_gid):
        try:
            os.chown(target, state.st_uid, state.st_gid)
        except PermissionError:
            with suppress(PermissionError):
                os.chown(target, -1, state.st_gid)
    os.utime(target, ns=(state.st_atime_ns, mtime_ns))


def _put_back(path: Path, *, ours: set[str], kept: Path) -> None:
    """Put back another program's bytes; of two versions the newer one is in place and the older one in `kept`."""
    swap = _swap(path)
    _exchange(swap, path)
    if _digest_at(swap) not in ours:  # it was written once more
        _exchange(swap, path)
        _keep(swap, kept)


def _return(swap: Path, path: Path, kept: Path) -> None:
    """Give a file its name back; if the name is taken, save it as `kept`."""
    try:
        _move(swap, path)
    except FileExistsError:
        _keep(swap, kept)


def _keep(swap: Path, kept: Path) -> None:
    with whole_file(kept, mode=stat.S_IMODE(swap.stat().st_mode), cure=CURE) as part:
        part.write_bytes(swap.read_bytes())
    sync_folder(kept.parent)


def _swap(path: Path) -> Path:
    return path.with_name(f".{path.name}.onesheet.part")


def _digest_at(path: Path) -> str | None:
    """The digest of a file's bytes; None if there is no file."""
    try:
        return digest(path.read_bytes())
    except FileNotFoundError:
        return None


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two files in one step; False if the system or the file system cannot."""
    try:
        _rename(first, second, _EXCHANGE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


def _move(source: Path, target: Path) -> None:
    """Rename a file.

    Raises:
        FileExistsError: the new name is taken.
    """
    try:
        _rename(source, target, _NOREPLACE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)


def _rename(source: Path, target: Path, how: int) -> None:
    """Call renameat2(2), which Python does not offer."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), how):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def _is_open(path: Path) -> bool:
    """Whether another program has a file open for writing; known only on Linux, for the caller's own files."""
    if sys.platform != "linux":
        return False
    with path.open("rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # ignored by default; SIGIO would end the process
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
    return False
