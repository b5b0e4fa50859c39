"""What every request passes before any route, and every answer after it."""

from __future__ import annotations

import asyncio
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onesheet.apps.serving.batching import RETRY_SECONDS
from onesheet.apps.serving.service import Service
from onesheet.errors import RequestRejected

OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/v2/health/live", "/v2/health/ready"})
"""Paths that need no token: the page, which holds nothing secret, and what tells that the service lives."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Paths that still answer while the service is about to stop."""

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Gate:
    """Middleware: access checks, timeouts, metrics, security headers.

    Without a token only requests that name one of `hosts` are answered: a web page elsewhere whose name is made to
    point at this machine (DNS rebinding) is not. With one, such a page does not know it.
    """

    def __init__(self, app: ASGIApp, *, service: Service, hosts: frozenset[str]) -> None:
        self.app = app
        self.service = service
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        begun = time.perf_counter()
        self.service.measures.in_flight.inc()
        try:
            self._admit(scope["path"], Headers(scope=scope))
            await self._in_time(scope, receive, answer)
        except RequestRejected as error:
            await rejection(error)(scope, receive, answer.send)
        finally:
            self.service.measures.in_flight.dec()
            route = _route(scope)
            self.service.measures.requests.labels(route, answer.status).inc()
            self.service.measures.seconds.labels(route).observe(time.perf_counter() - begun)

    def _admit(self, path: str, headers: Headers) -> None:
        """Raises RequestRejected for who may not come in."""
        token, host, origin = self.service.token, headers.get("host", ""), headers.get("origin")
        if token is None and _hostname(host) not in self._hosts:
            raise RequestRejected(
                f"this service does not answer as {host!r}; use {' or '.join(sorted(self._hosts))}", status=400
            )
        if origin is not None and _netloc(origin) != host.lower():
            raise RequestRejected(f"pages of {origin!r} may not use this service; call it from a program", status=403)
        if token is not None and path not in OPEN and not path.startswith("/static/"):
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not shown.strip():
                raise RequestRejected("a token is needed; send the header 'Authorization: Bearer TOKEN'", status=401)
            if not hmac.compare_digest(shown.strip().encode(), token.encode()):
                raise RequestRejected(
                    "this is not the token; send the one that the service was started with", status=401
                )
        if self.service.draining and path not in PROBES:
            raise RequestRejected("the service is stopping; try again later", status=503)

    async def _in_time(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Let the routes answer, within the time limit; the service does not stop before they have."""
        arrived = False

        async def receiving() -> Message:
            nonlocal arrived
            message = await receive()
            arrived = not message.get("more_body", False)
            return message

        seconds = self.service.limits.seconds
        self.service.in_flight += 1  # not what is rejected, or a stop would wait for clients to give up
        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, receiving, answer.send)
        except TimeoutError:
            if answer.status:
                raise
            what, status = ("answer", 504) if arrived else ("upload", 408)
            raise RequestRejected(
                f"the {what} took longer than {seconds:g} seconds; send fewer posters at a time", status=status
            ) from None
        finally:
            self.service.in_flight -= 1


class _Answer:
    """Adds the security headers to an answer, and remembers its status; 0 = not begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {**SECURITY, "Cache-Control": "no-store"}.items():
                headers.setdefault(name, value)
        await self._send(message)


def rejection(error: RequestRejected) -> JSONResponse:
    """The answer to a request that is rejected."""
    headers = {}
    if error.status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(error)}, error.status, headers)


def _hostname(host: str) -> str:
    """ "localhost:8000" -> "localhost", "[::1]:8000" -> "[::1]"."""
    end = host.rfind(":")
    return (host[:end] if end > host.rfind("]") else host).lower()


def _netloc(origin: str) -> str | None:
    """ "http://localhost:8000" -> "localhost:8000"; None where it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _route(scope: Scope) -> str:
    """The pattern of the route that answered, so that their number is bounded."""
    if scope["path"].startswith("/static/"):
        return "/static"
    return getattr(scope.get("route"), "path", "none")
