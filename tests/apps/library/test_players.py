"""The requests that players get; no player was at hand, so that they are compared with the published APIs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from onesheet.apps.library.players import refresh_jellyfin, refresh_kodi
from onesheet.errors import ConfigError, OnesheetError

Asked = list[tuple[str, str, str | None, Any]]


@pytest.fixture
def player() -> Iterator[tuple[str, Asked]]:
    """A server that answers as Kodi and as Jellyfin, and what it was asked."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
            asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            movies = [
                {"movieid": 7, "file": "smb://nas/films/A (2001)/A.mkv"},
                {"movieid": 8, "file": "D:\\B (2002).mkv"},
            ]
            items = [
                {"Id": "f00", "Path": "/media/films/A (2001)/A.mkv"},
                {"Id": "f01", "Path": "/media/films/AA (2001)"},
            ]
            answers = {
                "VideoLibrary.GetMovies": {"result": {"movies": movies, "limits": {"start": 0, "end": 2, "total": 2}}},
                "VideoLibrary.GetTVShows": {"result": {"tvshows": [{"tvshowid": 7, "file": "nfs://nas/shows/D/"}]}},
                "VideoLibrary.RefreshMovie": {"result": "OK"},
                "VideoLibrary.RefreshTVShow": {"result": "OK"},
            }
            found = answers[body["method"]] if body else {"Items": items}
            data = b"" if "Refresh?" in self.path else json.dumps(found).encode()
            self.send_response(204 if not data else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_kodi_reads_the_nfo_again(player: tuple[str, Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    url, asked = player
    monkeypatch.setenv("KODI_USER", "kodi")
    monkeypatch.setenv("KODI_PASSWORD", "secret")
    assert refresh_kodi(url, ["A (2001)", "B (2002)", "C (2003)", "D"]) == ["C (2003)"]
    assert {(verb, path, sign) for verb, path, sign, _ in asked} == {("POST", "/jsonrpc", "Basic a29kaTpzZWNyZXQ=")}
    assert [(body["method"], body["params"]) for *_, body in asked] == [
        ("VideoLibrary.GetMovies", {"properties": ["file"]}),
        ("VideoLibrary.GetTVShows", {"properties": ["file"]}),
        ("VideoLibrary.RefreshMovie", {"movieid": 7, "ignorenfo": False}),
        ("VideoLibrary.RefreshMovie", {"movieid": 8, "ignorenfo": False}),
        ("VideoLibrary.RefreshTVShow", {"tvshowid": 7, "ignorenfo": False, "refreshepisodes": False}),
    ]


def test_jellyfin_refreshes_and_replaces_nothing(player: tuple[str, Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    url, asked = player
    monkeypatch.delenv("JELLYFIN_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="JELLYFIN_API_KEY"):
        refresh_jellyfin(url, ["A (2001)"])
    monkeypatch.setenv("JELLYFIN_API_KEY", "k3y")
    assert refresh_jellyfin(f"{url}/", ["A (2001)", "C (2003)"]) == ["C (2003)"]
    assert {sign for _, _, sign, _ in asked} == {'MediaBrowser Token="k3y"'}
    assert [(verb, path) for verb, path, *_ in asked] == [
        ("GET", "/Items?recursive=true&includeItemTypes=Movie%2CSeries&fields=Path"),
        (
            "POST",
            "/Items/f00/Refresh?metadataRefreshMode=Default&imageRefreshMode=None"
            "&replaceAllMetadata=false&replaceAllImages=false",
        ),
    ]


def test_a_player_that_does_not_answer() -> None:
    with pytest.raises(OnesheetError, match="Kodi does not answer"):
        refresh_kodi("http://127.0.0.1:9", ["A"])
    with pytest.raises(ConfigError, match="must begin with http"):
        refresh_kodi("file:///etc", ["A"])
