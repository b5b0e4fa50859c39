"""How much the service takes at most."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields
from urllib.parse import quote

from fastapi import Request
from fastapi.routing import APIRoute

from onesheet.errors import ConfigError, RequestRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one service takes; beyond it, it says no.

    Attributes:
        file_bytes: size of one image file; 413 above.
        request_bytes: size of one request; 413 above. All requests together may hold `HELD_REQUESTS` times this in
            memory; 429 above.
        pixels: of one poster, width × height; an unreadable poster above.
        queue: posters waiting, and files in one request; 429 and 413 above.
        seconds: from a request's first byte to its answer; 408 or 504 after.

    Raises:
        ConfigError: a limit is not above 0.
    """

    file_bytes: int = 20_000_000
    request_bytes: int = 64_000_000
    pixels: int = 50_000_000
    queue: int = 512
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not value > 0:
                raise ConfigError(f"the limit {item.name} must be above 0; got {value}")

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return asdict(self)


HELD_REQUESTS = 4
"""Requests of full size whose bodies may be in memory at the same time."""


async def check_parameters(request: Request) -> None:
    """Whether a `/v1` route knows every parameter of the request.

    Raises:
        RequestRejected: 422, with the nearest name.
    """
    route: APIRoute = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params if route.path.startswith("/v1/") else ():
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            cure = (
                f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}" if known else "there are none here"
            )
            raise RequestRejected(f"unknown parameter {name!r}; {cure}", status=422)


def missing(request: Request, name: str) -> str:
    """What to say of a parameter that a route needs."""
    route: APIRoute = request.scope["route"]
    field = next(parameter.field_info for parameter in route.dependant.query_params if parameter.alias == name)
    example = quote(str((field.examples or ["…"])[0]), safe="…")
    return f"the parameter {name!r} is missing, {field.description}; add it to the address: ?{name}={example}"
