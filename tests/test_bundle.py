from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onesheet.bundle import CARD_KEY, PROTOCOL, Card, read_bundle
from onesheet.errors import BundleError


def card_of(path: Path) -> dict[str, Any]:
    return json.loads(onnx.load(path).metadata_props[0].value)  # type: ignore[no-any-return]


def with_card(path: Path, target: Path, text: str | None) -> Path:
    """A copy of a model file with another card, or none."""
    model = onnx.load(path)
    del model.metadata_props[:]
    if text is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD_KEY, text
    onnx.save(model, target)
    return target


def test_the_card_survives_json(model_path: Path) -> None:
    card = read_bundle(model_path).card
    again = json.loads(card.to_json())
    assert Card(**{**again, "genres": tuple(again["genres"]), "size": tuple(again["size"])}) == card


def test_a_newer_protocol_says_to_upgrade(model_path: Path, tmp_path: Path) -> None:
    newer = json.dumps({**card_of(model_path), "protocol": PROTOCOL + 1, "shape_of_things": "to come"})
    with pytest.raises(BundleError, match=r"newer than 1; run: pip install --upgrade onesheet-genres"):
        read_bundle(with_card(model_path, tmp_path / "newer.onnx", newer))


def test_missing_empty_foreign_and_truncated_files_are_rejected(model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model file"):
        read_bundle(tmp_path / "missing.onnx")
    with pytest.raises(BundleError, match="is a folder; name the model file in it"):
        read_bundle(tmp_path)
    for name, content in {
        "empty": b"",
        "text": b"poster,genres\n",
        "archive": b"PK\x03\x04",
        "picture": b"RIFF\x24\0\0\0WEBPVP8 ",
        "truncated": model_path.read_bytes()[: model_path.stat().st_size // 2],
    }.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        other = (
            r"not a whole ONNX model" if name in ("empty", "truncated") else "is not an ONNX file; pass a model file"
        )
        with pytest.raises(BundleError, match=other):
            read_bundle(path)
    with pytest.raises(BundleError, match="is an ONNX file but not a onesheet model"):
        read_bundle(with_card(model_path, tmp_path / "foreign.onnx", None))


@pytest.mark.parametrize(
    "change",
    [
        {"genres": ["only one"]},
        {"genres": ["A", "A", "B"]},
        {"size": [48]},
        {"size": [10**6, 32]},
        {"size": [64, 64]},
        {"resize": "crop"},
        {"calibration": {"scale": [1.0], "bias": [0.0]}},
        {"calibration": {}},
        {"operating_points": {}},
        {"operating_points": {name: {} for name in ("balanced", "precise", "generous", "exact")}},
        {"measured": {"films": 3}},
        {"measured": {"genre_films": [1, 2], "points": {}}},
        {"protocol": "1"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_card_with_a_wrong_field_is_rejected(change: dict[str, Any], model_path: Path, tmp_path: Path) -> None:
    path = with_card(model_path, tmp_path / "wrong.onnx", json.dumps({**card_of(model_path), **change}))
    with pytest.raises(BundleError, match="export it again"):
        read_bundle(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_card_changed_anywhere_opens_or_is_rejected_by_name(
    data: st.DataObject, model_path: Path, tmp_path: Path
) -> None:
    card = card_of(model_path)
    name = data.draw(st.sampled_from(sorted(card)))
    json_values = st.recursive(
        st.none() | st.booleans() | st.floats(-1e6, 1e6) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
    card[name] = data.draw(json_values)
    path = with_card(model_path, tmp_path / "changed.onnx", json.dumps(card))
    try:
        read_bundle(path)
    except BundleError as error:
        assert "\n" not in str(error)


def test_scoring_wants_posters_of_the_cards_size(model_path: Path) -> None:
    bundle = read_bundle(model_path)
    with pytest.raises(BundleError, match="posters must be uint8 N×48×32×3; got float32"):
        bundle.score(np.zeros((1, 48, 32, 3), dtype=np.float32))  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="got uint8"):
        bundle.score(np.zeros((1, 32, 48, 3), dtype=np.uint8))
