"""A local server that speaks as TMDB and OMDb do, faults included."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from PIL import Image

GENRES = {28: "Action", 80: "Crime", 18: "Drama", 35: "Comédie", 53: "Thriller"}  # a name in another language
FILMS = {
    number: {
        "id": number,
        "imdb_id": f"tt{number:07d}",
        "title": f"Film {number}",
        "original_title": f"Película {number}",
        "release_date": f"{1900 + number}-12-15",
        "genre_ids": [28, 18] if number % 2 else [35],
        "poster_path": f"/{number}.jpg",
    }
    for number in range(1, 61)
}
FILMS[57]["poster_path"] = None
FILMS[58]["genre_ids"] = []
FILMS[59] |= {"title": "Heat", "release_date": "1995-12-15"}
FILMS[60] |= {"title": "Heat", "release_date": "1986-03-13", "imdb_id": ""}


def drawn_poster(number: int, kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (90, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


class FilmServices:
    """What the server does, and what it was asked.

    Attributes:
        url: its address.
        keys: the keys that it takes.
        faults: path -> what goes wrong there, one after the other: a status, (status, headers), "cut" (half a body),
            "half" (half an image, rightly counted), "broken" (no JSON), "odd" (other JSON), "html" or "hang".
        asked: (path, query, headers) of each request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys = {"0123456789abcdef0123456789abcdef", "eyJhbGciOi.J9eyJhdWQi.secretpart"}
        self.faults: dict[str, list[Any]] = defaultdict(list)
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.times: list[float] = []
        self.busy = self.most_busy = 0
        self.slowness = 0.0
        self.lock = threading.Lock()

    def count(self, part: str) -> Counter[str]:
        """How often each path that holds `part` was asked for."""
        return Counter(path for path, _, _ in self.asked if part in path)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        key = query.get("api_key") or headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/3/") and key not in self.keys:
            message = "Invalid API key: You must be granted a valid key."
            return 401, {"status_code": 7, "status_message": message, "success": False}
        if path == "/" and query.get("apikey") not in self.keys:
            return 401, {"Response": "False", "Error": "Invalid API key!"}
        if path.startswith("/3/"):
            return self.tmdb(path.removeprefix("/3"), query)
        if path == "/":
            return 200, self.omdb(query)
        number = path.rsplit("/", 1)[-1].removesuffix(".jpg")
        return (200, drawn_poster(int(number))) if number.isdigit() else (404, b"<h1>File not found</h1>")

    def tmdb(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        films = list(FILMS.values())
        if path.startswith("/find/"):
            found = [listed(film) for film in films if film["imdb_id"] == path.removeprefix("/find/")]
            rest = {key: [] for key in ("person_results", "tv_results", "tv_episode_results", "tv_season_results")}
            return 200, {"movie_results": found, **rest}
        if path == "/search/movie":
            found = [listed(film) for film in films if query["query"].lower() in film["title"].lower()]
            found = [film for film in found if query.get("year", film["release_date"][:4]) == film["release_date"][:4]]
            return 200, {"page": 1, "results": found, "total_pages": 1, "total_results": len(found)}
        if path == "/discover/movie":
            page = int(query["page"])
            return 200, {
                "page": page,
                "results": [listed(film) for film in films[20 * (page - 1) : 20 * page]],
                "total_pages": 3,
                "total_results": len(films),
            }
        film = FILMS.get(int(path.removeprefix("/movie/")))
        if not film:
            message = "The resource you requested could not be found."
            return 404, {"success": False, "status_code": 34, "status_message": message}
        whole = {name: value for name, value in film.items() if name != "genre_ids"}
        return 200, whole | {"genres": [{"id": n, "name": GENRES[n]} for n in film["genre_ids"]], "runtime": 170}

    def omdb(self, query: dict[str, str]) -> dict[str, str]:
        if "i" in query and not query["i"].startswith("tt"):
            return {"Response": "False", "Error": "Incorrect IMDb ID."}
        for film in FILMS.values():
            year = film["release_date"][:4]
            if query.get("i") == film["imdb_id"] or (query.get("t"), query.get("y")) == (film["title"], year):
                number = film["id"]
                return {
                    "Title": film["title"],
                    "Year": year,
                    "Rated": "R",
                    "Genre": ", ".join(GENRES[n] for n in film["genre_ids"]) or "N/A",
                    "Poster": f"{self.url}/images/M/{number}.jpg" if film["poster_path"] else "N/A",
                    "imdbID": film["imdb_id"],
                    "Type": "movie",
                    "Response": "True",
                }
        return {"Response": "False", "Error": "Movie not found!"}


def listed(film: dict[str, Any]) -> dict[str, Any]:
    """A film as TMDB's lists have it: without its IMDb id."""
    return {name: value for name, value in film.items() if name != "imdb_id"} | {"popularity": 12.3, "adult": False}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    services: FilmServices

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts, services = urlsplit(self.path), self.services
        query, headers = dict(parse_qsl(parts.query)), dict(self.headers)
        with services.lock:
            services.asked.append((parts.path, query, headers))
            services.times.append(time.monotonic())
            services.busy += 1
            services.most_busy = max(services.most_busy, services.busy)
            fault = services.faults[parts.path].pop(0) if services.faults[parts.path] else None
        try:
            time.sleep(services.slowness)
            status, body = services.answer(parts.path, query, headers)
            self.send(status, body, fault)
        except OSError:
            self.close_connection = True  # the client went away
        finally:
            with services.lock:
                services.busy -= 1

    def send(self, status: int, body: Any, fault: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers: dict[str, str] = {}
        if fault == "hang":
            time.sleep(1.5)
        elif fault == "half":
            data = data[: len(data) // 2]
        elif fault in ("broken", "html", "odd"):
            data = {"broken": b'{"id": 1, ', "html": b"<html>busy</html>", "odd": b"[1, 2]"}[fault]
        elif fault and fault != "cut":
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            data = b'{"status_code": 25, "status_message": "Your request count (41) is over the allowed limit of 40."}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
        self.close_connection = fault == "cut"


@contextmanager
def film_services() -> Iterator[FilmServices]:
    services = FilmServices()
    handler = type("Handler", (_Handler,), {"services": services})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that go away are part of the game
    services.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()
