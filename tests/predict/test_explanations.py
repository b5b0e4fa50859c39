"""Heat maps lie where the evidence is: on drawn posters whose genre is carried by one patch at a known place."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from motifs import MOTIFS, draw_poster, on_motif
from onesheet.bundle import CARD_KEY
from onesheet.data import Catalogue
from onesheet.errors import CatalogueError, UnreadablePoster
from onesheet.models import PosterNetwork
from onesheet.predict import HeatMap, Prediction, Predictor, heat_maps, load

GENRES = list(MOTIFS)


@pytest.fixture(scope="module")
def predictor(motif_model: Path) -> Predictor:
    return load(motif_model, threads=1)


@pytest.fixture(scope="module")
def blind(motif_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """The same network without its output `evidence`."""
    model = onnx.load(motif_model)
    outputs = [output for output in model.graph.output if output.name != "evidence"]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    path = tmp_path_factory.mktemp("blind") / "genres.onnx"
    onnx.save(model, path)
    return load(path, threads=1)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def posters(count: int) -> Iterator[bytes]:
    """Posters that show every genre, each in its own place."""
    rng = np.random.default_rng(7)
    for _ in range(count):
        yield png(draw_poster(GENRES, rng))


def peak(heat_map: HeatMap, height: int, width: int) -> tuple[int, int]:
    """Row and column of the overlay's brightest pixel, over a poster of one colour."""
    overlay = heat_map.overlay(png(np.full((height, width, 3), 128, np.uint8)))
    assert overlay.shape == (height, width, 3) and overlay.dtype == np.uint8
    row, column = divmod(int(overlay.sum(2, dtype=np.int64).argmax()), width)
    return row, column


@pytest.mark.parametrize("method", ["evidence", "occlusion"])
def test_the_peak_lies_on_the_motif(method: str, predictor: Predictor, blind: Predictor) -> None:
    model = predictor if method == "evidence" else blind
    hits = []
    for poster in posters(12):
        for heat_map in heat_maps(model, poster, GENRES):
            assert heat_map.method == method and heat_map.values.dtype == np.float32
            hits.append(on_motif(heat_map.genre, *peak(heat_map, 48, 32)))
    assert np.mean(hits) >= 0.9  # chance: a third


def test_the_words_name_the_part_of_the_motif(predictor: Predictor) -> None:
    for poster in posters(3):
        comedy, drama, horror = (heat_map.brightest for heat_map in heat_maps(predictor, poster, GENRES))
        assert comedy == "upper left" and horror == "right"
        assert drama in ("lower left", "lower centre")  # its motif lies on the line between them


def test_a_padded_poster_has_its_peak_in_its_own_place(predictor: Predictor, blind: Predictor, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 110, (24, 32, 3)).astype(np.uint8)
    pixels[18:, 20:, 0] += 110  # Comedy's colour, at the lower edge
    poster = png(pixels.repeat(10, axis=0).repeat(10, axis=1))
    for model in (predictor, blind):
        file = onnx.load(model._bundle.path)
        card = next(entry for entry in file.metadata_props if entry.key == CARD_KEY)
        card.value = card.value.replace('"stretch"', '"pad"')
        onnx.save(file, tmp_path / "pad.onnx")
        heat_map = load(tmp_path / "pad.onnx", threads=1).explain(poster, "Comedy")
        assert heat_map.box == (0.25, 0.0, 0.75, 1.0)
        row, column = peak(heat_map, 240, 320)
        assert row >= 180 and column >= 200  # laid over the whole, the map would have it at row 165
        assert heat_map.brightest == "lower right"


def test_evidence_and_bias_make_the_logit(motif_network: PosterNetwork, predictor: Predictor) -> None:
    biases = motif_network.head[-1].bias.detach().numpy()  # type: ignore[index, union-attr]
    for poster in posters(2):
        for heat_map, bias in zip(heat_maps(predictor, poster, GENRES), biases, strict=True):
            logit = heat_map.values.mean() + bias
            assert heat_map.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)


@pytest.mark.parametrize("method", ["evidence", "occlusion"])
def test_a_network_with_random_weights_has_other_maps(
    method: str, predictor: Predictor, blind: Predictor, tmp_path: Path
) -> None:
    """The check of Adebayo et al. 2018: a map that looks at the poster alone is the same for any weights."""
    model = predictor if method == "evidence" else blind
    file, rng = onnx.load(model._bundle.path), np.random.default_rng(3)
    for weights in file.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.ndim >= 2 and values.dtype == np.float32:
            shuffled = rng.permutation(values.ravel()).reshape(values.shape)
            weights.CopyFrom(onnx.numpy_helper.from_array(shuffled, weights.name))
    onnx.save(file, tmp_path / "random.onnx")
    other = load(tmp_path / "random.onnx", threads=1)
    alike = []
    for poster in posters(4):
        for true, random in zip(heat_maps(model, poster, GENRES), heat_maps(other, poster, GENRES), strict=True):
            np.testing.assert_array_equal(true.values, model.explain(poster, true.genre).values)
            alike.append(np.corrcoef(true.values.ravel(), random.values.ravel())[0, 1])
    assert np.mean(alike) < 0.5


def test_without_a_genre_the_most_probable_one_is_explained(predictor: Predictor, catalogue: Catalogue) -> None:
    path = catalogue.films[0].poster
    probabilities = predictor.predict(path).probabilities
    likeliest = max(probabilities, key=probabilities.__getitem__)
    for poster in (path, Path(path).read_bytes()):
        heat_map, expected = predictor.explain(poster), predictor.explain(poster, likeliest)
        assert heat_map.genre == likeliest
        assert heat_map.probability == pytest.approx(probabilities[likeliest], abs=1e-5)
        np.testing.assert_array_equal(heat_map.values, expected.values)


def test_a_prediction_holds_data_only(predictor: Predictor, catalogue: Catalogue) -> None:
    """No model and no poster: a name that a client chose must never be opened by a result."""
    prediction = predictor.predict(catalogue.films[0].poster)
    assert {field.name for field in fields(Prediction)} == {"path", "genres", "probabilities", "at"}
    assert prediction.to_dict().keys() == {"path", "genres", "probabilities"}
    for copied in (pickle.loads(pickle.dumps(prediction)), copy.deepcopy(prediction)):
        assert copied == prediction
    assert asdict(prediction)["probabilities"] == prediction.probabilities


def test_a_prediction_shows_itself_without_opening_its_path(catalogue: Catalogue) -> None:
    named = Prediction(catalogue.films[0].poster, {"Drama": 0.7}, {"Drama": 0.7, "Horror": 0.1}, "balanced")
    assert "<img" not in named._repr_html_() and "<b>Drama</b>" in named._repr_html_()


def test_many_predictions_keep_no_pixels(predictor: Predictor, catalogue: Catalogue) -> None:
    seen, waiting = (
        {id(predictor), id(Predictor), id(Prediction)},
        list(predictor.predict_many([film.poster for film in catalogue.films[:20]])),
    )
    while waiting:
        thing = waiting.pop()
        assert not isinstance(thing, np.ndarray | bytes | Image.Image)
        if id(thing) not in seen and not isinstance(thing, type):
            seen.add(id(thing))
            waiting.extend(gc.get_referents(thing))


def test_a_turned_photograph_is_explained_upright(predictor: Predictor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.open(io.BytesIO(next(posters(1)))).resize((320, 480)).transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "turned.jpg", exif=exif, quality=95
    )
    heat_map = predictor.explain(tmp_path / "turned.jpg", "Horror")
    assert heat_map.overlay().shape == (480, 320, 3)
    assert heat_map.brightest == "right"


def test_the_picture_is_written_whole_as_png(predictor: Predictor, tmp_path: Path) -> None:
    heat_map = predictor.explain(next(posters(1)), "Comedy")
    heat_map.save(tmp_path / "new" / "map.png")
    with Image.open(tmp_path / "new" / "map.png") as written:
        assert written.format == "PNG"
        np.testing.assert_array_equal(np.asarray(written), heat_map.overlay())
    assert heat_map._repr_png_() == (tmp_path / "new" / "map.png").read_bytes()
    assert len(repr(heat_map)) < 5000  # not the poster's bytes


def test_where_nothing_speaks_for_a_genre_nothing_glows() -> None:
    values = np.full((7, 5), -1, np.float32)
    heat_map = HeatMap("Drama", 0.01, values, "evidence", next(posters(1)))
    overlay = heat_map.overlay().astype(int)
    assert heat_map.brightest == ""
    assert (overlay.max(2) - overlay.min(2)).max() <= 3
    values[0, 4] = 1
    assert HeatMap("Drama", 0.01, values, "evidence", b"").brightest == "upper right"


def test_what_cannot_be_explained_is_said(predictor: Predictor, tmp_path: Path) -> None:
    poster = next(posters(1))
    with pytest.raises(CatalogueError, match=r"unknown genre 'horor'; did you mean Horror\?"):
        predictor.explain(poster, "horor")
    with pytest.raises(CatalogueError, match="unknown genre 'Noir'; use one of Comedy, Drama, Horror"):
        predictor.explain(poster, "Noir")
    with pytest.raises(UnreadablePoster, match="no such file"):
        predictor.explain(tmp_path / "none.jpg", "Horror")
