"""A polite line to one service: paced, patient, and silent about its key."""

from __future__ import annotations

import random
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

import onesheet
from onesheet.apps.fetch.pace import Pace, Patience, Stopped, retry_after
from onesheet.apps.fetch.services import Service
from onesheet.errors import FetchError, NotFetched, UnreadablePoster
from onesheet.files import parse_json
from onesheet.images import open_poster

AGENT = f"onesheet/{onesheet.__version__}"
MAX_BYTES = 32 << 20  # of one answer
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524})
_Answer = TypeVar("_Answer")


class _Again(Exception):
    """An answer that another try may better.

    Attributes:
        pause: seconds that the service asks for, None where it does not say.
    """

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class _LeftAlone(Exception):
    """A host asks for a pause that is too long to wait for."""


class _Signed(httpx2.BaseTransport):
    """Signs what is sent at the last moment, so that no log and no error sees the key."""

    def __init__(self, url: str, headers: Mapping[str, str], params: Mapping[str, str]) -> None:
        host = httpx2.URL(url)
        proxy = None if urllib.request.proxy_bypass(host.host) else urllib.request.getproxies().get(host.scheme)
        self._inner = httpx2.HTTPTransport(proxy=proxy)
        self._headers, self._params = headers, params

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a signed copy."""
        return self._inner.handle_request(
            httpx2.Request(
                request.method,
                request.url.copy_merge_params(dict(self._params)),
                headers=[*request.headers.raw, *((k.encode(), v.encode()) for k, v in self._headers.items())],
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class Connection:
    """Asks a service for films and hosts for posters; for use by several threads at once.

    Args:
        service: who is asked.
        url: where, "" where only posters are wanted.
        key: what is asked with, "" where none is needed.
        per_second: requests a second to each host.
        patience: how long each thing is tried for.
    """

    def __init__(self, service: Service, url: str, *, key: str, per_second: float, patience: Patience) -> None:
        self._service, self._url, self._patience = service, url, patience
        self._per_second, self._paces, self._lock = per_second, dict[str, Pace](), threading.Lock()
        self._stopped = threading.Event()
        self._left_alone: set[str] = set()  # hosts that asked for a long pause
        self._rng = random.Random()  # who backs off together comes back together; a seed would see to that
        headers, params = service.sign(key)
        options: dict[str, Any] = {"timeout": patience.timeout_seconds, "headers": {"User-Agent": AGENT}}
        self._clients = {"posters": httpx2.Client(follow_redirects=True, max_redirects=5, **options)}  # without the key
        if url:
            self._clients["service"] = httpx2.Client(transport=_Signed(url, headers, params), **options)

    def stop(self) -> None:
        """End all waiting."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def ask(self, path: str, params: Mapping[str, str], *, rejected: str = "has no such film") -> Any:
        """The service's answer, from JSON; `rejected` is what any other status than 200 means.

        Raises:
            NotFetched: it has no such film, or does not answer.
            FetchError: it will not answer at all: a wrong key, a used-up quota, a pause too long.
        """

        def answer() -> Any:
            status, data = self._get(self._clients["service"], self._url + path, params)
            if rejection := self._service.rejection(status, data):
                raise FetchError(rejection)
            if status != 200:
                raise NotFetched(f"{self._service.name} {rejected} (it answers {status})", final=status == 404)
            try:
                return parse_json(data)
            except ValueError:
                raise _Again(f"{self._service.name} sent broken JSON") from None

        try:
            return self._tried(self._url, answer)
        except _LeftAlone as error:
            raise FetchError(f"{self._service.name} {error}; run the same command again after that") from None

    def poster(self, url: str) -> bytes:
        """A poster's file, checked by decoding it.

        Raises:
            NotFetched: there is none, or it is no whole image.
        """

        def answer() -> bytes:
            status, data = self._get(self._clients["posters"], url, {})
            if status != 200:
                raise NotFetched(f"the poster's host answers {status}", final=status in (404, 410))
            try:
                open_poster(data)
            except UnreadablePoster as error:
                if error.reason in ("not-an-image", "too-large"):
                    raise NotFetched(f"the poster is no usable image: {error.reason}", final=True) from None
                raise _Again(f"the poster arrived {error.reason}") from None
            return data

        try:
            return self._tried(url, answer)
        except ValueError:  # of a bracket that is no IPv6 address
            raise NotFetched("no usable address", final=True) from None
        except _LeftAlone as error:  # by one host of many, it may be
            raise NotFetched(f"the poster's host {error}", final=False) from None

    def _tried(self, url: str, answer: Callable[[], _Answer]) -> _Answer:
        host, why = urlsplit(url).netloc, ""
        with self._lock:
            pace = self._paces.setdefault(host, Pace(self._per_second, self._stopped))
        for tried in range(1, self._patience.tries + 1):
            if host in self._left_alone:
                raise _LeftAlone("asks for a long pause")
            pace.turn()
            try:
                return answer()
            except _Again as error:
                why = str(error)
                self._pause(host, pace, tried, error.pause)
        raise NotFetched(f"{why}; gave up after {self._patience.tries} tries", final=False)

    def _pause(self, host: str, pace: Pace, tried: int, asked: float | None) -> None:
        if asked is not None and asked > self._patience.longest_seconds:
            self._left_alone.add(host)
            raise _LeftAlone(f"asks for a pause of {asked:.0f} s")
        if asked is not None:
            pace.hold(asked)  # one answer holds for all threads
        if tried < self._patience.tries:
            pace.rest(self._patience.pause(tried, self._rng))

    def _get(self, client: httpx2.Client, url: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body, of any status that another try would not better."""
        ends = time.monotonic() + self._patience.whole_seconds
        try:
            with client.stream("GET", url, params=dict(params) or None) as response:
                if response.status_code in _AGAIN:
                    pause = retry_after(response.headers.get("Retry-After"))
                    raise _Again(f"answered {response.status_code}", pause)
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if self._stopped.is_set():
                        raise Stopped
                    if len(data) > MAX_BYTES:
                        raise NotFetched(f"an answer of more than {MAX_BYTES >> 20} MB", final=True)
                    if time.monotonic() > ends:
                        raise _Again("an answer without end")
                return response.status_code, bytes(data)
        except (_Again, Stopped, NotFetched):
            raise
        except httpx2.TimeoutException:
            raise _Again("no answer in time") from None
        except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.InvalidURL, UnicodeError) as error:
            raise NotFetched(f"no usable address: {type(error).__name__}", final=True) from None
        except httpx2.HTTPError as error:
            raise _Again(f"the connection failed: {type(error).__name__}") from None
