from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving_client import Client, Held, as_files, gate


def batch_sizes(text: str) -> dict[int, int]:
    """Posters in a call -> calls."""
    found = re.findall(r'^onesheet_batch_posters_bucket\{le="(\d+)\.0"\} (\d+)', text, re.M)
    upto = [(int(size), int(calls)) for size, calls in found]
    return {size: calls - (upto[at - 1][1] if at else 0) for at, (size, calls) in enumerate(upto)}


def test_requests_that_wait_are_scored_together(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client(threads=1)
    predictor.go.clear()
    with ThreadPoolExecutor(18) as pool:
        first = pool.submit(served.post, "/v1/predict", content=posters[0])
        predictor.begun.acquire()
        others = [pool.submit(served.post, "/v1/predict", content=poster) for poster in posters[1:18]]
        while len(gate(served).service.batcher._queue) < 17:
            time.sleep(0.01)
        predictor.go.set()
        answers = [answer.result().json()["predictions"][0] for answer in (first, *others)]
    sizes = batch_sizes(served.get("/metrics").text)
    assert {size: calls for size, calls in sizes.items() if calls} == {1: 2, 2: 8}
    for poster, answer in zip(posters, answers, strict=False):
        assert answer["probabilities"] == pytest.approx(predictor.predict(poster).probabilities, abs=2e-6)


def test_32_clients_each_get_their_own_answers(client: Client, predictor: Held, posters: list[bytes]) -> None:
    served = client(threads=2)

    def ask(number: int) -> list[dict[str, float]]:
        mine = [posters[(number + step) % len(posters)] for step in range(1 + number % 4)]
        at = ("balanced", "precise", "generous", "exact")[number % 4]
        answer = served.post("/v1/predict", params={"at": at}, files=as_files(mine))
        assert answer.status_code == 200
        return [prediction["probabilities"] for prediction in answer.json()["predictions"]]

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(96)))
    expected = [predictor.predict(poster).probabilities for poster in posters]
    for number, answer in enumerate(answers):
        assert len(answer) == 1 + number % 4
        for step, probabilities in enumerate(answer):
            assert probabilities == pytest.approx(expected[(number + step) % len(posters)], abs=2e-6)
    assert "onesheet_posters_total 240.0" in served.get("/metrics").text


def test_only_broken_posters(client: Client, posters: list[bytes]) -> None:
    predictions = client().post("/v1/predict", files=as_files([b"no picture"] * 20)).json()["predictions"]
    assert len(predictions) == 20 and all("error" in prediction for prediction in predictions)
