"""The bundled model: small, whole, and the same answers as on the day it was made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import onesheet
from onesheet.drawn import draw_catalogue
from onesheet.drawn.sample_posters import SAMPLES, sample_poster
from onesheet.predict import DEFAULT_MODEL, Prediction

GOLDEN = Path(__file__).with_name("default_model.json")
TOLERANCE = 2e-3  # of a probability: processors and versions of onnxruntime round differently
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> list[Prediction]:
    table = draw_catalogue(tmp_path_factory.mktemp("drawn"), films=40, seed=5, faults=False)
    answers = onesheet.load(threads=1).predict_many(sorted(map(str, (table.parent / "posters").iterdir()))[:12])
    return [answer for answer in answers if isinstance(answer, Prediction)]


def test_answers_are_those_of_the_golden_file(predictions: list[Prediction]) -> None:
    found = {Path(one.path).name: one.probabilities for one in predictions}
    if os.environ.get("ONESHEET_WRITE_GOLDEN"):  # after a new model: look at the difference, then commit it
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert found.keys() == golden.keys() and len(found) >= 10
    for name, probabilities in found.items():
        assert probabilities == pytest.approx(golden[name], abs=TOLERANCE), name


def test_posters_get_different_answers(predictions: list[Prediction]) -> None:
    values = np.array([list(one.probabilities.values()) for one in predictions])
    assert values.std(0).max() > 0.05 and ((values >= 0) & (values <= 1)).all()


def test_the_sample_posters_get_their_genres() -> None:
    model = onesheet.load(threads=1)
    for number, (film, *_) in enumerate(SAMPLES):
        genres = model.predict(sample_poster(number)).genres
        assert set(film.genres) <= set(genres), film.title
        assert not {"Documentary", "Short", "News"} & set(genres), film.title


def test_it_is_small_and_says_what_it_is() -> None:
    model = onesheet.load()
    assert DEFAULT_MODEL.stat().st_size <= 10_000_000
    assert (
        repr(model)
        == f"<Predictor of default.onnx: 24 genres from posters of {model.card.size[0]}×{model.card.size[1]}>"
    )
    assert dir(onesheet) == sorted(onesheet.__all__)
    assert 20 <= len(model.genres) <= 25
    assert {"Drama", "Horror", "Animation", "Western"} <= set(model.genres.names)
    assert model.model_card == (DOCS / "model-card.md").read_text(encoding="utf-8")
    assert "## Licences and origin" in model.model_card
