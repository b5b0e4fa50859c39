"""Requests made up from the OpenAPI description never find a fault in the service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from serving_client import serving

from drawn_review import write_run
from onesheet.data import Catalogue

BOUNDED = settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None, derandomize=True)


@pytest.fixture(scope="module")
def address(model_path: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with all it can offer."""
    run = write_run(tmp_path_factory.mktemp("run"), catalogue)
    posters = tmp_path_factory.mktemp("similar")
    for film in catalogue.films[:5]:
        shutil.copy(film.poster, posters)
    offered = ("--run", str(run), "--similar-in", str(posters))
    with serving(model_path, "--max-queue", "50", *offered) as (url, _):
        yield url


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
def test_no_made_up_request_finds_a_fault(mode: schemathesis.GenerationMode, address: str) -> None:
    """As described, and against the description."""
    operations = [found.ok() for found in schemathesis.openapi.from_url(f"{address}/openapi.json").get_all_operations()]
    statuses = set()
    for operation in operations:

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            answer = case.call()
            statuses.add(answer.status_code)
            assert answer.status_code < 500, answer.text

        with suppress(Unsatisfiable):  # against the description, where there is nothing to say
            ask()
    assert len(operations) == 25 and 422 in statuses, statuses


def test_every_answer_has_an_example_that_fits_its_schema(address: str) -> None:
    described = httpx2.get(f"{address}/openapi.json").json()
    examples = 0
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                body = response.get("content", {}).get("application/json")
                if not body:
                    continue
                resolved = body.get("schema", {}) | {"components": described["components"]}
                jsonschema_rs.validator_for(resolved).validate(body["example"])
                examples += status == "200"
    assert examples == 18, examples
