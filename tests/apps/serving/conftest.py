"""Services of the tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_client import HERE, Client, Held
from starlette.testclient import TestClient

from onesheet.apps.review import Review
from onesheet.apps.serving import Limits, create_app
from onesheet.data import Catalogue
from onesheet.predict import PosterIndex


@pytest.fixture
def predictor(model_path: Path) -> Iterator[Held]:
    held = Held(model_path)
    yield held
    held.go.set()


@pytest.fixture(scope="session")
def posters(catalogue: Catalogue) -> list[bytes]:
    return [Path(film.poster).read_bytes() for film in catalogue.films[:40]]


@pytest.fixture
def client(predictor: Held) -> Iterator[Client]:
    """Makes clients of services with the given limits; they end with the test."""
    open_clients: list[TestClient] = []

    def make(
        *,
        token: str | None = None,
        threads: int = 2,
        name: str = "genres",
        review: Review | None = None,
        similar: PosterIndex | None = None,
        report: Path | None = None,
        **limits: float,
    ) -> TestClient:
        app = create_app(
            predictor,
            name=name,
            limits=Limits(**limits),  # type: ignore[arg-type]
            token=token,
            threads=threads,
            review=review,
            similar=similar,
            report=report,
        )
        made = TestClient(app, base_url=HERE, raise_server_exceptions=False)
        open_clients.append(made.__enter__())
        while predictor.begun.acquire(blocking=False):
            pass
        return made

    yield make
    predictor.go.set()
    for made in open_clients:
        made.__exit__(None, None, None)
