"""A service of the tiny model, in this process or behind a real socket."""

from __future__ import annotations

import io
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from onesheet.apps.serving import server
from onesheet.apps.serving.middleware import Gate
from onesheet.bundle import Scores, read_bundle
from onesheet.predict import Predictor

HERE = "http://127.0.0.1:8000"
Client = Callable[..., TestClient]


class Held(Predictor):
    """A predictor that scores nothing while `go` is cleared."""

    def __init__(self, path: Path) -> None:
        super().__init__(read_bundle(path), threads=1)
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)
        self.fault: Exception | None = None

    def score(self, posters: NDArray[np.uint8]) -> Scores:
        self.begun.release()
        assert self.go.wait(60)
        if self.fault:
            raise self.fault
        return super().score(posters)


def gate(client: TestClient) -> Gate:
    assert isinstance(client.app, Gate)
    return client.app


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 160)).save(file, "PNG")
    return file.getvalue()


def as_files(posters: list[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{number}.png", poster)) for number, poster in enumerate(posters)]


@contextmanager
def serving_here(model: Path, **options: Any) -> Iterator[str]:
    """`serve` in a thread of this process, which starts sooner than a process: its address."""
    servers: list[server._Server] = []
    said: queue.Queue[str] = queue.Queue()

    class Kept(server._Server):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            servers.append(self)

    def run() -> None:
        try:
            server.serve(model, port=0, threads=1, notify=said.put, **options)
        finally:
            said.put("ended")

    with patch.object(server, "_Server", Kept):
        thread = threading.Thread(target=run)
        thread.start()
        found = None
        while not found:
            line = said.get(timeout=60)
            assert line != "ended"
            found = re.search(r"http://\S+?(?=/ )", line)
    try:
        yield found[0]
    finally:
        servers[0].should_exit = servers[0].force_exit = True
        thread.join()


@contextmanager
def serving(model: Path, *options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`onesheet serve` in a process of its own: its address, and the process."""
    code = "from onesheet.__main__ import main; raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--model", str(model), "--port", "0", "--threads", "1", *options],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        said, found = "", None
        while not found and (line := process.stderr.readline()):
            said, found = said + line, re.search(r"http://\S+?(?=/ )", line)
        assert found, said
        yield found[0], process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
