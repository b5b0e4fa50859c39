"""The JSON of the API, for its OpenAPI description."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from onesheet.apps.serving import examples


class GivenGenre(BaseModel):
    """A genre given to a poster."""

    genre: str
    probability: float = Field(ge=0, le=1)


class MapsBody(BaseModel):
    """What in a poster speaks for each genre, over the picture as the model reads it."""

    rows: int
    columns: int
    strengths: str = Field(
        description="base64 of a byte per genre, row and column: 255 where most speaks for the genre, 0 where nothing"
    )


class PredictionBody(BaseModel):
    """The genres of one poster, as `onesheet predict --json` writes them."""

    path: str = Field(description="the file's name; empty where the body was the file")
    genres: list[GivenGenre] = Field(description="the genres given at the operating point, most probable first")
    probabilities: dict[str, float] = Field(description="genre -> calibrated probability, for every genre")
    maps: MapsBody | None = Field(None, description="only with maps=true; null where the model file has none")


class FailureBody(BaseModel):
    """A poster that could not be read."""

    path: str
    error: str


class PredictionsBody(BaseModel):
    """An answer for each file, in their order."""

    predictions: list[PredictionBody | FailureBody]


class ErrorBody(BaseModel):
    """Why a request was rejected."""

    error: str


class ModelBody(BaseModel):
    """What a model file says of itself."""

    name: str
    card: dict[str, Any] = Field(description="for programs: genres, thresholds, calibration, where it comes from")
    model_card: str = Field(description="for people, Markdown; empty where the file has none")
    offers: list[str] = Field(description="what else this service has: similar, review, report")
    samples: list[str] = Field(description="titles of the drawn posters at /v1/samples")


class LimitsBody(BaseModel):
    """What the service takes at most."""

    file_bytes: int
    request_bytes: int
    pixels: int
    queue: int
    seconds: float


class StateBody(BaseModel):
    """Whether the service lives, or is ready."""

    status: str


class NeighbourBody(BaseModel):
    """A poster near another."""

    name: str = Field(description="the file's path below the folder")
    similarity: float = Field(ge=-1, le=1, description="cosine of the two embeddings")
    picture: str = Field(description="a small copy, as a data: address")


class SimilarBody(BaseModel):
    """The nearest posters, nearest first."""

    neighbours: list[NeighbourBody]


class HistoryRow(BaseModel):
    """A decision, or an undo of one."""

    id: int
    film: str
    action: str = Field(description="accept, correct, skip or undo")
    genres: list[str] = Field(description="the genres of the film")
    undoes: int | None = Field(None, description="id of the decision that an undo takes back")
    at: str = Field(description="when, UTC")


class FilmBody(BaseModel):
    """A film of the review queue."""

    film: str
    title: str
    year: int | None
    reason: str = Field(description="suspect, unsure or no-genres")
    doubted: list[str] = Field(description="the genres whose label is suspect")
    genres: list[str] = Field(description="as the catalogue has them")
    predicted: list[str] = Field(description="the predicted genres at the balanced operating point")
    probabilities: dict[str, float]
    version: int = Field(description="to be named by the next decision about the film")
    decision: HistoryRow | None = Field(None, description="the current one")


class ReviewBody(BaseModel):
    """What is to be looked at next."""

    about: str = Field(description="what is reviewed, and what the corrected catalogue is")
    counts: dict[str, int] = Field(description="films that wait, by reason; and those decided and skipped")
    genres: list[str] = Field(description="the genres that a film may have")
    films: list[FilmBody]


class StaleBody(BaseModel):
    """Why a decision came too late."""

    error: str
    now: FilmBody | None = Field(description="the film as it is now")


class UndoneBody(BaseModel):
    """What was taken back."""

    undo: HistoryRow
    now: FilmBody | None = Field(description="the film as it is now; null where it is in the queue no more")


class LearnedBody(BaseModel):
    """What was learned from the corrections."""

    file: str = Field(description="name of the new model file")
    learned: int = Field(description="films learned from")
    decided: int = Field(description="those of them that people decided about")
    held_out: int = Field(description="films measured on")
    left_out: list[str] = Field(description="genres with too few films")
    before: dict[str, float | None] = Field(description="map, precision and recall of the model on the films held out")
    after: dict[str, float | None] = Field(description="the same of the new one")


class LearningBody(BaseModel):
    """How far learning from the corrections is."""

    state: str = Field(description="idle, running, done or failed")
    task: str = Field(description="what is being done")
    share: float = Field(description="how much of the task is done, 0 to 1")
    error: str = Field(description="why it failed")
    result: LearnedBody | None


class HistoryBody(BaseModel):
    """Decisions and undos, newest first."""

    history: list[HistoryRow]


POSTERS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "description": "image files: JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF",
                        }
                    },
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

_ERRORS = {
    400: "A host or input that is not served.",
    401: "No token, or a wrong one.",
    404: "No such model or film.",
    408: "The upload took too long.",
    409: "It is learning already, or nothing is decided.",
    413: "Too many bytes, pixels or files.",
    415: "A compression that is not supported.",
    422: "An option, a form or a single poster that cannot be read.",
    429: "The queue is full, or too many uploads at the same time; see Retry-After.",
    503: "Not ready, or stopping; see Retry-After.",
    504: "The answer took too long.",
}
_EXAMPLES = {
    400: "this service does not answer as 'example.org'; use 127.0.0.1 or localhost",
    401: "a token is needed; send the header 'Authorization: Bearer TOKEN'",
    404: "no model 'other'; use 'default'",
    408: "the upload took longer than 60 seconds; send fewer posters at a time",
    409: "it is learning already; wait until that has ended",
    413: "poster.tif has 31,457,280 bytes and may have 20,000,000; scale it down",
    415: "Content-Encoding 'br' is not supported; use gzip, deflate or none",
    422: "unknown operating point 'best'; use balanced, precise, generous, exact",
    429: "505 posters are waiting, and 512 may; try again later",
    503: "the service is stopping; try again later",
    504: "the answer took longer than 60 seconds; send fewer posters at a time",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of these error statuses."""
    return {
        status: {
            "model": ErrorBody,
            "description": _ERRORS[status],
            "content": {"application/json": {"example": {"error": _EXAMPLES[status]}}},
        }
        for status in statuses
    }


STALE: dict[int | str, dict[str, Any]] = {
    409: {
        "model": StaleBody,
        "description": "Another decision came first; `now` is the film as it is now.",
        "content": {"application/json": {"example": examples.STALE}},
    }
}


def answer(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a route that answers with JSON."""
    return {200: {"content": {"application/json": {"example": example}}}}


def file_answer(media_type: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response of a route that answers with a file of this kind."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def json_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a JSON body that the route reads itself, within the limits."""
    content = {"application/json": {"schema": model.model_json_schema(), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def fault(error: Mapping[str, object], where: Iterable[object]) -> str:
    """One of pydantic's errors in a line: where it is, what is wrong, what was got."""
    return f"{'.'.join(str(part)[:40] for part in where)}: {error['msg']}; got {reprlib.repr(error['input'])}"
