"""Requests that mean harm: slow, endless, crooked, or after secrets."""

from __future__ import annotations

import hmac
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from serving_client import Client, as_files, serving

from onesheet.apps.serving import middleware as gate
from onesheet.apps.serving.app import PAGE
from onesheet.apps.serving.client_connection import MAX_HEAD_BYTES

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)))
    made.settimeout(30)
    return made


def rest_of(connection: socket.socket) -> bytes:
    said = b""
    try:
        while part := connection.recv(65_536):
            said += part
    except ConnectionResetError:
        pass
    return said


def test_a_head_that_never_ends_is_ended(model_path: Path) -> None:
    with serving(model_path, "--max-seconds", "1") as (url, _):
        begun = time.monotonic()
        for first in (b"", b"G", b"GET / HTTP/1.1\r\nX: ", b"\r\n"):
            with connected(url) as slow:
                slow.sendall(first)
                assert rest_of(slow).startswith(b"HTTP/1.1 400 "), first
        with connected(url) as drip:  # a byte now and then is no progress
            drip.sendall(b"GET / HTTP/1.1\r\nX: ")
            with pytest.raises(OSError):
                for _ in range(300):
                    drip.sendall(b"a")
                    time.sleep(0.1)
        with connected(url) as idle:  # answered once, then only line ends
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(65_536).startswith(b"HTTP/1.1 200 ")
            idle.sendall(b"\r\n")
            rest_of(idle)
        assert time.monotonic() - begun < 120
        assert httpx2.get(f"{url}/readyz").status_code == 200


def test_a_head_that_is_too_long_is_ended(model_path: Path) -> None:
    with serving(model_path) as (url, _):
        for line in (b"X: " + b"a" * 65_536, b"a" * 65_536, b"X-%d: 1\r\n" * 6000):
            with connected(url) as endless:
                sent = 0
                with pytest.raises(OSError):
                    endless.sendall(b"GET / HTTP/1.1\r\n")
                    for _ in range(1000):
                        endless.sendall(line)
                        sent += len(line)
                assert sent < 100 * MAX_HEAD_BYTES  # what lies in the system's buffers
        assert httpx2.get(f"{url}/readyz").status_code == 200


CHUNKED = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\n", b"X-Y: 1\r\n" * 8192),
        (b"0\r\nX: ", b"a" * 65_536),
        (b"0\r\n", b"a" * 65_536),
        (b"1;", b"a" * 65_536),
        (b"1;a=", b"a" * 65_536),
    ],
    ids=["trailers", "a trailer", "its name", "an extension", "its value"],
)  # fmt: skip
def test_trailers_and_chunk_extensions_without_end_are_ended(begin: bytes, more: bytes, traversed: str) -> None:
    with connected(traversed) as endless:
        sent = 0
        with pytest.raises(OSError):
            endless.sendall(CHUNKED + begin)
            for _ in range(1000):
                endless.sendall(more)
                sent += len(more)
        assert sent < 100 * MAX_HEAD_BYTES  # what lies in the system's buffers


def test_trailers_are_no_headers_and_small_chunks_no_overhead(model_path: Path, posters: list[bytes]) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in posters[0] * (1 + 2 * MAX_HEAD_BYTES // len(posters[0])))
    token, close = b"Authorization: Bearer secret\r\n", b"Connection: close\r\n\r\n"
    with serving(model_path, ONESHEET_TOKEN="secret") as (url, _):
        for head, trailer, status in ((token, b"X: 1\r\n", b"200"), (b"", token, b"401")):
            with connected(url) as raw:
                raw.sendall(CHUNKED[:-2] + head + close + chunks + b"0\r\n" + trailer + b"\r\n")
                assert rest_of(raw).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/..%5capp.py"),
        *("/static/....//app.py", "/static/%00", "//etc/passwd", "/../../etc/passwd", "/report/../app.py"),
        *("/static/.", "/static//etc/passwd"),
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(path: str, traversed: str) -> None:
    with connected(traversed) as raw:  # a client that tidies no path
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = rest_of(raw)
    assert re.match(rb"HTTP/1.1 40[04] ", answer), answer[:200]
    assert b"root:" not in answer and b"create_app" not in answer


@pytest.fixture(scope="module")
def traversed(model_path: Path) -> Iterator[str]:
    with serving(model_path) as (url, _):
        yield url


def part(name: str, *, more: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n{more}\r\n\r\n\r\n'.encode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (part("files") * 5000 + b"--b--\r\n", 413),
        (part("other") * 5000 + b"--b--\r\n", 413),
        (part("files").replace(b'; filename="a.png"', b"") * 5000 + b"--b--\r\n", 422),
        (part("a" * 1_000_000) + b"--b--\r\n", 422),
        (part("files", more="X: " + "a" * 10_000_000 + "\r\n") + b"--b--\r\n", 422),
        (part("files", more="X: a\r\n" * 10_000) + b"--b--\r\n", 422),
        (part("files"), 422),
        (b"--b", 422),
        (b"--c\r\n\r\n", 422),
        (b"\r\n" * 100_000, 422),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--\r\n", 422),
        (b"--b\r\nContent-Disposition: \xff\xfe; name=\xc0\r\n\r\n\r\n--b--\r\n", 422),
    ],
    ids=range(12),
)
def test_crooked_forms_are_rejected_at_once(body: bytes, status: int, client: Client) -> None:
    begun = time.process_time()
    answer = client().post("/v1/predict", content=body, headers=FORM)
    assert answer.status_code == status and list(answer.json()) == ["error"]
    assert len(answer.text) < 1000 and time.process_time() - begun < 5


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a;b"]
)
def test_forms_without_a_boundary_are_rejected(kind: str, client: Client) -> None:
    answer = client().post("/v1/predict", content=part("files"), headers={"Content-Type": kind})
    assert answer.status_code == 422 and list(answer.json()) == ["error"]


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "²"])
def test_lengths_that_are_no_lengths(length: str, client: Client) -> None:
    headers = [(b"Inference-Header-Content-Length", length.encode("latin-1"))]
    answer = client().post("/v2/models/genres/infer", content=b"{}", headers=headers)
    assert answer.status_code == 400 and len(answer.text) < 500
    assert client().post("/v1/predict", content=b"x", headers={"Content-Length": "9" * 5000}).status_code == 413


def test_script_in_a_file_name_stays_a_name(client: Client, posters: list[bytes]) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    answer = client().post("/v1/predict", files=[("files", (name, posters[0]))])
    assert answer.json()["predictions"][0]["path"] == name
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_page_makes_no_markup_of_what_it_is_told() -> None:
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(['\"]|srcdoc"
    for script in PAGE.glob("*.js"):
        assert not re.search(banned, script.read_text(encoding="utf-8")), script
    assert "unsafe" not in gate.SECURITY["Content-Security-Policy"]


def test_every_answer_has_the_policy(client: Client) -> None:
    served = client(token="secret")
    for path in ("/", "/nope", "/v1/model", "/static/page.js", "/healthz", "/openapi.json"):
        assert "default-src 'none'" in served.get(path).headers["Content-Security-Policy"], path


def test_tokens_are_compared_in_constant_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def digest(shown: bytes, token: bytes) -> bool:
        compared.append((shown, token))
        return hmac.compare_digest(shown, token)

    served = client(token="secret")
    monkeypatch.setattr(gate, "hmac", type("Spy", (), {"compare_digest": staticmethod(digest)}))
    for shown, status in (("secret", 200), ("secreT", 401), ("s", 401)):
        assert served.get("/v1/limits", headers={"Authorization": f"Bearer {shown}"}).status_code == status
    assert compared == [(b"secret", b"secret"), (b"secreT", b"secret"), (b"s", b"secret")]


def test_no_secret_is_told_in_logs_or_answers(model_path: Path, posters: list[bytes]) -> None:
    secret, said = "5f0d1cab7e", ""
    with serving(model_path, ONESHEET_TOKEN=secret) as (url, process):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {secret}"}):
            for path in ("/", "/v1/model", "/nope", "/metrics", "/openapi.json", "/v1/predict?top=x"):
                answer = httpx2.get(url + path, headers=headers)
                said += answer.text + str(answer.headers)
            answer = httpx2.post(f"{url}/v1/predict", files=as_files([posters[0], b"no picture"]), headers=headers)
            said += answer.text + str(answer.headers)
        with connected(url) as raw:
            raw.sendall(f"NO HTTP\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
            said += rest_of(raw).decode()
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr
        log = process.stderr.read()
    assert "Invalid HTTP request received" in log
    assert secret not in said + log and str(model_path) not in said
