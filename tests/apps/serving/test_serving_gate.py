from __future__ import annotations

import asyncio

import pytest
from serving_client import Client, gate
from starlette.types import Message

CLOSED = ("/v1/model", "/v1/limits", "/metrics", "/v2", "/v2/models/genres", "/v2/models/genres/ready", "/nope")
OPEN = ("/", "/static/page.js", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json")


def test_a_token_opens_what_is_closed(client: Client, posters: list[bytes]) -> None:
    served = client(token="secret")
    for path in OPEN:
        assert served.get(path).status_code == 200, path
    for path in CLOSED:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic secret"},
            {"Authorization": "é"},
        ):
            rejected = served.get(path, headers=[(k.encode(), v.encode()) for k, v in headers.items()])
            assert rejected.status_code == 401, path
            assert rejected.headers["WWW-Authenticate"] == "Bearer"
            said = "this is not the token" if "Bearer" in str(headers) else "a token is needed; send the header 'Auth"
            assert rejected.json()["error"].startswith(said)
        assert served.get(path, headers={"Authorization": "Bearer secret"}).status_code != 401, path
    assert served.post("/v1/predict", content=posters[0]).status_code == 401
    assert served.post("/v1/predict", content=posters[0], headers={"Authorization": "Bearer secret"}).is_success


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "LOCALHOST:99", "[::1]", "[::1]:8000"])
def test_this_machines_names_are_answered(host: str, client: Client) -> None:
    assert client().get("/v1/limits", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", ""])
def test_a_name_made_to_point_here_is_not(host: str, client: Client) -> None:
    rejected = client().get("/v1/limits", headers={"Host": host})
    assert rejected.status_code == 400
    assert f"this service does not answer as {host!r}; use 127.0.0.1 or" in rejected.json()["error"]
    assert rejected.headers["X-Content-Type-Options"] == "nosniff"


def test_with_a_token_any_name_is_answered(client: Client) -> None:
    headers = {"Host": "posters.example", "Authorization": "Bearer secret"}
    assert client(token="secret").get("/v1/limits", headers=headers).status_code == 200


def test_pages_of_others_may_not_use_it(client: Client, posters: list[bytes]) -> None:
    served = client()
    own = served.post("/v1/predict", content=posters[0], headers={"Origin": "http://127.0.0.1:8000"})
    assert own.status_code == 200
    for origin in (
        "http://evil.example",
        "http://127.0.0.1:9000",
        "null",
        "http://[x",
        "http://[::1]x",
        "http://\u2100",
    ):
        rejected = served.post("/v1/predict", content=posters[0], headers={"Origin": origin.encode()})
        assert rejected.status_code == 403 and "may not use this service" in rejected.json()["error"]
        assert rejected.headers["X-Content-Type-Options"] == "nosniff"
        preflight = {"Origin": origin.encode(), "Access-Control-Request-Method": b"POST"}
        asked = served.options("/v1/predict", headers=preflight)
        assert not {"access-control-allow-origin"} & set(asked.headers)


def test_what_is_turned_away_does_not_keep_the_service_from_stopping(client: Client) -> None:
    served = gate(client())
    served.service.draining = True
    begun: list[tuple[int, int]] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.append((message["status"], served.service.in_flight))

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/v1/limits", "headers": [(b"host", b"localhost")]}
    asyncio.run(served(scope, receive, send))
    assert begun == [(503, 0)]
