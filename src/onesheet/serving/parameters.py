"""The parameters of our own routes' addresses: which are known, and what to do where one is missing."""

from __future__ import annotations

import difflib
from urllib.parse import quote

from fastapi import Request
from fastapi.routing import APIRoute

from onesheet.errors import RequestRefused


async def check_parameters(request: Request) -> None:
    """Whether a `/v1` route knows every parameter of the request.

    Raises:
        RequestRefused: 422, with the nearest name.
    """
    route: APIRoute = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params if route.path.startswith("/v1/") else ():
        if name not in known:
            near = difflib.get_close_matches(name.lower(), known, n=1)
            cure = (
                f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}" if known else "there are none here"
            )
            raise RequestRefused(f"unknown parameter {name!r}; {cure}", status=422)


def missing(request: Request, name: str) -> str:
    """What to say of a parameter that a route needs."""
    route: APIRoute = request.scope["route"]
    field = next(parameter.field_info for parameter in route.dependant.query_params if parameter.alias == name)
    example = quote(str((field.examples or ["…"])[0]), safe="…")
    return f"the parameter {name!r} is missing, {field.description}; add it to the address: ?{name}={example}"
