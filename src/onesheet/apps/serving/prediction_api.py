"""The service's own routes: prediction, the model, its limits, its health."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse, Response

from onesheet.apps.serving import examples, schema
from onesheet.apps.serving.service import Service
from onesheet.apps.serving.uploads import is_form, rejection_of
from onesheet.bundle import POINTS, Scores
from onesheet.drawn.sample_posters import SAMPLES, sample_poster
from onesheet.errors import UnreadablePoster
from onesheet.predict import Failure


def prediction_routes(service: Service) -> APIRouter:
    """`/v1/predict`."""
    router = APIRouter(prefix="/v1", tags=["genres"])
    genres = len(service.predictor.genres)

    @router.post(
        "/predict",
        response_model=schema.PredictionsBody,
        responses=schema.answer(examples.PREDICTIONS) | schema.errors(400, 401, 408, 413, 415, 422, 429, 503, 504),
        openapi_extra=schema.POSTERS_BODY,
    )
    async def predict(
        request: Request,
        at: str = Query(
            "balanced",
            description="operating point: how sure a genre must be to be given",
            json_schema_extra={"enum": list(POINTS)},
        ),
        top: int | None = Query(
            None,
            description="give so many of the most probable genres instead",
            json_schema_extra={"minimum": 1, "maximum": genres},
        ),
        maps: bool = Query(False, description="with the heat maps of all genres, where the model file has them"),
    ) -> JSONResponse:
        """The genres of posters: many files in the multipart field `files`, or one as the body.

        A file that cannot be read has its error in its place, and the others are answered; only where the body is the
        file is the whole request rejected.
        """
        return JSONResponse({"predictions": await _predictions(service, request, at, top, maps)})

    return router


async def _predictions(
    service: Service, request: Request, at: str, top: int | None, maps: bool
) -> list[dict[str, object]]:
    """The answer to each file of a request, in their order.

    Raises:
        RequestRejected: it cannot be read, or its one file cannot.
    """
    predictor = service.predictor
    predictor.check(at, top)
    async with service.uploads.files(request) as uploads:
        answers = await service.batcher.score([upload.data for upload in uploads])
    if isinstance(answers[0], UnreadablePoster) and not is_form(request):
        raise rejection_of(answers[0])
    found: list[dict[str, object]] = []
    for upload, answer in zip(uploads, answers, strict=True):
        if isinstance(answer, UnreadablePoster):
            found.append(Failure(upload.name, str(answer)).to_dict())
            continue
        prediction = predictor.predictions([upload.name], answer, at, top)[0].to_dict()
        found.append(prediction | ({"maps": _maps(answer)} if maps else {}))
    return found


def _maps(scores: Scores) -> dict[str, object] | None:
    """What speaks for each genre, over the picture that the model reads; None where the model file has no evidence."""
    if scores.evidence is None:
        return None
    speaking = scores.evidence[0].clip(min=0)
    highest = np.maximum(speaking.max((1, 2), keepdims=True), np.finfo(np.float32).tiny)
    strengths = (255 * speaking / highest).round().astype(np.uint8)
    _, rows, columns = strengths.shape
    return {"rows": rows, "columns": columns, "strengths": base64.b64encode(strengths.tobytes()).decode()}


def model_routes(service: Service) -> APIRouter:
    """`/v1/model` and `/v1/limits`."""
    router = APIRouter(prefix="/v1", tags=["genres"])
    predictor = service.predictor

    @router.get(
        "/model",
        response_model=schema.ModelBody,
        responses=schema.answer(examples.MODEL) | schema.errors(400, 401, 422, 503),
    )
    async def model() -> JSONResponse:
        """What the model file says of itself."""
        card: dict[str, Any] = json.loads(predictor.card.to_json())
        about = {"name": service.name, "card": card, "model_card": predictor.model_card}
        samples = [film.title for film, *_ in SAMPLES]
        return JSONResponse(about | {"offers": list(service.offers), "samples": samples})

    @router.get(
        "/samples/{number}",
        response_class=Response,
        responses=schema.file_answer("image/jpeg") | schema.errors(400, 401, 422, 429, 503),
    )
    async def sample(number: int = PathParameter(ge=0, lt=len(SAMPLES))) -> Response:
        """A drawn poster to try the model on."""
        return Response(await service.batcher.run(partial(sample_poster, number)), media_type="image/jpeg")

    @router.get(
        "/limits",
        response_model=schema.LimitsBody,
        responses=schema.answer(examples.LIMITS) | schema.errors(400, 401, 422, 503),
    )
    async def limits() -> JSONResponse:
        """What the service takes at most."""
        return JSONResponse(service.limits.to_dict())

    return router


def health_routes(service: Service) -> APIRouter:
    """`/healthz` and `/readyz`."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=schema.StateBody, responses=schema.answer({"status": "alive"}))
    async def healthz() -> JSONResponse:
        """The service lives."""
        return JSONResponse({"status": "alive"})

    @router.get(
        "/readyz", response_model=schema.StateBody, responses=schema.answer({"status": "ready"}) | schema.errors(503)
    )
    async def readyz() -> JSONResponse:
        """The model is loaded, and requests are taken."""
        service.check_ready()
        return JSONResponse({"status": "ready"})

    return router


def metric_routes(service: Service) -> APIRouter:
    """`/metrics`."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures in Prometheus' text form."""
        return Response(service.measures.text(), media_type="text/plain; version=0.0.4")

    return router
