"""What glibc's malloc does in a process that trains."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CLAIM = """
import ctypes, threading
barrier = threading.Barrier(4)
def claim():
    kept = [bytearray(5000 + number) for number in range(100)]  # too large for Python's own pool
    barrier.wait()
threads = [threading.Thread(target=claim) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL("libc.so.6").malloc_stats()  # to standard error
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_threads_of_a_training_share_one_heap() -> None:
    def heaps(before: str, **variables: str) -> int:
        environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"} | variables
        command = [sys.executable, "-c", f"from onesheet.speed.allocator import share_one_heap\n{before}\n{CLAIM}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stderr.count("Arena ")

    assert heaps("") > 1
    assert heaps("share_one_heap()") == 1
    assert heaps("share_one_heap()", MALLOC_ARENA_MAX="4") > 1
    assert heaps("share_one_heap()", ONESHEET_SPEED_OFF="kernels, allocator") > 1
