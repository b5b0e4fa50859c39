from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from serving_client import Client, Held, png

from onesheet.apps.serving import open_inference as inference
from onesheet.files import parse_json
from onesheet.images import read_poster

INFER = "/v2/models/genres/infer"
LENGTH = "Inference-Header-Content-Length"


def as_bytes(posters: list[bytes], **changed: Any) -> dict[str, Any]:
    data = [base64.b64encode(poster).decode() for poster in posters]
    return {"name": "posters", "datatype": "BYTES", "shape": [len(posters)], "data": data} | changed


def as_pixels(posters: list[bytes]) -> np.ndarray:
    return np.stack([read_poster(poster, size=(48, 32)) for poster in posters])


def output(answer: dict[str, Any], name: str) -> np.ndarray:
    tensor = next(tensor for tensor in answer["outputs"] if tensor["name"] == name)
    return np.array(tensor["data"]).reshape(tensor["shape"])


def test_the_server_and_the_model_describe_themselves(client: Client) -> None:
    served = client()
    assert served.get("/v2").json()["extensions"] == ["binary_tensor_data", "classification"]
    assert served.get("/v2/health/live").json() == {"live": True}
    assert served.get("/v2/models/genres/ready").json() == {"name": "genres", "ready": True}
    model = served.get("/v2/models/genres").json()
    assert model["inputs"] == [{"name": "posters", "datatype": "UINT8", "shape": [-1, 48, 32, 3]}]
    shapes = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in model["outputs"]}
    assert shapes["probabilities"] == ("FP32", [-1, 3]) and shapes["genres"] == ("BYTES", [-1])
    for path in ("", "/ready", "/infer"):
        answer = served.request("POST" if path == "/infer" else "GET", f"/v2/models/other{path}")
        assert answer.status_code == 404 and answer.json() == {"error": "no model 'other'; use 'genres'"}


def test_the_models_description_waits_its_turn(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client(queue=1, threads=1)
    predictor.go.clear()
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(served.post, "/v1/predict", content=posters[0])
        predictor.begun.acquire()
        waiting = pool.submit(served.post, "/v1/predict", content=posters[0])
        while "onesheet_queue_posters 1.0" not in served.get("/metrics").text:
            pass
        assert served.get("/v2/models/genres").status_code == 429
        predictor.go.set()
        assert begun.result().status_code == waiting.result().status_code == 200


@pytest.mark.parametrize("at", [None, "precise", "exact"])
def test_image_files_as_bytes(at: str | None, client: Client, predictor: Held, posters: list[bytes]) -> None:
    asked: dict[str, Any] = {"id": "42", "inputs": [as_bytes(posters[:11])]}
    if at:
        asked["parameters"] = {"at": at}
    answer = client().post(INFER, json=asked).json()
    assert answer["id"] == "42" and answer["model_name"] == "genres"
    expected = [predictor.predict(poster, at=at or "balanced") for poster in posters[:11]]
    values = [list(prediction.probabilities.values()) for prediction in expected]
    np.testing.assert_allclose(output(answer, "probabilities"), values, atol=2e-6)
    assert output(answer, "genres").tolist() == ["|".join(prediction.genres) for prediction in expected]
    assert output(answer, "embedding").shape[0] == 11


@pytest.mark.parametrize("form", ["flat", "nested", "binary"])
def test_pixels_as_uint8(form: str, client: Client, predictor: Held, posters: list[bytes]) -> None:
    pixels = as_pixels(posters[:3])
    tensor: dict[str, Any] = {"name": "posters", "datatype": "UINT8", "shape": [3, 48, 32, 3]}
    asked = {"inputs": [tensor], "outputs": [{"name": "logits"}]}
    if form == "binary":
        tensor["parameters"] = {"binary_data_size": pixels.size}
        text = json.dumps(asked).encode()
        answer = client().post(INFER, content=text + pixels.tobytes(), headers={LENGTH: str(len(text))})
    else:
        tensor["data"] = (pixels.ravel() if form == "flat" else pixels).tolist()
        answer = client().post(INFER, json=asked)
    assert [tensor["name"] for tensor in answer.json()["outputs"]] == ["logits"]
    assert "id" not in answer.json()
    np.testing.assert_allclose(output(answer.json(), "logits"), predictor.score(pixels).logits, atol=1e-5)


def test_binary_data_both_ways(client: Client, predictor: Held, posters: list[bytes]) -> None:
    files = b"".join(len(poster).to_bytes(4, "little") + poster for poster in posters[:2])
    tensor = {"name": "posters", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(files)}}
    outputs = [{"name": "probabilities"}, {"name": "logits", "parameters": {"binary_data": False}}, {"name": "genres"}]
    text = json.dumps({"inputs": [tensor], "outputs": outputs, "parameters": {"binary_data_output": True}}).encode()
    answer = client().post(INFER, content=text + files, headers={LENGTH: str(len(text))})
    assert answer.headers["Content-Type"] == "application/octet-stream"
    end = int(answer.headers[LENGTH])
    probabilities, logits, genres = json.loads(answer.content[:end])["outputs"]
    assert len(logits["data"]) == 6 and "data" not in probabilities
    size = probabilities["parameters"]["binary_data_size"]
    values = np.frombuffer(answer.content[end : end + size], "<f4").reshape(probabilities["shape"])
    expected = [predictor.predict(poster) for poster in posters[:2]]
    np.testing.assert_allclose(values, [list(one.probabilities.values()) for one in expected], atol=2e-6)
    texts = [("|".join(one.genres)).encode() for one in expected]
    assert answer.content[end + size :] == b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    assert genres["parameters"]["binary_data_size"] == len(answer.content) - end - size


UINT8 = {"name": "posters", "datatype": "UINT8", "shape": [1, 48, 32, 3]}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("{", "the request is not JSON"),
        ("[" * 200_000, "the request is not JSON"),
        ([], "the request: Input should be a valid dictionary"),
        ({"inputs": []}, "inputs: List should have at least 1 item after validation, not 0; got []"),
        ({"inputs": [as_bytes([b"x"]), as_bytes([b"x"])]}, "inputs: List should have at most 1 item"),
        ({"inputs": [as_bytes([b"x"], name="images")]}, "unknown input 'images'; use 'posters'"),
        ({"inputs": [as_bytes([b"x"], datatype="FP32")]}, "must be BYTES or UINT8; got 'FP32'"),
        ({"inputs": [as_bytes([b"x"], shape=[2])]}, "has 1 elements, but its shape is [2]"),
        ({"inputs": [as_bytes([b"x"], data=["é"])]}, "must be the base64 text of an image file"),
        ({"inputs": [as_bytes([b"x"], data=[7])]}, "must be the base64 text of an image file"),
        ({"inputs": [as_bytes([b"x"])]}, "poster 0: cannot read poster of 1 bytes"),
        ({"inputs": [as_bytes([])]}, "the request has no poster"),
        ({"inputs": [as_bytes([b"x"])], "parameters": {"at": "best"}}, "unknown operating point 'best'; use balanced"),
        ({"inputs": [UINT8]}, "has no data, and 0 bytes follow the JSON; its binary_data_size is None"),
        ({"inputs": [UINT8 | {"shape": [1, 48, 32, 4], "data": []}]}, "must have shape [N, 48, 32, 3]; got [1, 48"),
        ({"inputs": [UINT8 | {"shape": [-1, 48, 32, 3], "data": []}]}, "must have shape"),
        ({"inputs": [UINT8 | {"shape": [0, 48, 32, 3], "data": []}]}, "the request has no poster"),
        ({"inputs": [UINT8 | {"data": [1, 2, 3]}]}, "has 3 numbers, but its shape is [1, 48, 32, 3]"),
        ({"inputs": [UINT8 | {"data": [0.5] * 4608}]}, "must be whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [256] * 4608}]}, "must be whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [10**30] * 4608}]}, "must be whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [[1], [2, 3]]}]}, "must be whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [True] * 4608}]}, "must be whole numbers from 0 to 255"),
    ],
)
def test_what_makes_no_sense_says_why(asked: Any, error: str, client: Client) -> None:
    answer = client().post(INFER, content=asked if isinstance(asked, str) else json.dumps(asked))
    assert answer.status_code in (400, 422)
    assert error in answer.json()["error"]


LONG = "a" * 100_000


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": [as_bytes([b"x"], shape=[1] * 100_000)]},
        {"inputs": [UINT8 | {"shape": [1] * 100_000, "data": []}]},
        {"inputs": [UINT8 | {"shape": [10**4000, 48, 32, 3], "data": []}]},
        {"inputs": [UINT8 | {"name": LONG, "data": []}]},
        {"inputs": [UINT8 | {"datatype": LONG, "data": []}]},
        {"inputs": [UINT8 | {"parameters": {"binary_data_size": LONG}}]},
        {"inputs": [UINT8 | {"parameters": {LONG: []}}]},
        {"inputs": [as_bytes([b"x"])], "parameters": {"at": LONG}},
        {"inputs": [as_bytes([b"x"])], "parameters": LONG},
        {"inputs": [as_bytes([png(9, 16)])], "outputs": [{"name": LONG}]},
    ],
    ids=range(10),
)
def test_errors_repeat_little_of_what_they_were_sent(asked: Any, client: Client) -> None:
    answer = client().post(INFER, json=asked)
    assert answer.status_code in (400, 422) and len(answer.json()["error"]) < 500


def test_one_json_is_read_at_a_time(client: Client, posters: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, most = 0, 0

    def parse(text: bytes) -> Any:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        time.sleep(0.05)
        reading -= 1
        return parse_json(text)

    monkeypatch.setattr(inference, "parse_json", parse)
    served = client()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(served.post, INFER, json={"inputs": [as_bytes(posters[:1])]}) for _ in range(4)]
    assert [one.result().status_code for one in asked] == [200] * 4 and most == 1


def test_an_unknown_output_is_named(client: Client, posters: list[bytes]) -> None:
    asked = {"inputs": [as_bytes(posters[:1])], "outputs": [{"name": "softmax"}]}
    answer = client().post(INFER, json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("unknown output 'softmax'; use probabilities, logits, embedding")


@pytest.mark.parametrize(
    ("behind", "size", "error"),
    [
        (b"\x05\0\0\0ab", 6, "end inside an element"),
        (b"\x05\0", 2, "end inside an element"),
        (b"", 6, "0 bytes follow the JSON; its binary_data_size is 6"),
    ],
)
def test_binary_data_that_end_too_soon(behind: bytes, size: int, error: str, client: Client) -> None:
    tensor = as_bytes([b"x"], parameters={"binary_data_size": size})
    del tensor["data"]
    text = json.dumps({"inputs": [tensor]}).encode()
    answer = client().post(INFER, content=text + behind, headers={LENGTH: str(len(text))})
    assert answer.status_code == 400 and error in answer.json()["error"]


@pytest.mark.parametrize("length", ["x", "-1", "9999"])
def test_a_wrong_header_length(length: str, client: Client) -> None:
    answer = client().post(INFER, content=b"{}", headers={LENGTH: length})
    assert answer.status_code == 400 and "must be the length of the JSON in bytes, at most 2" in answer.json()["error"]


def test_large_tensors_belong_behind_the_json(client: Client, posters: list[bytes]) -> None:
    served = client(request_bytes=40_000)
    asked = {"inputs": [as_bytes([posters[0]] * 3)]}
    assert len(json.dumps(asked)) > 10_000
    answer = served.post(INFER, json=asked)
    assert answer.status_code == 413 and "send tensors as binary data" in answer.json()["error"]


def test_a_poster_may_be_so_large(client: Client, posters: list[bytes]) -> None:
    answer = client(file_bytes=len(posters[0]) - 1).post(INFER, json={"inputs": [as_bytes(posters[:1])]})
    assert answer.status_code == 413
