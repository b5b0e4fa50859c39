"""One connection of a client, whose requests must begin in time and hold nothing at length but their bodies."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64_000


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, closed where a request's head, or what is between and after its chunks, is too long.

    The head may take `timeout_keep_alive` seconds of the server's configuration; the body is the gate's. Trailers,
    headers after the body, are passed over: they could say anything of a request that was already let in.
    """

    _timer: asyncio.TimerHandle | None = None
    _in_body = False
    _overhead_bytes = 0  # of the head, or since the last of the body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come, and must say what it wants."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request."""
        self._overhead_bytes += len(data)
        super().data_received(data)
        if self._overhead_bytes > MAX_HEAD_BYTES and (self._timer or self._in_body):
            self._reject(f"The request's {'chunks or trailers are' if self._in_body else 'head is'} too long.")
        elif not self._timer and self.cycle and self.cycle.response_complete and not self.transport.is_closing():
            self._expect_head()  # what came is no request yet, and has ended the time for idling

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if not self._timer:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head_is_here()
        self._in_body, self._overhead_bytes = True, 0
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if not self._in_body:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """A chunk begins, or the trailers do."""
        self._overhead_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._overhead_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body = False
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._overhead_bytes = 0
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._reject, "The request's head took too long.")

    def _head_is_here(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _reject(self, why: str) -> Any:
        self._head_is_here()
        if not self.transport.is_closing():
            self.send_400_response(why)
