from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from serving_client import Client, Held, png
from starlette.testclient import TestClient

from drawn_review import write_run
from onesheet.apps.review import Review, decisions_path, open_review, read_source
from onesheet.data import Catalogue
from onesheet.predict import index_posters, load


@pytest.fixture
def run_folder(catalogue: Catalogue, tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", catalogue)


@pytest.fixture
def review(run_folder: Path, predictor: Held) -> Iterator[Review]:
    named = {"run": run_folder}
    opened = open_review(read_source(**named), predictor, decisions=decisions_path(**named), notify=print)
    yield opened
    opened.store.close()


@pytest.fixture
def served(client: Client, review: Review) -> TestClient:
    return client(review=review)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_what_is_not_there_is_not_offered(client: Client, review: Review) -> None:
    bare = client()
    assert bare.get("/v1/model").json()["offers"] == []
    for path in ("/v1/review", "/report", "/v1/similar"):
        assert bare.get(path).status_code == 404
    assert client(review=review).get("/v1/model").json()["offers"] == ["review"]


def test_the_queue_in_pages(served: TestClient, review: Review) -> None:
    first = served.get("/v1/review", params={"limit": 3}).json()
    assert [film["film"] for film in first["films"]] == list(review.cases)[:3]
    assert first["counts"] == review.counts() and first["genres"] == ["Comedy", "Drama", "Horror"]
    film = first["films"][0]
    assert film["reason"] == "suspect" and film["doubted"] and film["version"] == 0 and film["decision"] is None
    assert not any(review.case(film["film"]).film.poster in str(value) for value in film.values())
    after = served.get("/v1/review", params={"after": first["films"][2]["film"], "limit": 100}).json()
    assert [film["film"] for film in after["films"]] == list(review.cases)[3:]


def test_decide_undo_history_export(served: TestClient, review: Review) -> None:
    film = next(iter(review.cases))
    body = {"action": "correct", "genres": ["Horror", "Comedy"], "version": 0}
    made = served.post(f"/v1/review/films/{film}", json=body)
    assert made.status_code == 200
    assert made.json()["decision"]["genres"] == ["Comedy", "Horror"] and made.json()["version"] == 1
    about = served.get("/v1/review").json()["about"]
    assert "the run's validation and test sets" in about and "The corrected catalogue is" in about
    rows = list(csv.DictReader(io.StringIO(served.get("/v1/review/export").text)))
    assert {row["film_id"]: row["genres"] for row in rows}[film] == "Comedy|Horror"
    undone = served.post("/v1/review/undo", json={"decision": 1}).json()
    assert undone["undo"]["undoes"] == 1 and undone["now"]["version"] == 2 and undone["now"]["decision"] is None
    history = served.get("/v1/review/history").json()["history"]
    assert [row["action"] for row in history] == ["undo", "correct"]
    assert served.get("/v1/review").json()["films"][0]["film"] == film


def test_learning_needs_the_token_and_something_decided(client: Client, review: Review) -> None:
    assert client(review=review, token="secret").post("/v1/review/learn").status_code == 401
    served = client(review=review)
    assert served.get("/v1/review/learn").json()["state"] == "idle"
    assert served.get("/v1/review/learn/file").status_code == 404
    refused = served.post("/v1/review/learn")
    assert refused.status_code == 409 and "nothing is decided yet" in refused.json()["error"]


def test_a_second_tab_is_told_what_is_there_now(served: TestClient, review: Review) -> None:
    film = next(iter(review.cases))
    served.post(f"/v1/review/films/{film}", json={"action": "accept", "version": 0})
    stale = served.post(f"/v1/review/films/{film}", json={"action": "skip", "version": 0})
    assert stale.status_code == 409 and "decided elsewhere meanwhile" in stale.json()["error"]
    now = stale.json()["now"]
    assert now["decision"]["action"] == "accept" and now["version"] == 1
    assert served.post(f"/v1/review/films/{film}", json={"action": "skip", "version": 1}).status_code == 200
    late = served.post("/v1/review/undo", json={"decision": 1})
    assert late.status_code == 409 and "is not current" in late.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("films/nobody", '{"action": "skip", "version": 0}', 404, "no film 'nobody' in the review queue"),
        ("films/../../etc/passwd", "{}", 404, ""),
        ("films/FILM", '{"action": "burn", "version": 0}', 422, "unknown decision 'burn'"),
        ("films/FILM", '{"action": "correct", "genres": ["Noir"], "version": 0}', 422, "unknown genre 'Noir'"),
        ("films/FILM", '{"action": "correct", "version": 0}', 422, "at least one genre"),
        ("films/FILM", '{"action": "skip", "version": -1}', 422, "version: "),
        ("films/FILM", '{"action": "skip", "version": 99999999999999999999}', 422, "version: "),
        ("films/FILM", "no json", 422, "the body: "),
        ("films/FILM", " " * 5000, 413, "at most 4,000 bytes"),
        ("undo", '{"decision": 7}', 409, "decision 7 is not current"),
        ("undo", "[]", 422, "the body: "),
    ],
)
def test_what_is_rejected(path: str, body: str, status: int, error: str, client: Client, review: Review) -> None:
    served = client(review=review, request_bytes=4000)
    path = path.replace("FILM", next(iter(review.cases)))
    rejected = served.post(f"/v1/review/{path}", content=body)
    assert rejected.status_code == status and error in rejected.json()["error"]
    assert review.store.history(last=9) == []


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("?limit=0", 422, "limit: Input should be greater than or equal to 1; got '0'"),
        ("?limit=101", 422, "limit: Input should be less than or equal to 100; got '101'"),
        ("?limit=x", 422, "limit: Input should be a valid integer"),
        ("?after=nobody", 404, "no film 'nobody' in the review queue"),
        ("/history?last=1001", 422, "last: Input should be less than or equal to 1000; got '1001'"),
    ],
)
def test_a_page_of_the_queue_that_is_none(query: str, status: int, error: str, served: TestClient) -> None:
    rejected = served.get(f"/v1/review{query}")
    assert rejected.status_code == status and error in rejected.json()["error"]


def test_posters_by_film_never_by_path(served: TestClient, review: Review) -> None:
    film, case = next(iter(review.cases.items()))
    poster = served.get(f"/v1/review/posters/{film}")
    assert poster.headers["Content-Type"] == "image/jpeg" and picture(poster.content).size == (32, 48)
    for path in (case.film.poster, "../" * 9 + "etc/passwd", "/etc/passwd"):
        assert served.get(f"/v1/review/posters/{quote(path, safe='')}").status_code == 404
    Path(case.film.poster).rename(case.film.poster + ".away")
    try:
        gone = served.get(f"/v1/review/posters/{film}")
        assert gone.status_code == 404 and gone.json() == {"error": "the film's poster cannot be read any more"}
    finally:
        Path(case.film.poster + ".away").rename(case.film.poster)


def test_heat_maps_are_the_predictors(served: TestClient, review: Review, model_path: Path) -> None:
    film, case = next(iter(review.cases.items()))
    map_ = load(model_path, threads=1).explain(case.film.poster, "Drama")
    expected = map_.overlay()
    own = served.get(f"/v1/review/heat-maps/{film}", params={"genre": "Drama"})
    sent = served.post("/v1/explain", params={"genre": "Drama"}, content=Path(case.film.poster).read_bytes())
    for answer in (own, sent):
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Onesheet-Brightest"] == map_.brightest
        assert np.abs(np.asarray(picture(answer.content)).astype(int) - expected).max() <= 1


def test_explaining_is_within_the_limits(client: Client, posters: list[bytes]) -> None:
    served = client(pixels=48 * 32)
    for params, content, status, error in (
        ({"genre": "Drma"}, posters[0], 422, "did you mean Drama?"),
        ({}, posters[0], 422, "the parameter 'genre' is missing"),
        ({"genre": "Drama"}, b"no picture", 422, "not a picture"),
        ({"genre": "Drama"}, png(33, 48), 413, "scale it down"),
        ({"genre": "Drama"}, b"", 422, "there is no poster"),
    ):
        rejected = served.post("/v1/explain", params=params, content=content)
        assert rejected.status_code == status and error in rejected.json()["error"]
    two = [("files", ("a.png", posters[0])), ("files", ("b.png", posters[1]))]
    assert served.post("/v1/explain?genre=Drama", files=two).status_code == 422
    large = client().post("/v1/explain?genre=Drama", content=png(1300, 2000))
    assert picture(large.content).size == (585, 900)


def test_explaining_waits_its_turn(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client(queue=2, threads=1)
    predictor.go.clear()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(served.post, "/v1/explain?genre=Drama", content=posters[0])
        predictor.begun.acquire()  # the one worker has it
        more = [pool.submit(served.post, "/v1/explain?genre=Drama", content=posters[0]) for _ in range(2)]
        while "onesheet_queue_posters 2.0" not in served.get("/metrics").text:
            pass
        full = served.post("/v1/explain?genre=Drama", content=posters[0])
        assert full.status_code == 429 and full.headers["Retry-After"] == "1"
        predictor.go.set()
        assert [one.result().status_code for one in (first, *more)] == [200] * 3


def test_the_nearest_posters_of_a_folder(client: Client, predictor: Held, catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for number, film in enumerate(catalogue.films[:5]):
        (tmp_path / "below" / f"{number}.png").write_bytes(Path(film.poster).read_bytes())
    index = index_posters(tmp_path, predictor=predictor)
    served = client(similar=index)
    poster = Path(catalogue.films[3].poster).read_bytes()
    found = served.post("/v1/similar", params={"top": 2}, content=poster).json()["neighbours"]
    assert found[0]["name"] == "below/3.png" and found[0]["similarity"] > 0.999 and len(found) == 2
    assert [one["name"] for one in found] == [
        str(Path(near.path).relative_to(tmp_path)) for near in index.nearest(poster, top=2)
    ]
    assert all(one["picture"].startswith("data:image/jpeg;base64,") for one in found)
    assert served.post("/v1/similar", params={"top": 51}, content=poster).status_code == 422
    assert served.post("/v1/similar", content=b"no picture").status_code == 422


def test_the_report_is_sandboxed(client: Client, run_folder: Path) -> None:
    report = client(report=run_folder / "report.html").get("/report")
    policy = report.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
    assert "connect-src" not in policy and "default-src 'none'" in policy
    assert client(report=run_folder / "report.html", token="secret").get("/report").status_code == 401
