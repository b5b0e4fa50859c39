from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving_client import Client, Held, as_files, gate, png, serving
from starlette.formparsers import MultiPartParser

from onesheet.apps.serving import Limits, batching, uploads
from onesheet.errors import ConfigError


@pytest.fixture
def background() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(40) as pool:
        yield pool.submit


def test_a_file_may_be_so_large(client: Client, posters: list[bytes]) -> None:
    size = len(posters[0])
    served = client(file_bytes=size)
    assert served.post("/v1/predict", files=as_files([posters[0]])).status_code == 200
    for body in ({"files": [("files", ("big.png", posters[0] + b"\0"))]}, {"content": posters[0] + b"\0"}):
        answer = served.post("/v1/predict", **body)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert f"has {size + 1:,} bytes and may have {size:,}; scale it down" in answer.json()["error"]


def test_a_request_may_be_so_large_whether_it_says_so_or_not(client: Client, posters: list[bytes]) -> None:
    served = client(request_bytes=50_000)

    def chunks() -> Iterator[bytes]:
        for _ in range(6):
            yield bytes(10_000)

    for path in ("/v1/predict", "/v2/models/genres/infer"):
        for content in (bytes(50_001), chunks()):
            answer = served.post(path, content=content)
            assert answer.status_code == 413, path
            assert "a request may have at most 50,000 bytes" in answer.json()["error"]
    assert served.post("/v1/predict", content=posters[0]).status_code == 200


def test_a_request_may_have_so_many_files(client: Client, posters: list[bytes]) -> None:
    served = client(queue=10)
    assert served.post("/v1/predict", files=as_files(posters[:10])).status_code == 200
    answer = served.post("/v1/predict", files=as_files(posters[:11]))
    assert answer.status_code == 413
    assert answer.json()["error"] == "a request may have at most 10 posters; send them in parts"


def test_a_full_queue_says_try_again(
    client: Client, predictor: Held, posters: list[bytes], background: Callable[..., Future[Any]]
) -> None:
    served = client(queue=10, threads=1)
    predictor.go.clear()
    first = background(served.post, "/v1/predict", files=as_files(posters[:10]))
    predictor.begun.acquire()  # 2 are being scored, 8 wait
    second = background(served.post, "/v1/predict", files=as_files(posters[:2]))
    while len(gate(served).service.batcher._queue) < 10:
        time.sleep(0.01)
    rejected = served.post("/v1/predict", content=posters[0])
    assert rejected.status_code == 429 and rejected.headers["Retry-After"] == "1"
    assert rejected.json() == {"error": "10 posters are waiting, and 10 may; try again later"}
    predictor.go.set()
    assert first.result().status_code == second.result().status_code == 200
    assert served.post("/v1/predict", content=posters[0]).status_code == 200


def test_bodies_in_memory_are_bounded(client: Client, predictor: Held, background: Callable[..., Future[Any]]) -> None:
    big = png(40, 40)
    served = client(request_bytes=len(big), threads=1)
    predictor.go.clear()
    held = [background(served.post, "/v1/predict", content=big) for _ in range(4)]
    while gate(served).service.uploads._held < 4 * len(big):
        time.sleep(0.01)
    rejected = served.post("/v1/predict", content=big)
    assert rejected.status_code == 429 and "too many uploads at the same time" in rejected.json()["error"]
    predictor.go.set()
    assert {answer.result().status_code for answer in held} == {200}
    assert gate(served).service.uploads._held == 0
    assert served.post("/v1/predict", content=big).status_code == 200


def test_an_answer_that_takes_too_long_leaves_no_work_behind(
    client: Client, predictor: Held, posters: list[bytes]
) -> None:
    served = client(seconds=1, threads=1)
    predictor.go.clear()
    late = served.post("/v1/predict", files=as_files(posters[:20]))
    assert late.status_code == 504
    assert late.json() == {"error": "the answer took longer than 1 seconds; send fewer posters at a time"}
    predictor.go.set()
    while served.get("/readyz").status_code != 200:
        time.sleep(0.01)
    assert served.post("/v1/predict", content=posters[0]).status_code == 200
    assert "onesheet_posters_total 3.0" in served.get("/metrics").text  # 2 had begun, 18 were dropped


def test_an_upload_that_takes_too_long_is_ended(model_path: Path) -> None:
    with serving(model_path, "--max-seconds", "1") as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n12345".encode())
            answer = ""
            while not answer.endswith("}"):  # the body may come after the headers
                answer += slow.recv(10_000).decode()
        assert answer.startswith("HTTP/1.1 408 ")
        assert "the upload took longer than 1 seconds" in answer
        assert httpx2.get(f"{url}/readyz").status_code == 200


def test_a_fault_inside_is_answered_and_the_next_request_too(
    client: Client, predictor: Held, posters: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = client(threads=1)
    predictor.fault = ZeroDivisionError("no")
    for _ in range(3):
        answer = served.post("/v1/predict", content=posters[0])
        assert answer.status_code == 500
        assert answer.json() == {"error": "ZeroDivisionError inside the service; its log says more"}
    predictor.fault = None
    with monkeypatch.context() as patch:
        patch.setattr(batching, "read_poster", lambda *_, **__: bytearray(1 << 62))
        assert served.post("/v1/predict", content=posters[0]).json()["error"].startswith("MemoryError inside")
    assert served.post("/v1/predict", content=posters[0]).status_code == 200


@pytest.mark.parametrize("name", ["file_bytes", "request_bytes", "pixels", "queue", "seconds"])
def test_limits_are_above_zero(name: str) -> None:
    with pytest.raises(ConfigError, match=f"the limit {name} must be above 0; got 0"):
        Limits(**{name: 0})


class Writes:
    """Files opened for writing while it is on; an audit hook cannot be taken back."""

    def __init__(self) -> None:
        self.on = False
        self.paths: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and (event.startswith("tempfile.") or (event == "open" and arguments[2] & 0b11)):
            self.paths.append(str(arguments[0]))


@pytest.mark.parametrize("parser", ["ours", "starlette's"])
def test_uploads_are_never_written_to_disk(
    parser: str, client: Client, posters: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if parser != "ours":  # what the test would see if they were
        monkeypatch.setattr(uploads, "_InMemory", MultiPartParser)
    served = client()
    writes = Writes()
    writes.on = True
    answer = served.post("/v1/predict", files=as_files([posters[0] + bytes(5_000_000), posters[1]]))
    served.post("/v1/predict", content=posters[0] + bytes(5_000_000))
    writes.on = False
    assert answer.status_code == 200 and "error" not in answer.text
    assert bool(writes.paths) == (parser != "ours"), writes.paths
