from __future__ import annotations

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving_client import Client, Held, as_files, gate, png

from onesheet.apps.serving.app import PAGE
from onesheet.drawn.sample_posters import sample_poster


def metric(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert found, f"no {name} in {text}"
    return float(found[1])


@pytest.mark.parametrize("at", ["balanced", "precise", "generous", "exact"])
def test_many_files_are_answered_as_the_predictor_does(
    at: str, client: Client, predictor: Held, posters: list[bytes]
) -> None:
    answer = client().post("/v1/predict", params={"at": at}, files=as_files(posters[:11]))
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert [prediction["path"] for prediction in predictions] == [f"{number}.png" for number in range(11)]
    for poster, prediction in zip(posters, predictions, strict=False):
        expected = predictor.predict(poster, at=at).to_dict() | {"path": prediction["path"]}
        assert [row["genre"] for row in prediction["genres"]] == [row["genre"] for row in expected["genres"]]  # type: ignore[attr-defined]
        assert prediction["probabilities"] == pytest.approx(expected["probabilities"], abs=2e-6)
        assert list(prediction) == list(expected)


def test_heat_maps_come_with_the_genres(client: Client, predictor: Held, posters: list[bytes]) -> None:
    (found,) = client().post("/v1/predict", params={"maps": "true"}, content=posters[0]).json()["predictions"]
    maps = found["maps"]
    strengths = np.frombuffer(base64.b64decode(maps["strengths"]), np.uint8).reshape(3, maps["rows"], maps["columns"])
    for genre, given in zip(predictor.genres.names, strengths, strict=True):
        values = predictor.explain(posters[0], genre).values.clip(min=0)
        np.testing.assert_array_equal(given, (255 * values / (values.max() or 1)).round())


def test_drawn_samples_are_served(client: Client) -> None:
    served = client()
    titles = served.get("/v1/model").json()["samples"]
    for number in range(len(titles)):
        answer = served.get(f"/v1/samples/{number}")
        assert answer.headers["Content-Type"] == "image/jpeg" and answer.content == sample_poster(number)
    assert served.get(f"/v1/samples/{len(titles)}").status_code == 422


def test_top_counts_genres(client: Client, posters: list[bytes]) -> None:
    answer = client().post("/v1/predict", params={"top": 2}, content=posters[0])
    assert len(answer.json()["predictions"][0]["genres"]) == 2


def test_a_broken_file_has_its_reason_and_the_others_go_on(client: Client, posters: list[bytes]) -> None:
    files = [("é.png", posters[0]), ("notes.txt", b"no picture"), ("cut.png", posters[1][:900]), ("c.png", posters[2])]
    predictions = client().post("/v1/predict", files=[("files", file) for file in files]).json()["predictions"]
    assert [prediction["path"] for prediction in predictions] == [name for name, _ in files]
    assert ["error" in prediction for prediction in predictions] == [False, True, True, False]
    assert "not a picture of a known format; use one of JPEG" in predictions[1]["error"]
    assert set(predictions[1]) == {"path", "error"}


def test_one_image_as_the_body(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client()
    for content_type in ("image/png", "application/octet-stream", "application/x-www-form-urlencoded"):
        answer = served.post("/v1/predict", content=posters[0], headers={"Content-Type": content_type})
        assert answer.json() == {"predictions": [predictor.predict(posters[0]).to_dict()]}
    broken = served.post("/v1/predict", content=b"no picture")
    assert broken.status_code == 422 and "not a picture" in broken.json()["error"]


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"params": {"at": "best"}, "content": b"x"}, 422, "unknown operating point 'best'; use balanced, "),
        ({"params": {"top": 4}, "content": b"x"}, 422, "top must be between 1 and 3, the model's genres; got 4"),
        ({"params": {"top": "two"}, "content": b"x"}, 422, "top: Input should be a valid integer"),
        ({"params": {"top": 2, "at": "precise"}, "content": b"x"}, 422, "got at=precise and top=2: leave one out"),
        ({"params": {"att": "precise"}, "content": b"x"}, 422, "unknown parameter 'att'; did you mean 'at'?"),
        ({"params": {"x": "1"}, "content": b"x"}, 422, "unknown parameter 'x'; use at, top, maps"),
        ({"files": {"files": (None, "hello")}}, 422, "(with curl, mind the @: -F files=@poster.jpg)"),
        ({"content": b""}, 422, "there is no poster; send image files in the multipart field 'files'"),
        ({"files": {"file": ("a.png", b"x")}}, 422, "there is no poster"),
        ({"files": {"files": ("a.png", b"x")}, "data": {"at": "exact"}}, 422, "and options in the address: ?at="),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "the form cannot be read"),
        (
            {"content": b"--b\r\nno form", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            422,
            "the form cannot be read",
        ),
    ],
)
def test_what_cannot_be_answered_says_why(client: Client, options: dict, status: int, error: str) -> None:  # type: ignore[type-arg]
    answer = client().post("/v1/predict", **options)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"] and error in answer.json()["error"]


def test_the_model_and_the_limits(client: Client, predictor: Held) -> None:
    served = client(queue=7)
    model = served.get("/v1/model").json()
    assert model["card"] == json.loads(predictor.card.to_json())
    assert model["model_card"] == predictor.model_card and model["name"] == "genres"
    assert served.get("/v1/limits").json()["queue"] == 7


def test_unknown_routes_and_methods(client: Client) -> None:
    served = client()
    for answer, status in [
        (served.get("/nope"), 404),
        (served.post("/v1/similar"), 404),
        (served.get("/v1/predict"), 405),
        (served.get("/static/../api.py"), 404),
        (served.get("/static/%2e%2e/api.py"), 404),
    ]:
        assert answer.status_code == status and "see /openapi.json" in answer.json()["error"]
    assert "start the service with --similar-in FOLDER" in served.post("/v1/similar").json()["error"]
    assert "start the service with --run RUN or" in served.get("/v1/review").json()["error"]
    assert "use POST" in served.get("/v1/predict").json()["error"]


def test_every_own_route_knows_its_parameters(client: Client, posters: list[bytes]) -> None:
    served = client()
    assert served.get("/v1/model?verbose=1").json() == {"error": "unknown parameter 'verbose'; there are none here"}
    assert "did you mean 'genre'?" in served.post("/v1/explain?gener=Drama", content=posters[0]).json()["error"]
    assert served.post("/v1/explain", content=posters[0]).json() == {
        "error": "the parameter 'genre' is missing, a genre of the model; add it to the address: ?genre=Comedy"
    }
    assert served.get("/metrics?from=prometheus").status_code == 200


def test_health_follows_the_service(client: Client, posters: list[bytes]) -> None:
    served = client()
    paths = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/genres/ready")
    assert [served.get(path).status_code for path in paths] == [200] * 5
    gate(served).service.draining = True
    assert [served.get(path).status_code for path in paths] == [200, 503, 200, 503, 503]
    stopping = served.post("/v1/predict", content=posters[0])
    assert stopping.status_code == 503 and stopping.headers["Retry-After"] == "1"
    assert stopping.json() == {"error": "the service is stopping; try again later"}


def test_metrics_count(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client()
    served.post("/v1/predict", files=as_files([*posters[:5], b"no picture"]))
    served.post("/v1/predict", content=b"")
    served.get("/nope")
    text = served.get("/metrics").text
    assert metric(text, 'onesheet_requests_total{route="/v1/predict",status="200"}') == 1
    assert metric(text, 'onesheet_requests_total{route="/v1/predict",status="422"}') == 1
    assert metric(text, 'onesheet_requests_total{route="none",status="404"}') == 1
    assert metric(text, "onesheet_posters_total") == metric(text, "onesheet_batch_posters_sum") == 5
    assert metric(text, 'onesheet_failures_total{reason="not-an-image"}') == 1
    assert metric(text, 'onesheet_request_seconds_count{route="/v1/predict"}') == 2
    assert metric(text, "onesheet_requests_in_flight") == 1  # this very request
    predictor.go.clear()
    while predictor.begun.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.post, "/v1/predict", files=as_files(posters[:20]))
        predictor.begun.acquire(), predictor.begun.acquire()  # both workers hold 2
        assert metric(served.get("/metrics").text, "onesheet_queue_posters") == 16
        predictor.go.set()
        assert waiting.result().status_code == 200
    assert metric(served.get("/metrics").text, "onesheet_queue_posters") == 0


def test_openapi_has_every_route_with_examples(client: Client) -> None:
    described = client(token="secret").get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/predict",
        "/v1/explain",
        "/v1/model",
        "/v1/limits",
        "/v1/samples/{number}",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{model}",
        "/v2/models/{model}/ready",
        "/v2/models/{model}/infer",
    }
    predict = described["paths"]["/v1/predict"]["post"]
    assert "multipart/form-data" in predict["requestBody"]["content"]
    assert predict["security"] == [{"HTTPBearer": []}]
    assert "security" not in described["paths"]["/healthz"]["get"]
    for status, response in predict["responses"].items():
        assert response["content"]["application/json"]["example"], status


def test_the_page_asks_no_one_else_and_holds_no_inline_code(client: Client) -> None:
    served = client()
    page = served.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'; style-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page.text)
    parts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(parts) == 2
    for part in (*parts, *(f"/static/{path.name}" for path in PAGE.glob("*.js"))):
        assert served.get(part).status_code == 200, part
    for path in PAGE.iterdir():
        assert not re.search(r"""(?:https?|wss?):|["'(]//""", path.read_text(encoding="utf-8")), path


def test_a_picture_of_many_pixels_is_rejected_by_its_header(client: Client, posters: list[bytes]) -> None:
    served = client(pixels=100 * 100)
    alone = served.post("/v1/predict", content=png(101, 100))
    assert alone.status_code == 413
    assert "101 x 100 pixels; scale it down to at most 10,000 pixels" in alone.json()["error"]
    both = served.post("/v1/predict", files=as_files([png(101, 100), png(100, 100)])).json()["predictions"]
    assert ["error" in prediction for prediction in both] == [True, False]
