"""`onesheet serve` as a process: where it listens, what it rejects, how it stops."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
from serving_client import serving

from onesheet.__main__ import main
from onesheet.data import Catalogue, write_catalogue


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_what_is_begun_is_finished_and_what_is_new_is_turned_away(
    stop: signal.Signals, model_path: Path, posters: list[bytes]
) -> None:
    with serving(model_path) as (url, process):
        host, port = url.removeprefix("http://").split(":")
        poster = posters[0]
        head = f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(poster)}\r\n\r\n"
        with socket.create_connection((host, int(port))) as begun:
            begun.sendall(head.encode() + poster[:100])
            while "onesheet_requests_in_flight 2.0" not in httpx2.get(f"{url}/metrics").text:
                pass
            process.send_signal(stop)
            while httpx2.get(f"{url}/readyz").status_code != 503:
                pass
            new = httpx2.post(f"{url}/v1/predict", content=poster)
            assert new.status_code == 503 and new.json() == {"error": "the service is stopping; try again later"}
            begun.sendall(poster[100:])
            assert begun.recv(10_000).startswith(b"HTTP/1.1 200 OK")
        assert process.wait(50) == 0
        assert process.stderr and process.stderr.read() == ""


def test_a_second_signal_ends_it_at_once(model_path: Path) -> None:
    with serving(model_path, "--max-seconds", "600") as (url, process):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as begun:
            begun.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n1".encode())
            while "onesheet_requests_in_flight 2.0" not in httpx2.get(f"{url}/metrics").text:
                pass
            process.send_signal(signal.SIGTERM)
            while httpx2.get(f"{url}/readyz").status_code != 503:
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(50) == 0


def test_sigterm_under_load_cuts_nothing_off(model_path: Path, posters: list[bytes]) -> None:
    """Six clients that never pause; whatever was sent before the signal is answered, and the load does not delay it."""
    answers: list[tuple[float, int]] = []  # when it was sent, and the status; 0 = no answer
    over = threading.Event()

    def ask_on_and_on(url: str) -> None:
        while not over.is_set():
            sent = time.monotonic()
            try:
                answers.append((sent, httpx2.post(f"{url}/v1/predict", content=posters[0], timeout=60).status_code))
            except httpx2.TransportError:
                answers.append((sent, 0))

    with serving(model_path, "--max-seconds", "600") as (url, process):
        host, port = url.removeprefix("http://").split(":")
        clients = [threading.Thread(target=ask_on_and_on, args=(url,)) for _ in range(6)]
        try:
            with socket.create_connection((host, int(port))) as begun:  # keeps the service for a while
                head = f"POST /v1/predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(posters[0])}\r\n\r\n"
                begun.sendall(head.encode() + posters[0][:100])
                while "onesheet_requests_in_flight 2.0" not in httpx2.get(f"{url}/metrics").text:
                    pass
                for client in clients:
                    client.start()
                while sum(status == 200 for _, status in answers) < 30:
                    assert process.poll() is None
                    time.sleep(0.01)
                signalled = time.monotonic()
                process.send_signal(signal.SIGTERM)
                while sum(status == 503 for _, status in answers) < 30:
                    assert process.poll() is None
                    time.sleep(0.01)
                begun.sendall(posters[0][100:])
                assert begun.recv(10_000).startswith(b"HTTP/1.1 200 OK")
            assert process.wait(30) == 0
        finally:
            over.set()
            for client in clients:
                client.join()
        assert process.stderr and process.stderr.read() == ""
    assert {status for sent, status in answers if sent < signalled} <= {200, 503}  # none without an answer
    assert {status for _, status in answers} <= {200, 503, 0}


def test_a_token_from_the_environment_opens_every_address(model_path: Path, posters: list[bytes]) -> None:
    with serving(model_path, "--host", "0.0.0.0", ONESHEET_TOKEN="secret" * 3) as (url, _):
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx2.post(f"{url}/v1/predict", content=posters[0]).status_code == 401
        headers = {"Authorization": f"Bearer {'secret' * 3}"}
        assert httpx2.post(f"{url}/v1/predict", content=posters[0], headers=headers).status_code == 200


def test_limits_are_options(model_path: Path) -> None:
    options = ("--max-file-mb", "1", "--max-request-mb", "2", "--max-megapixels", "3", "--max-queue", "4")
    with serving(model_path, *options, "--max-seconds", "5") as (url, _):
        assert httpx2.get(f"{url}/v1/limits").json() == {
            "file_bytes": 1_000_000,
            "request_bytes": 2_000_000,
            "pixels": 3_000_000,
            "queue": 4,
            "seconds": 5,
        }


def test_a_catalogue_is_read_by_the_model_and_decided(model_path: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    table, decisions = tmp_path / "films.csv", tmp_path / "mine.sqlite"
    write_catalogue(Catalogue(catalogue.films[:30], catalogue.genres), table)
    with table.open("a") as file:
        file.write(f"bare,{catalogue.films[40].poster},,,,,\n")
        file.write(f"broken,{table},,,,,\n")
    with serving(model_path, "--catalogue", str(table), "--decisions", str(decisions)) as (url, process):
        last = httpx2.get(f"{url}/v1/review", params={"limit": 100}).json()["films"][-1]
        assert (last["film"], last["reason"], last["genres"]) == ("bare", "no-genres", [])
        body = {"action": "correct", "genres": ["Horror"], "version": 0}
        assert httpx2.post(f"{url}/v1/review/films/bare", json=body).status_code == 200
        assert "bare" in httpx2.get(f"{url}/v1/review/export").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(50) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films.csv", "mine.sqlite"]  # no journal is left


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines in; pass --token or set ONESHEET_TOKEN, or keep"),
        (["--host", "::"], "--host :: lets other machines in"),
        (["--host", "posters.example"], "--host posters.example lets other machines in"),
        (
            ["--host", "0.0.0.0", "--token", "fifteen-letters"],
            "guess a token of 15 characters; take 16 or more, made with",
        ),
        (["--token", ""], "the token must be ASCII"),
        (["--token", "two words"], "the token must be ASCII"),
        (["--host", "192.0.2.1", "--token", "secret" * 3], "cannot listen at 192.0.2.1 port 8000: "),
        (["--model", "nowhere.onnx"], "no model file 'nowhere.onnx'"),
        (["--run", "nowhere"], "no run in 'nowhere'; name a folder"),
        (["--catalogue", "nowhere.csv"], "no such path: 'nowhere.csv'"),
        (["--similar-in", "nowhere"], "no such folder: 'nowhere'"),
        (["--decisions", "d.sqlite"], "--decisions needs something to decide about; pass --run or --catalogue"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    options: list[str], error: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONESHEET_TOKEN", raising=False)
    assert main(["serve", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("onesheet: error: ") and error in said and said.count("\n") == 1


def test_a_taken_port_is_one_line(model_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--model", str(model_path), "--port", port]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen at 127.0.0.1 port {port}: Address already in use; choose another --host or --port" in said


def test_help_and_errors_need_no_web_framework() -> None:
    code = (
        "import sys\n"
        "from onesheet.__main__ import build_parser, main\n"
        "build_parser().format_help()\n"
        "assert not {'fastapi', 'uvicorn', 'starlette', 'pydantic', 'torch'} & set(sys.modules)\n"
        "sys.modules['fastapi'] = None\n"
        "raise SystemExit(main(['serve']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "onesheet: error: serving needs fastapi; run: pip install 'onesheet-genres[serve]'\n"
