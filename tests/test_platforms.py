"""Windows and macOS, as far as Linux can tell: their missing modules and functions are taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PRETEND = """
import errno, fcntl, importlib, mmap, os, pathlib, signal, sys, types

TORCH = ("models", "training", "exporting", "speed", "pipeline", "estimator")
without_extra = set()


def import_all(*, first):
    import onesheet.errors
    root = pathlib.Path(onesheet.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = ".".join(("onesheet", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        if name in without_extra or any(part in TORCH for part in name.split(".")):
            continue
        try:
            importlib.import_module(name)
        except (ModuleNotFoundError, sys.modules["onesheet.errors"].MissingExtra):
            if not first:
                raise
            without_extra.add(name)


def locking(file, mode, size):  # as Microsoft's: a region that another process has locked is "permission denied"
    assert (mode, size) == (2, 1)
    try:
        flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


import_all(first=True)  # what other projects' packages need is loaded now, while this is Linux
assert {"onesheet.packed.packing", "onesheet.predict.predictor"} <= set(sys.modules)
for name in [name for name in sys.modules if name.split(".")[0] == "onesheet"]:
    del sys.modules[name]
platform, flock = sys.argv[1], fcntl.flock
absent = {
    os: ["sched_getaffinity", "posix_fadvise", "posix_fallocate"],
    signal: ["SIGXFSZ", "pthread_sigmask"],
    mmap: ["MADV_DONTNEED"],
}
if platform == "win32":
    absent[os] += ["fork", "pwritev", "chown", "getuid", "geteuid", "killpg", "uname", "statvfs", "register_at_fork"]
    absent[signal] += ["SIGKILL", "SIGHUP", "SIGUSR1", "SIGPIPE", "SIGALRM"]
    absent[mmap] += ["PROT_READ", "MAP_SHARED"]
    for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "tty", "syslog", "posix"):
        sys.modules[name] = None
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
for module, names in absent.items():
    for name in names:
        delattr(module, name) if hasattr(module, name) else None
sys.platform = platform
import_all(first=False)
"""
USE = """
from onesheet.audit import audit
from onesheet.data import read_catalogue
from onesheet.drawn import draw_catalogue
from onesheet.errors import OnesheetError
from onesheet.files import sole_use
from onesheet.packed import open_packed, pack, split

draw_catalogue("films", films=40, faults=False, threads=1)
catalogue = read_catalogue("films/posters.csv")
packed = pack(split(catalogue, seed=0), "packed", size=(48, 32), threads=1)
assert (open_packed("packed").posters == packed.posters).all() and len(packed.posters) == 40
with sole_use("folder"):
    try:
        with sole_use("folder"):
            raise SystemExit("two processes have one folder")
    except OnesheetError as error:
        assert "is in use by process" in str(error)
with sole_use("folder"):
    pass
"""


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_the_core_is_imported_packs_and_locks(platform: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PRETEND + USE, platform], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
