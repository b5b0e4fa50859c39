"""What other programs' clients send."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_client import Client, png, serving_here

POSTER = png(30, 40)


def asking(**more: Any) -> dict[str, Any]:
    data = [base64.encodebytes(POSTER).decode()]  # with line breaks
    return {"inputs": [{"name": "posters", "datatype": "BYTES", "shape": [1], "data": data}], **more}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
def test_compressed_bodies(client: Client, encoding: str, pack: Any) -> None:
    service = client()
    headers = {"Content-Encoding": encoding}
    answer = service.post("/v2/models/genres/infer", content=pack(json.dumps(asking()).encode()), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json() == service.post("/v2/models/genres/infer", json=asking()).json()
    answer = service.post("/v1/predict", content=pack(POSTER), headers=headers)
    assert answer.status_code == 200, answer.text


def test_bodies_that_cannot_be_unpacked(client: Client) -> None:
    service = client(request_bytes=100_000)
    for encoding, body, status, why in (
        ("br", POSTER, 415, "Content-Encoding 'br' is not supported; use gzip, deflate or none"),
        ("gzip, gzip", POSTER, 415, "is not supported"),
        ("gzip", POSTER, 400, "the body is no gzip"),
        ("gzip", gzip.compress(POSTER)[:-9], 400, "the gzip body ends early"),
        ("gzip", gzip.compress(bytes(50_000_000)), 413, "at most 100,000 bytes"),
        ("deflate", zlib.compress(bytes(50_000_000)), 413, "at most 100,000 bytes"),
    ):
        answer = service.post("/v1/predict", content=body, headers={"Content-Encoding": encoding})
        assert (answer.status_code, why in answer.json()["error"]) == (status, True), answer.text


def test_null_parameters(client: Client) -> None:
    request = asking(parameters=None, id=None, outputs=None)
    request["inputs"][0]["parameters"] = None
    answer = client().post("/v2/models/genres/infer", json=request)
    assert answer.status_code == 200, answer.text
    outputs = [{"name": "genres", "parameters": None}]
    assert client().post("/v2/models/genres/infer", json=asking(outputs=outputs)).status_code == 200


def test_unknown_extensions_are_rejected_by_name(client: Client) -> None:
    service = client()
    region = {"shared_memory_region": "r"}
    for request, name in (
        (asking(parameters={"sequence_id": 3}), "sequence_id"),
        (asking(parameters={"At": "precise"}), "At"),
        (asking(outputs=[{"name": "genres", "parameters": region}]), "shared_memory_region"),
        ({"inputs": [asking()["inputs"][0] | {"parameters": region}]}, "shared_memory_region"),
    ):
        answer = service.post("/v2/models/genres/infer", json=request)
        assert answer.status_code == 400 and f"unknown parameter {name!r} of" in answer.json()["error"], answer.text


def test_classification(client: Client) -> None:
    service = client()
    genres = service.get("/v1/model").json()["card"]["genres"]
    asked = asking(outputs=[{"name": "probabilities", "parameters": {"classification": 3}}, {"name": "probabilities"}])
    classes, whole = service.post("/v2/models/genres/infer", json=asked).json()["outputs"]
    assert (classes["datatype"], classes["shape"]) == ("BYTES", [1, min(3, len(genres))])
    best = np.argsort(-np.array(whole["data"]), kind="stable")[:3]
    for text, column in zip(classes["data"], best, strict=True):
        value, number, genre = text.split(":")
        assert (int(number), genre) == (column, genres[column])
        assert float(value) == pytest.approx(whole["data"][column], abs=1e-6)
    for name, count in (("genres", 1), ("embedding", 1), ("probabilities", -1), ("probabilities", True)):
        request = asking(outputs=[{"name": name, "parameters": {"classification": count}}])
        assert service.post("/v2/models/genres/infer", json=request).status_code == 400


def test_tritons_own_client(model_path: Path) -> None:
    http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    with serving_here(model_path) as address:
        triton = http.InferenceServerClient(address.removeprefix("http://").rstrip("/"))
        name = "genres"
        assert triton.is_server_live() and triton.is_server_ready() and triton.is_model_ready(name)
        assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification"]
        *_, height, width, _ = triton.get_model_metadata(name)["inputs"][0]["shape"]
        pixels = np.zeros((2, height, width, 3), np.uint8)
        files = np.array([POSTER, POSTER], dtype=np.object_)
        for array, kind in ((files, "BYTES"), (files.reshape(2, 1), "BYTES"), (pixels, "UINT8")):
            given = http.InferInput("posters", list(array.shape), kind)
            given.set_data_from_numpy(array, binary_data=True)
            for packed in (None, "gzip", "deflate"):
                answer = triton.infer(
                    name,
                    [given],
                    outputs=[
                        http.InferRequestedOutput("probabilities", class_count=2),
                        http.InferRequestedOutput("genres"),
                    ],
                    request_compression_algorithm=packed,
                    response_compression_algorithm=packed,
                )
                assert answer.as_numpy("probabilities").shape == (2, 2) and answer.as_numpy("genres").shape == (2,)
        with pytest.raises(Exception, match="unknown parameter 'sequence_end'"):
            triton.infer(name, [given], sequence_id=3, sequence_start=True)
        triton.close()
