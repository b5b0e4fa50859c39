"""The Open Inference Protocol V2 over REST, for clients of KServe, Triton and others.

There is one model. The input `posters` is UINT8 N×H×W×3 of the model's size, or BYTES with N image files. The outputs
are those of the model file, and `genres`: texts such as "Drama|War", predicted at the request parameter `at`.
https://github.com/kserve/open-inference-protocol and its binary tensor data extension.
"""

from __future__ import annotations

import asyncio
import json
import reprlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

import onesheet
from onesheet.apps.serving import examples, schema
from onesheet.apps.serving.service import Service
from onesheet.apps.serving.tensors import (
    DATATYPES,
    InputTensor,
    OutputTensor,
    Parameters,
    check_parameters,
    most_probable,
    read_posters,
    rejected,
    write_tensor,
)
from onesheet.bundle import Scores
from onesheet.errors import RequestRejected, UnreadablePoster
from onesheet.files import parse_json

INPUT = "posters"
EXTENSIONS = ["binary_tensor_data", "classification"]
HEADER = "Inference-Header-Content-Length"
JSON_SHARE = 16
"""The JSON of a request may have `request_bytes` / JSON_SHARE bytes: empty lists take 26 times their text in memory."""


class RequestedOutput(BaseModel):
    """A requested output."""

    name: str
    parameters: Parameters = Field(default_factory=dict)


class InferenceRequest(BaseModel):
    """The body of an inference request."""

    id: str | None = None
    parameters: Parameters = Field(default_factory=dict, description="at: the operating point for the output genres")
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(None, description="absent: all")


class InferenceBody(BaseModel):
    """The body of an inference response."""

    model_name: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorBody(BaseModel):
    """Name, datatype and shape of a tensor; -1 = any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadataBody(BaseModel):
    """The inputs and outputs of the model."""

    name: str
    platform: str
    inputs: list[TensorBody]
    outputs: list[TensorBody]


class ServerMetadataBody(BaseModel):
    """Name, version and extensions of the server."""

    name: str
    version: str
    extensions: list[str]


def inference_health_routes(service: Service) -> APIRouter:
    """`/v2/health`."""
    router = APIRouter(prefix="/v2/health", tags=["open inference protocol"])

    @router.get("/live", responses=schema.answer({"live": True}))
    async def live() -> JSONResponse:
        """Whether the service is alive."""
        return JSONResponse({"live": True})

    @router.get("/ready", responses=schema.answer({"live": True, "ready": True}) | schema.errors(503))
    async def ready() -> JSONResponse:
        """Whether the model is loaded and requests are accepted."""
        service.check_ready()
        return JSONResponse({"live": True, "ready": True})

    return router


def inference_routes(service: Service) -> APIRouter:
    """`/v2` and `/v2/models/{model}`."""
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])
    _add_metadata(router, service)
    _add_infer(router, service)
    return router


def _add_metadata(router: APIRouter, service: Service) -> None:
    """Add the metadata of the server and the model."""
    size = service.predictor.card.size

    @router.get("", response_model=ServerMetadataBody, responses=schema.answer(examples.SERVER) | schema.errors(401))
    async def server() -> JSONResponse:
        """Name, version and extensions of the server."""
        return JSONResponse({"name": "onesheet", "version": onesheet.__version__, "extensions": EXTENSIONS})

    @router.get(
        "/models/{model}",
        response_model=ModelMetadataBody,
        responses=schema.answer(examples.METADATA) | schema.errors(401, 404, 422, 429),
    )
    async def metadata(model: str) -> JSONResponse:
        """The inputs and outputs of the model; `posters` may also be BYTES of shape [-1], image files."""
        _check_name(model, service)
        posters = TensorBody(name=INPUT, datatype="UINT8", shape=[-1, *size, 3])
        blank = np.zeros((1, *size, 3), np.uint8)
        example = await service.batcher.run(partial(service.predictor.score, blank))
        outputs = [
            TensorBody(name=name, datatype=DATATYPES[values.dtype.kind], shape=[-1, *values.shape[1:]])
            for name, values in _outputs(service, [example], "balanced").items()
        ]
        body = ModelMetadataBody(name=model, platform="onnxruntime_onnx", inputs=[posters], outputs=outputs)
        return JSONResponse(body.model_dump())

    @router.get(
        "/models/{model}/ready",
        responses=schema.answer({"name": "default", "ready": True}) | schema.errors(401, 404, 422, 503),
    )
    async def model_ready(model: str) -> JSONResponse:
        """Whether the model is loaded and requests are accepted."""
        _check_name(model, service)
        service.check_ready()
        return JSONResponse({"name": model, "ready": True})


def _add_infer(router: APIRouter, service: Service) -> None:
    """Add inference."""
    one_at_a_time = asyncio.Lock()  # parsed JSON takes much memory, so one request at a time is parsed

    @router.post(
        "/models/{model}/infer",
        response_model=InferenceBody,
        responses=schema.answer(examples.INFERENCE) | schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
        openapi_extra=schema.json_body(InferenceRequest, examples.INFERENCE_REQUEST),
    )
    async def infer(model: str, request: Request) -> Response:
        """Predict a tensor of posters."""
        _check_name(model, service)
        async with service.uploads.body(request) as body:
            async with one_at_a_time:
                parsed, posters = await asyncio.to_thread(_read, body, request.headers.get(HEADER), service)
            answers = await service.batcher.score(posters)
        for number, answer in enumerate(answers):
            if isinstance(answer, UnreadablePoster):
                raise rejected(f"poster {number}: {answer}")
        scores = [answer for answer in answers if isinstance(answer, Scores)]
        return await asyncio.to_thread(_answer, parsed, scores, service)


def _check_name(model: str, service: Service) -> None:
    if model != service.name:
        raise RequestRejected(f"no model {reprlib.repr(model)}; use {service.name!r}", status=404)


def _read(
    body: bytes, header: str | None, service: Service
) -> tuple[InferenceRequest, Sequence[bytes | NDArray[np.uint8]]]:
    """Read a request's JSON and its posters."""
    if header is not None and (not header.isdecimal() or len(header) > 18 or int(header) > len(body)):
        raise rejected(f"{HEADER} must be the length of the JSON in bytes, at most {len(body):,}; got {header[:40]!r}")
    length = len(body) if header is None else int(header)
    most = service.limits.request_bytes // JSON_SHARE
    if length > most:
        raise RequestRejected(f"the JSON may have at most {most:,} bytes; send tensors as binary data", status=413)
    try:
        parsed = InferenceRequest.model_validate(parse_json(body[:length]))
    except ValidationError as error:
        first = error.errors()[0]
        raise rejected(schema.fault(first, first["loc"] or ["the request"])) from error
    except ValueError as error:
        raise rejected(f"the request is not JSON: {error}") from error
    check_parameters(parsed.parameters, ["at", "binary_data_output"], "the request")
    for output in parsed.outputs or ():
        check_parameters(output.parameters, ["binary_data", "classification"], "an output")
    tensor = parsed.inputs[0]
    if tensor.name != INPUT:
        raise rejected(f"unknown input {reprlib.repr(tensor.name)}; use {INPUT!r}")
    service.predictor.check(_point(parsed), None)
    posters = read_posters(tensor, body[length:], service.predictor.card.size)
    if not posters:
        raise rejected("the request has no poster; send at least one")
    if any(len(poster) > service.limits.file_bytes for poster in posters if isinstance(poster, bytes)):
        raise RequestRejected(f"a poster may have at most {service.limits.file_bytes:,} bytes", status=413)
    return parsed, posters


def _answer(parsed: InferenceRequest, scores: Sequence[Scores], service: Service) -> Response:
    """The requested outputs, as JSON and binary data."""
    outputs = _outputs(service, scores, _point(parsed))
    requested = parsed.outputs if parsed.outputs is not None else [RequestedOutput(name=name) for name in outputs]
    binary = parsed.parameters.get("binary_data_output", False)
    tensors, behind = [], []
    for output in requested:
        if output.name not in outputs:
            raise rejected(f"unknown output {reprlib.repr(output.name)}; use {', '.join(outputs)}")
        as_binary = bool(output.parameters.get("binary_data", binary))
        values = _classified(output, outputs[output.name], service)
        tensor, data = write_tensor(output.name, values, binary=as_binary)
        tensors.append(tensor.model_dump(exclude_none=True))
        behind.append(data)
    document: dict[str, Any] = {"model_name": service.name, "outputs": tensors}
    if parsed.id is not None:
        document["id"] = parsed.id
    text = json.dumps(document).encode()
    if not any(behind):
        return Response(text, media_type="application/json")
    return Response(text + b"".join(behind), media_type="application/octet-stream", headers={HEADER: str(len(text))})


def _classified(output: RequestedOutput, values: NDArray[np.generic], service: Service) -> NDArray[np.generic]:
    """An output, or its most probable genres if the parameter `classification` requests them."""
    genres, count = service.predictor.genres.names, output.parameters.get("classification", 0)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise rejected(f"classification must be a whole number from 0; got {reprlib.repr(count)}")
    if not count:
        return values
    if output.name not in ("probabilities", "logits"):
        raise rejected(f"classification is for probabilities and logits; got output {output.name!r}")
    return most_probable(values, genres, count)


def _outputs(service: Service, scores: Sequence[Scores], at: str) -> dict[str, NDArray[np.generic]]:
    """Every output: those of the model file, and the genres."""
    arrays: dict[str, NDArray[np.generic]] = {
        name: np.concatenate([getattr(one, name) for one in scores])
        for name in ("probabilities", "logits", "embedding", "evidence")
        if getattr(scores[0], name) is not None
    }
    given = [service.predictor.predictions([""], one, at, None)[0].genres for one in scores]
    return arrays | {"genres": np.array(["|".join(genres) for genres in given], dtype=object)}


def _point(parsed: InferenceRequest) -> str:
    return str(parsed.parameters.get("at", "balanced"))[:40]  # every known one is shorter, and errors repeat it
