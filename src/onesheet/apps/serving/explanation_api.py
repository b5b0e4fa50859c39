"""Routes that explain: heat maps, the nearest posters, the run's report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from onesheet.apps.serving import examples, schema
from onesheet.apps.serving.pictures import THUMBNAIL, as_address, heat_png, poster_jpeg
from onesheet.apps.serving.service import Service
from onesheet.apps.serving.uploads import rejection_of
from onesheet.errors import RequestRejected, UnreadablePoster
from onesheet.predict import PosterIndex

MOST_SIMILAR = 50
Answer = TypeVar("Answer")
REPORT_HEADERS = {
    # its own script and style are inside it; sandboxed, it can ask this service for nothing
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-modals; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "unsafe-none",  # browsers do not open a sandboxed page under another
}


def explanation_routes(service: Service) -> APIRouter:
    """`/v1/explain`."""
    router = APIRouter(prefix="/v1", tags=["genres"])
    predictor = service.predictor

    @router.post(
        "/explain",
        response_class=Response,
        responses={**schema.file_answer("image/png"), **schema.errors(400, 401, 408, 413, 415, 422, 429, 503, 504)},
        openapi_extra=schema.POSTERS_BODY,
    )
    async def explain(
        request: Request,
        genre: str = Query(description="a genre of the model", examples=[predictor.genres.names[0]]),
    ) -> Response:
        """A heat map over one poster: bright where it speaks for the genre. PNG, at most 900 × 600 pixels.

        The header `Onesheet-Brightest` says where, as "upper left"; it is empty where nothing speaks for it.
        """
        predictor.genres.column(genre)
        work = partial(heat_png, predictor, genre=genre, max_pixels=service.limits.pixels)
        return Response(**(await _of_one(request, service, work))._asdict())

    return router


def similar_routes(service: Service, index: PosterIndex) -> APIRouter:
    """`/v1/similar`."""
    router = APIRouter(prefix="/v1", tags=["genres"])

    def nearest(poster: bytes, top: int) -> list[dict[str, object]]:
        pixels = service.limits.pixels
        poster_jpeg(poster, max_pixels=pixels, largest=THUMBNAIL)  # rejects what is too large
        return [
            {
                "name": str(Path(neighbour.path).relative_to(index.folder)),
                "similarity": neighbour.similarity,
                "picture": as_address(poster_jpeg(neighbour.path, max_pixels=pixels, largest=THUMBNAIL)),
            }
            for neighbour in index.nearest(poster, top=top)
        ]

    @router.post(
        "/similar",
        response_model=schema.SimilarBody,
        responses=schema.answer(examples.SIMILAR) | schema.errors(400, 401, 408, 413, 415, 422, 429, 503, 504),
        openapi_extra=schema.POSTERS_BODY,
    )
    async def similar(
        request: Request,
        top: int = Query(6, ge=1, le=MOST_SIMILAR, description="how many"),
    ) -> JSONResponse:
        """The posters of the service's folder that are most like one, nearest first."""
        return JSONResponse({"neighbours": await _of_one(request, service, partial(nearest, top=top))})

    return router


async def _of_one(request: Request, service: Service, work: Callable[[bytes], Answer]) -> Answer:
    """What `work` makes of a request's one poster, when its turn comes."""
    async with service.uploads.files(request) as uploads:
        if len(uploads) > 1:
            raise RequestRejected(f"one poster at a time is looked at; got {len(uploads)}", status=422)
        try:
            return await service.batcher.run(partial(work, uploads[0].data))
        except UnreadablePoster as error:
            raise rejection_of(error) from error


def report_routes(report: Path) -> APIRouter:
    """`/report`."""
    router = APIRouter()

    @router.get("/report", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(report, media_type="text/html; charset=utf-8", headers=REPORT_HEADERS)

    return router
