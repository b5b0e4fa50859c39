"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import onesheet
from onesheet.apps.review import Review
from onesheet.apps.serving import schema
from onesheet.apps.serving.batching import Batcher
from onesheet.apps.serving.explanation_api import explanation_routes, report_routes, similar_routes
from onesheet.apps.serving.limits import Limits, check_parameters, missing
from onesheet.apps.serving.middleware import Gate, rejection
from onesheet.apps.serving.open_inference import inference_health_routes, inference_routes
from onesheet.apps.serving.prediction_api import health_routes, metric_routes, model_routes, prediction_routes
from onesheet.apps.serving.review_api import review_routes
from onesheet.apps.serving.service import Service
from onesheet.apps.serving.service_metrics import Measures
from onesheet.apps.serving.uploads import Uploads
from onesheet.errors import OnesheetError, RequestRejected, ReviewError
from onesheet.predict import PosterIndex, Predictor

PAGE = Path(__file__).with_name("page")
OFFERED_WITH = {"/v1/similar": "--similar-in FOLDER", "/v1/review": "--run RUN or --catalogue CATALOGUE"}
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


def create_app(
    predictor: Predictor,
    *,
    name: str,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: frozenset[str] = LOCAL_HOSTS,
    threads: int | None = None,
    review: Review | None = None,
    similar: PosterIndex | None = None,
    report: Path | None = None,
) -> Gate:
    """The service of one model, for any ASGI server.

    Args:
        predictor: the model.
        name: what it is called in the Open Inference Protocol.
        limits: what is taken at most; None = the defaults.
        token: what clients must show; None = nothing.
        hosts: without a token, the names in the Host header that are answered, as "localhost" or "[::1]".
        threads: posters decoded and scored at the same time; None = all cores.
        review: films to look at and decide about.
        similar: the posters among which the nearest are found.
        report: `report.html` of the model's run.
    """
    limits, measures = limits or Limits(), Measures()
    batcher = Batcher(predictor, limits=limits, measures=measures, threads=threads)
    has = {"similar": similar, "review": review, "report": report}
    offers = tuple(what for what, value in has.items() if value is not None)
    service = Service(name, predictor, limits, batcher, Uploads(limits), measures, token, offers)
    app = FastAPI(
        title="onesheet",
        version=onesheet.__version__,
        description="Predicts a film's genres from its poster.",
        lifespan=_lifespan(service),
        docs_url=None,  # its page comes from a CDN
        redoc_url=None,
    )
    guarded = [Depends(HTTPBearer(auto_error=False))] if token else []  # for the description; the gate does the work
    routers = [
        prediction_routes(service),
        explanation_routes(service),
        model_routes(service),
        inference_routes(service),
    ]
    routers += _offered(service, review, similar, report)
    for router in (*routers, metric_routes(service)):
        app.include_router(router, dependencies=[*guarded, Depends(check_parameters)])
    app.include_router(health_routes(service))
    app.include_router(inference_health_routes(service))
    _add_page(app)
    _add_errors(app)
    return Gate(app, service=service, hosts=hosts)


def _lifespan(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What happens before the first request and after the last."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        size = service.predictor.card.size
        service.predictor.score(np.zeros((1, *size, 3), np.uint8))  # the first call is slow
        service.batcher.start()
        yield
        service.batcher.stop()

    return lifespan


def _offered(
    service: Service, review: Review | None, similar: PosterIndex | None, report: Path | None
) -> list[APIRouter]:
    """The routes of what the service has besides predictions."""
    routers = []
    if similar is not None:
        routers.append(similar_routes(service, similar))
    if review is not None:
        routers.append(review_routes(service, review))
    if report is not None:
        routers.append(report_routes(report))
    return routers


def _add_page(app: FastAPI) -> None:
    """The page at `/`, and its parts."""

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=PAGE))


def _add_errors(app: FastAPI) -> None:
    """Every error as `{"error": …}`."""

    @app.exception_handler(RequestRejected)
    async def rejected(_: Request, error: RequestRejected) -> JSONResponse:
        return rejection(error)

    @app.exception_handler(ReviewError)
    async def undecided(_: Request, error: ReviewError) -> JSONResponse:
        return rejection(RequestRejected(str(error), status=503))

    @app.exception_handler(OnesheetError)
    async def unusable(_: Request, error: OnesheetError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "missing" and first["loc"][0] == "query":
            return JSONResponse({"error": missing(request, first["loc"][1])}, 422)
        return JSONResponse({"error": schema.fault(first, first["loc"][1:])}, 422)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        allowed = (error.headers or {}).get("Allow")
        text = f"{error.detail}: use {allowed}" if allowed else error.detail
        for prefix, options in OFFERED_WITH.items():
            offered = any(getattr(route, "path", "").startswith(prefix) for route in app.routes)
            if request.url.path.startswith(prefix) and not offered:
                text = f"{text}: start the service with {options}"
        return JSONResponse({"error": f"{text}; see /openapi.json"}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "the client went away"}, 400)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"{type(error).__name__} inside the service; its log says more"}, 500)
