"""Routes of the review: the queue, decisions about its films, their posters, the corrected catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError

from onesheet.apps.review import Case, LearningJob, Review, about_export
from onesheet.apps.serving import examples, schema
from onesheet.apps.serving.pictures import Picture, heat_png, poster_jpeg
from onesheet.apps.serving.service import Service
from onesheet.errors import CatalogueError, RequestRejected, ReviewError, StaleDecision, UnreadablePoster

LARGEST_ID = 2**63 - 1
MOST_CASES, MOST_ROWS = 100, 1000
Body = TypeVar("Body", bound=BaseModel)
ERRORS = schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503)


class DecisionBody(BaseModel):
    """A decision about a film."""

    action: str = Field(
        description="accept: its genres are right (where it has none, the predicted ones); "
        "correct: it has `genres`; skip: it stays as it is",
        json_schema_extra={"enum": ["accept", "correct", "skip"]},
    )
    version: int = Field(ge=0, le=LARGEST_ID, description="of the film, as it was when it was looked at")
    genres: list[str] = Field(default_factory=list, description="for correct")


class UndoBody(BaseModel):
    """Which decision to take back."""

    decision: int = Field(ge=1, le=LARGEST_ID, description="id of the current decision of its film")


def review_routes(service: Service, review: Review) -> APIRouter:
    """`/v1/review`."""
    router = APIRouter(prefix="/v1/review", tags=["review"])
    _add_reading(router, review)
    _add_deciding(router, service, review)
    _add_pictures(router, service, review)
    _add_learning(router, LearningJob(review, service.predictor))
    return router


def _add_reading(router: APIRouter, review: Review) -> None:
    """The queue, the history and the corrected catalogue."""
    about = f"{review.source.about} {about_export(review.source)}"

    @router.get("", response_model=schema.ReviewBody, responses=schema.answer(examples.REVIEW) | ERRORS)
    async def queue(
        after: str | None = Query(None, description="begin behind this film"),
        limit: int = Query(10, ge=1, le=MOST_CASES),
        reason: Literal["", "suspect", "unsure", "no-genres"] = Query("", description="only films with it"),
        genre: str = Query("", description="only films of it, by a label, a prediction or a doubt"),
    ) -> JSONResponse:
        """The next undecided films in the queue's order, and how many there are."""
        if after is not None:
            _known(review, after)
        waiting = await asyncio.to_thread(
            review.waiting, after=after, limit=limit, reason=reason or None, genre=genre or None
        )
        counts = await asyncio.to_thread(review.counts)
        films = [standing.to_dict() for standing in waiting]
        return JSONResponse({"about": about, "counts": counts, "genres": list(review.genres.names), "films": films})

    @router.get("/history", response_model=schema.HistoryBody, responses=schema.answer(examples.HISTORY) | ERRORS)
    async def history(last: int = Query(50, ge=1, le=MOST_ROWS)) -> JSONResponse:
        """The last decisions and undos, newest first."""
        rows = await asyncio.to_thread(review.store.history, last=last)
        return JSONResponse({"history": [row.to_dict() for row in rows]})

    @router.get("/export", response_class=Response, responses=schema.file_answer("text/csv") | ERRORS)
    async def export() -> Response:
        """The catalogue with the genres that were decided, as `onesheet train` reads it; see `about`."""
        text = await asyncio.to_thread(review.export)
        headers = {"Content-Disposition": 'attachment; filename="corrected.csv"'}
        return Response(text, media_type="text/csv", headers=headers)


def _add_deciding(router: APIRouter, service: Service, review: Review) -> None:
    """Decisions and undos."""

    @router.post(
        "/films/{film:path}",
        response_model=schema.FilmBody,
        responses=schema.answer(examples.DECIDED) | ERRORS | schema.STALE,
        openapi_extra=schema.json_body(DecisionBody, {"action": "correct", "genres": ["Drama"], "version": 0}),
    )
    async def decide(film: str, request: Request) -> JSONResponse:
        """Decide about a film; written to the disk before this answers."""
        _known(review, film)
        body = await _body(request, service, DecisionBody)
        decide_now = partial(review.decide, film, body.action, genres=body.genres, version=body.version)
        try:
            standing = await asyncio.to_thread(decide_now)
        except StaleDecision as error:
            now = await asyncio.to_thread(review.standing, film)
            return JSONResponse({"error": str(error), "now": now.to_dict()}, 409)
        return JSONResponse(standing.to_dict())

    @router.post(
        "/undo",
        response_model=schema.UndoneBody,
        responses=schema.answer(examples.UNDONE) | ERRORS | schema.STALE,
        openapi_extra=schema.json_body(UndoBody, {"decision": 7}),
    )
    async def undo(request: Request) -> JSONResponse:
        """Take back a decision, by a new row of the history; the one before it is current again."""
        body = await _body(request, service, UndoBody)
        try:
            undone = await asyncio.to_thread(review.undo, body.decision)
        except StaleDecision as error:
            return JSONResponse({"error": str(error), "now": None}, 409)
        now = await asyncio.to_thread(review.standing, undone.film) if undone.film in review.cases else None
        return JSONResponse({"undo": undone.to_dict(), "now": now and now.to_dict()})


def _add_learning(router: APIRouter, job: LearningJob) -> None:
    """The model adapted to the decisions, as a new file."""
    answers = schema.answer(examples.LEARNED) | ERRORS

    @router.post("/learn", response_model=schema.LearningBody, responses=answers | schema.errors(409))
    async def learn() -> JSONResponse:
        """Begin to adapt the model to the decisions; 409 where that is going on, or nothing is decided."""
        try:
            job.start()
        except ReviewError as error:
            raise RequestRejected(str(error), status=409) from error
        return JSONResponse(job.state())

    @router.get("/learn", response_model=schema.LearningBody, responses=answers)
    async def state() -> JSONResponse:
        """How far that is, and what came of it."""
        return JSONResponse(job.state())

    @router.get(
        "/learn/file", response_class=FileResponse, responses=schema.file_answer("application/octet-stream") | ERRORS
    )
    async def file() -> FileResponse:
        """The newest model file that was learned."""
        if job.result is None:
            raise RequestRejected("nothing was learned yet; see POST /v1/review/learn", status=404)
        return FileResponse(job.result.path, media_type="application/octet-stream", filename=job.result.path.name)


def _add_pictures(router: APIRouter, service: Service, review: Review) -> None:
    """Posters and heat maps, by the film and never by a path."""
    most = service.limits.pixels

    async def picture(work: Callable[[], Picture]) -> Response:
        try:
            return Response(**(await service.batcher.run(work))._asdict())
        except UnreadablePoster as error:
            raise RequestRejected("the film's poster cannot be read any more", status=404) from error

    @router.get("/posters/{film:path}", response_class=Response, responses=schema.file_answer("image/jpeg") | ERRORS)
    async def poster(film: str) -> Response:
        """A film's poster."""
        path = _known(review, film).film.poster
        return await picture(lambda: Picture(poster_jpeg(path, max_pixels=most), "image/jpeg", {}))

    @router.get("/heat-maps/{film:path}", response_class=Response, responses=schema.file_answer("image/png") | ERRORS)
    async def heat_map(film: str, genre: str = Query(description="a genre of the model")) -> Response:
        """A heat map over a film's poster, as `POST /v1/explain` makes it."""
        path = _known(review, film).film.poster
        service.predictor.genres.column(genre)
        return await picture(partial(heat_png, service.predictor, path, genre, max_pixels=most))


def _known(review: Review, film: str) -> Case:
    """A film's case; RequestRejected (404) where it is not in the queue."""
    try:
        return review.case(film)
    except CatalogueError as error:
        raise RequestRejected(str(error), status=404) from error


async def _body(request: Request, service: Service, kind: type[Body]) -> Body:
    """A request's JSON; RequestRejected (422) where it is not what it should be."""
    async with service.uploads.body(request) as body:
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            raise RequestRejected(schema.fault(first, first["loc"] or ["the body"]), status=422) from error
