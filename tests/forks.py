"""Work in a fork of this process, which may be killed at a chosen operation on files or after a chosen time."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
AUDITED = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "fcntl.flock"}
CALLS = ("fsync", "pwritev", "posix_fallocate")


class Operations:
    """Counts this process's operations on files, and kills it at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.count, self._die_at = 0, die_at

    def watch(self) -> None:
        """Begin; for the rest of the process."""
        sys.addaudithook(self._heard)
        for name in CALLS:
            setattr(os, name, self._counted(name))

    def step(self, half: Callable[[], Any] = lambda: None) -> None:
        """One operation is about to be; `half` does half of it."""
        self.count += 1
        if self.count == self._die_at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in AUDITED or (event == "open" and arguments[2] and arguments[2] & WRITING):
            self.step()

    def _counted(self, name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def half(file: int, blocks: list[memoryview], place: int) -> None:
            whole = b"".join(blocks)
            call(file, [whole[: len(whole) // 2]], place)

        def counting(*arguments: Any) -> Any:
            self.step(lambda: half(*arguments) if name == "pwritev" else None)
            return call(*arguments)

        return counting


def forked(
    work: Callable[[Operations], object], *, die_at: int | None = None, after: float | None = None
) -> tuple[bool, int]:
    """Work in a fork. Returns whether it was killed, and how many operations on files it made (where it was not).

    Raises:
        AssertionError: it failed by itself.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            operations = Operations(die_at)
            operations.watch()
            work(operations)
            os.write(writing, str(operations.count).encode())
            os._exit(0)
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-60_000:])
            os._exit(1)
    os.close(writing)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as said:
        text = said.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), text
    return status != 0, int(text) if status == 0 and text else 0
