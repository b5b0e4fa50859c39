"""Connection to one service: limits its rate, retries, and never reveals the key."""

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
from onesheet.apps.fetch.rate_limits import RateLimit, RetryPolicy, Stopped, retry_after
from onesheet.apps.fetch.services import Service
from onesheet.errors import FetchError, NotFetched, UnreadablePoster
from onesheet.files import parse_json
from onesheet.images import open_poster

AGENT = f"onesheet/{onesheet.__version__}"
MAX_BYTES = 32 << 20  # of one answer
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 522, 524})
_Answer = TypeVar("_Answer")


class _Retry(Exception):
    """A failed request that may be retried.

    Attributes:
        pause: seconds that the service requires; None if unknown.
    """

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class _LongPause(Exception):
    """A host requires a pause that is too long."""


class _Signed(httpx2.BaseTransport):
    """Adds the key when a request is sent, so that no log and no error contains it."""

    def __init__(self, url: str, headers: Mapping[str, str], params: Mapping[str, str]) -> None:
        host = httpx2.URL(url)
        proxy = None if urllib.request.proxy_bypass(host.host) else urllib.request.getproxies().get(host.scheme)
        self._inner = httpx2.HTTPTransport(proxy=proxy)
        self._headers, self._params = headers, params

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a copy of the request with the key."""
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
    """Requests films from a service and posters from their hosts; thread-safe.

    Args:
        service: the service.
        url: its address; "" if only posters are fetched.
        key: its key; "" if none is needed.
        per_second: requests per second to each host.
        retry_policy: tries, pauses and timeouts.
    """

    def __init__(self, service: Service, url: str, *, key: str, per_second: float, retry_policy: RetryPolicy) -> None:
        self._service, self._url, self._retry_policy = service, url, retry_policy
        self._per_second, self._limits, self._lock = per_second, dict[str, RateLimit](), threading.Lock()
        self._stopped = threading.Event()
        self._paused_hosts: set[str] = set()  # hosts that require a long pause
        self._rng = random.Random()  # without a seed, so that clients do not retry at the same moment
        headers, params = service.sign(key)
        options: dict[str, Any] = {"timeout": retry_policy.timeout_seconds, "headers": {"User-Agent": AGENT}}
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

    def get_json(self, path: str, params: Mapping[str, str], *, rejected: str = "has no such film") -> Any:
        """The service's answer, from JSON; `rejected` is the message for any status but 200.

        Raises:
            NotFetched: it has no such film, or does not answer.
            FetchError: it rejects all requests: a wrong key, a used-up quota, a pause too long.
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
                raise _Retry(f"{self._service.name} sent broken JSON") from None

        try:
            return self._with_retries(self._url, answer)
        except _LongPause as error:
            raise FetchError(f"{self._service.name} {error}; run the same command again after that") from None

    def poster(self, url: str) -> bytes:
        """A poster's file, checked by decoding it.

        Raises:
            NotFetched: there is none, or it is not a complete image.
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
                raise _Retry(f"the poster arrived {error.reason}") from None
            return data

        try:
            return self._with_retries(url, answer)
        except ValueError:  # a bracket without an IPv6 address
            raise NotFetched("no usable address", final=True) from None
        except _LongPause as error:  # other hosts may still answer
            raise NotFetched(f"the poster's host {error}", final=False) from None

    def _with_retries(self, url: str, answer: Callable[[], _Answer]) -> _Answer:
        host, why = urlsplit(url).netloc, ""
        with self._lock:
            limit = self._limits.setdefault(host, RateLimit(self._per_second, self._stopped))
        for tried in range(1, self._retry_policy.tries + 1):
            if host in self._paused_hosts:
                raise _LongPause("asks for a long pause")
            limit.turn()
            try:
                return answer()
            except _Retry as error:
                why = str(error)
                self._pause(host, limit, tried, error.pause)
        raise NotFetched(f"{why}; gave up after {self._retry_policy.tries} tries", final=False)

    def _pause(self, host: str, limit: RateLimit, tried: int, requested: float | None) -> None:
        if requested is not None and requested > self._retry_policy.longest_seconds:
            self._paused_hosts.add(host)
            raise _LongPause(f"asks for a pause of {requested:.0f} s")
        if requested is not None:
            limit.hold(requested)  # one answer counts for all threads
        if tried < self._retry_policy.tries:
            limit.rest(self._retry_policy.pause(tried, self._rng))

    def _get(self, client: httpx2.Client, url: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of an answer that need not be retried."""
        ends = time.monotonic() + self._retry_policy.whole_seconds
        try:
            with client.stream("GET", url, params=dict(params) or None) as response:
                if response.status_code in _AGAIN:
                    pause = retry_after(response.headers.get("Retry-After"))
                    raise _Retry(f"answered {response.status_code}", pause)
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if self._stopped.is_set():
                        raise Stopped
                    if len(data) > MAX_BYTES:
                        raise NotFetched(f"an answer of more than {MAX_BYTES >> 20} MB", final=True)
                    if time.monotonic() > ends:
                        raise _Retry("an answer without end")
                return response.status_code, bytes(data)
        except (_Retry, Stopped, NotFetched):
            raise
        except httpx2.TimeoutException:
            raise _Retry("no answer in time") from None
        except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.InvalidURL, UnicodeError) as error:
            raise NotFetched(f"no usable address: {type(error).__name__}", final=True) from None
        except httpx2.HTTPError as error:
            raise _Retry(f"the connection failed: {type(error).__name__}") from None
