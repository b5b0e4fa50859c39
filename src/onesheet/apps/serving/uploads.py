"""Request bodies: read within the limits, and into memory alone."""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from onesheet.apps.serving.limits import HELD_REQUESTS, Limits
from onesheet.errors import RequestRejected, UnreadablePoster

FIELD = "files"
"""The multipart field that holds posters."""


class Upload(NamedTuple):
    """An image file, and what its sender calls it ("" where the body is the file)."""

    name: str
    data: bytes


class _InMemory(MultiPartParser):
    """Starlette's parser; its temporary files never leave memory."""

    spool_max_size = 0  # what SpooledTemporaryFile takes for: never to disk


class Uploads:
    """Reads the bodies of one service's requests, and knows how many bytes they hold."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def files(self, request: Request) -> AsyncIterator[list[Upload]]:
        """The image files of a request, held until the block ends: a multipart form's, or the body itself.

        Raises:
            RequestRejected: 413 or 429 over a limit, 422 for a form that cannot be read or no file at all.
        """
        if is_form(request):
            async with self._stream(request) as stream:
                yield self._checked(await _form_files(request, stream, self._limits.queue))
        else:
            async with self.body(request) as body:
                yield self._checked([Upload("", body)] if body else [])

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, held until the block ends.

        Raises:
            RequestRejected: 413 or 429 over a limit.
        """
        async with self._stream(request) as stream:
            yield b"".join([chunk async for chunk in stream])

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The body's chunks, counted as held until the block ends."""
        most, held = self._limits.request_bytes, 0
        too_large = RequestRejected(
            f"a request may have at most {most:,} bytes; send fewer or smaller posters", status=413
        )
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
            raise too_large
        decompressed = _Decompression(request.headers.get("content-encoding", ""), most)

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal held
            async for sent in request.stream():
                chunk = decompressed(sent)
                held += len(chunk)
                self._held += len(chunk)
                if held > most:
                    raise too_large
                if self._held > most * HELD_REQUESTS:
                    raise RequestRejected("too many uploads at the same time; try again later", status=429)
                yield chunk
            decompressed.check_end()

        try:
            yield chunks()
        finally:
            self._held -= held

    def _checked(self, uploads: list[Upload]) -> list[Upload]:
        if not uploads:
            raise RequestRejected(
                f"there is no poster; send image files in the multipart field {FIELD!r}, or one as the body", status=422
            )
        for upload in uploads:
            if len(upload.data) > self._limits.file_bytes:
                raise RequestRejected(
                    f"{upload.name or 'the poster'} has {len(upload.data):,} bytes and may have "
                    f"{self._limits.file_bytes:,}; scale it down",
                    status=413,
                )
        return uploads


class _Decompression:
    """Unpacks a body as it comes, to no more than a few bytes above the limit."""

    def __init__(self, encoding: str, most: int) -> None:
        self._encoding, self._most, self._length = encoding.strip().lower(), most, 0
        self._unpack: zlib._Decompress | None = None
        if self._encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            wrong = f"Content-Encoding {reprlib.repr(encoding)} is not supported; use gzip, deflate or none"
            raise RequestRejected(wrong, status=415)

    def __call__(self, sent: bytes) -> bytes:
        """The bytes that a chunk brings."""
        if self._encoding in ("", "identity") or not sent:
            return sent
        if self._unpack is None:
            raw = self._encoding == "deflate" and sent[0] & 0x0F != 8  # some send deflate without zlib's head
            self._unpack = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
        try:
            found = self._unpack.decompress(sent, self._most + 1 - self._length)
        except zlib.error as error:
            raise RequestRejected(f"the body is no {self._encoding}: {error}", status=400) from error
        self._length += len(found)
        return found

    def check_end(self) -> None:
        """Reject a compressed body that is cut short."""
        if self._unpack is not None and not self._unpack.eof:
            raise RequestRejected(f"the {self._encoding} body ends early; send it again", status=400)


def is_form(request: Request) -> bool:
    """Whether the body is a multipart form; anything else is taken for one image file."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


def rejection_of(error: UnreadablePoster) -> RequestRejected:
    """The answer to a request whose one poster cannot be read."""
    return RequestRejected(str(error), status=413 if error.reason == "too-large" else 422)


async def _form_files(request: Request, stream: AsyncGenerator[bytes, None], most: int) -> list[Upload]:
    """The files of a form's field `files`, in their order."""
    try:
        form = await _InMemory(request.headers, stream, max_files=most, max_fields=0).parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise RequestRejected(
                f"a request may have at most {most:,} posters; send them in parts", status=413
            ) from error
        if error.message.startswith("Too many fields"):
            raise RequestRejected(
                f"the form has text in place of a file; send files in the field {FIELD!r} (with curl, mind the @: "
                f"-F {FIELD}=@poster.jpg), and options in the address: ?at=precise",
                status=422,
            ) from error
        cure = f"send files in the field {FIELD!r}, and options in the address: ?at=precise"
        raise RequestRejected(f"the form cannot be read: {error.message} {cure}", status=422) from error
    named = [item for item in form.getlist(FIELD) if isinstance(item, UploadFile)]
    uploads = [Upload(item.filename or "", await item.read()) for item in named]
    await form.close()
    return uploads
